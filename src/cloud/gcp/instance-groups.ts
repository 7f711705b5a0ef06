// The machines of a GKE node pool, from the instance groups that it is made of: a pool itself tells neither
// how many run nor since when. Compute Engine's API, by plain JSON.

import { LRUCache } from "lru-cache";
import { z } from "zod";
import type { Instant } from "../../metering/time.ts";
import type { HostSighting, Instance } from "../adapter.ts";
import { Trouble } from "../adapter.ts";
import { spendCall } from "../call-budget.ts";
import { JsonApi } from "../json-api.ts";
import { providerInstant, providerStart } from "../provider-time.ts";
import type { GoogleLogin } from "./google-login.ts";
import { googleTrouble, refusedBy } from "./google-trouble.ts";

const ENDPOINT = "https://compute.googleapis.com";
const PAGE = 100;
/** A machine may end and begin again between two looks. */
const KEPT = { max: 100, ttl: 60_000 };

const group = z.object({ targetSize: z.number().int().default(0) });
const managed = z.object({
  managedInstances: z
    .array(
      z.object({
        instance: z.string(),
        currentAction: z.string().default("NONE"),
        instanceStatus: z.string().default(""),
      }),
    )
    .default([]),
});
type Managed = z.infer<typeof managed>["managedInstances"][number];
const instance = z.object({
  id: z.string(),
  status: z.string(),
  creationTimestamp: z.string(),
  lastStartTimestamp: z.string().optional(),
  lastStopTimestamp: z.string().optional(),
});

type Seen = Pick<HostSighting, "instances" | "ended"> & { readonly wanted: number };

export class InstanceGroups {
  readonly #login: GoogleLogin;
  readonly #endpoint: string;
  readonly #api = new JsonApi("Google's Compute API");
  /** Since when one runs does not change while it does: Compute Engine allows few calls. */
  readonly #running = new LRUCache<string, z.infer<typeof instance>>(KEPT);

  constructor(login: GoogleLogin, endpoint: string | undefined) {
    this.#login = login;
    this.#endpoint = endpoint ?? ENDPOINT;
  }

  /** `urls`: of the groups, as the pool has them. */
  async of(urls: readonly string[], signal: AbortSignal): Promise<Seen> {
    const all = await Promise.all(urls.map((url) => this.#group(url, signal)));
    return {
      instances: all.flatMap(({ instances }) => instances),
      ended: all.flatMap(({ ended }) => ended),
      wanted: all.reduce((sum, { wanted }) => sum + wanted, 0),
    };
  }

  close(): void {
    this.#api.close();
  }

  async #group(url: string, signal: AbortSignal): Promise<Seen> {
    const what = `instance group ${url.split("/").at(-1)}`;
    const path = pathOf(url);
    const { targetSize } = await this.#ask("GET", path, group, what, signal);
    const listed = await this.#ask(
      "POST",
      `${path}/listManagedInstances?maxResults=${PAGE}`,
      managed,
      what,
      signal,
    );
    const found = await Promise.all(listed.managedInstances.map((each) => this.#instance(each, signal)));
    const there = found.filter((each) => each !== undefined);
    return {
      wanted: targetSize,
      instances: there.flatMap((each) => upOf(each)),
      ended: there.flatMap((each) => endedOf(each)),
    };
  }

  /** Undefined where it is listed and not made yet, or gone already. */
  async #instance(listed: Managed, signal: AbortSignal): Promise<Found | undefined> {
    const { instance: url, currentAction, instanceStatus } = listed;
    const isStopping = /^(DELETING|ABANDONING|STOPPING)$/.test(currentAction);
    const kept = this.#running.get(url);
    if (kept !== undefined && instanceStatus === "RUNNING") return { ...kept, isStopping };
    this.#running.delete(url);
    try {
      const found = await this.#ask(
        "GET",
        pathOf(url),
        instance,
        `instance ${url.split("/").at(-1)}`,
        signal,
      );
      if (found.status === "RUNNING") this.#running.set(url, found);
      return { ...found, isStopping };
    } catch (error) {
      if (error instanceof Trouble && error.kind === "not_found") return undefined;
      throw error;
    }
  }

  async #ask<T>(
    method: "GET" | "POST",
    path: string,
    schema: z.ZodType<T>,
    what: string,
    signal: AbortSignal,
  ): Promise<T> {
    const headers = { authorization: `Bearer ${await this.#login.token(signal)}` };
    const url = `${this.#endpoint}${path}`;
    await spendCall();
    const { status, body } = await this.#api.ask({ method, url, headers }, signal);
    if (status !== 200) throw googleTrouble(refusedBy(status, body), what);
    const read = schema.safeParse(body);
    if (!read.success) throw new Trouble("failed", `Google's answer about ${what} cannot be read`);
    return read.data;
  }
}

/** Its host is the one that we ask, whatever name Google wrote. */
function pathOf(url: string): string {
  const path = new URL(url).pathname;
  return path.startsWith("/compute/") ? path : `/compute${path}`;
}

type Found = z.infer<typeof instance> & { readonly isStopping: boolean };

const GONE: ReadonlySet<string> = new Set(["TERMINATED", "STOPPED", "SUSPENDED"]);
/** Google bills from RUNNING on; what is being allocated costs nothing yet. */
const NOT_YET: ReadonlySet<string> = new Set(["PENDING", "PROVISIONING", "STAGING"]);

function upOf({ id, status, isStopping, ...times }: Found): readonly Instance[] {
  if (GONE.has(status) || NOT_YET.has(status)) return [];
  const since = providerStart(`instance ${id}`, times.lastStartTimestamp, times.creationTimestamp);
  const isEnding = isStopping || /^(STOPPING|SUSPENDING|PENDING_STOP|DEPROVISIONING)$/.test(status);
  return [{ id, since, isStopping: isEnding }];
}

function endedOf({ id, status, lastStopTimestamp }: Found): readonly { id: string; stopped: Instant }[] {
  const stopped = GONE.has(status) ? providerInstant(lastStopTimestamp) : undefined;
  return stopped === undefined ? [] : [{ id, stopped }];
}
