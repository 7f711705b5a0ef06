// The thread that speaks to clouds: their SDKs are loaded here, each when the first question about its cloud
// comes, so that the relay neither waits for them nor keeps their memory. It decides nothing.

import { parentPort } from "node:worker_threads";
import type { DurationUs } from "../metering/time.ts";
import { CLOUDS, type Cloud } from "../policy/settings.ts";
import { type Adapter, type Host, type HostSighting, type Sighting, Trouble } from "./adapter.ts";
import { asCaller, CallBudget } from "./call-budget.ts";
import type { CloudAccess, OpenCloud, OpenCloudOf } from "./cloud-access.ts";
import { type CloudTarget, cloudOf, type FromCloud, type ToCloud } from "./cloud-call.ts";

/** One line a cloud. */
const OPENERS: { readonly [C in Cloud]?: () => Promise<OpenCloudOf<C>> } = {
  aws: async () => (await import("./aws/aws-cloud.ts")).openAws,
  azure: async () => (await import("./azure/azure-cloud.ts")).openAzure,
  gcp: async () => (await import("./gcp/gcp-cloud.ts")).openGcp,
};

const port = parentPort;
if (port === null) throw new Error("cloud-worker.ts runs only as a worker thread");

type Call = Extract<ToCloud, { kind: "call" }>;

const NAMES: Readonly<Record<Cloud, string>> = { aws: "AWS", azure: "Azure", gcp: "Google Cloud" };
const started = new Map<number, AbortController>();

port.on("message", (message: ToCloud) => {
  if (message.kind === "abort") started.get(message.id)?.abort(new Error("nobody wants to know any more"));
  else void answer(message);
});

async function answer(call: Call): Promise<void> {
  const ended = new AbortController();
  started.set(call.id, ended);
  const late = AbortSignal.timeout(call.forMs);
  try {
    const value = await ask(call, AbortSignal.any([ended.signal, late]));
    say({ kind: "done", id: call.id, value });
  } catch (error) {
    if (!ended.signal.aborted) say({ id: call.id, ...failureOf(error, call, late.aborted) });
  } finally {
    started.delete(call.id);
  }
}

function say(message: FromCloud): void {
  port?.postMessage(message);
}

function failureOf(error: unknown, { target, forMs }: Call, isLate: boolean) {
  if (error instanceof Trouble) return { kind: "trouble", trouble: error.kind, text: error.message } as const;
  if (isLate) {
    const text = `${NAMES[cloudOf(target)]} did not answer within ${forMs / 1000} s`;
    return { kind: "trouble", trouble: "timeout", text } as const;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { kind: "bug", text } as const;
}

async function ask(call: Call, signal: AbortSignal): Promise<Sighting | HostSighting | undefined> {
  const { target, method, callsPerMinute, access } = call;
  const cloud = cloudOf(target);
  const desk = DESKS[cloud];
  desk.budget.calls = callsPerMinute;
  const isOrder = method !== "observe";
  return asCaller({ budget: desk.budget, isOrder, signal }, async () => {
    const asked = (await desk.askedFor(target, access)) as Partial<Adapter & Host>;
    const found = await asked[method]?.(signal);
    return found ?? undefined;
  });
}

/** What one cloud is asked with, made anew whenever its login or address changes. */
class Desk {
  readonly budget: CallBudget;
  readonly #cloud: Cloud;
  readonly #targets = new Map<string, Adapter | Host>();
  #access = "";
  #open: Promise<OpenCloud<Cloud>> | undefined;

  constructor(cloud: Cloud) {
    this.#cloud = cloud;
    this.budget = new CallBudget({
      key: `providers.${cloud}.calls_per_minute`,
      monotonic: () => Math.floor(performance.now() * 1000) as DurationUs,
      after: (delay, call) => {
        const timer = setTimeout(call, delay / 1000);
        return () => clearTimeout(timer);
      },
    });
  }

  async askedFor(target: CloudTarget, access: CloudAccess): Promise<Adapter | Host> {
    const key = JSON.stringify(target);
    const cloud = await this.#opened(access);
    let asked = this.#targets.get(key);
    if (asked === undefined) {
      const isContainer = target.kind === "ecs" || target.kind === "aks" || target.kind === "gke";
      asked = isContainer ? cloud.adapterFor(target as never) : cloud.hostFor(target as never);
      this.#targets.set(key, asked);
    }
    return asked;
  }

  #opened(access: CloudAccess): Promise<OpenCloud<Cloud>> {
    const key = JSON.stringify(access);
    if (this.#open !== undefined && key === this.#access) return this.#open;
    const before = this.#open;
    this.#access = key;
    this.#targets.clear();
    const opened = openCloud(this.#cloud, access);
    this.#open = opened;
    opened.catch(() => {
      // The next call tries anew: a key may have been put right.
      if (this.#open === opened) this.#open = undefined;
    });
    void before?.then((cloud) => cloud.close()).catch(() => undefined);
    return opened;
  }
}

const DESKS = Object.fromEntries(CLOUDS.map((cloud) => [cloud, new Desk(cloud)])) as Record<Cloud, Desk>;

async function openCloud(cloud: Cloud, access: CloudAccess): Promise<OpenCloud<Cloud>> {
  const opener = OPENERS[cloud];
  if (opener === undefined) throw new Trouble("failed", `this version does not speak to ${NAMES[cloud]} yet`);
  const open = (await opener()) as OpenCloudOf<Cloud>;
  return open(access);
}
