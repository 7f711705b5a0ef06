// One container of Docker or podman: seen by inspecting it, changed by start and stop, watched by the
// engine's events. An event only says that it is time to look.

import { type DurationUs, type Instant, instantUs } from "../metering/time.ts";
import { type Adapter, type Sighting, Trouble, type TroubleKind } from "./adapter.ts";
import type { Answer, DockerEngine } from "./docker-engine.ts";

const LOOK_MS = 5_000;
/** An engine answers once the process runs; a big image's first layers may have to be mounted. */
const START_MS = 60_000;
/** How long the container may take to end before it is killed. */
const GRACE_S = 30;
const STOP_MS = (GRACE_S + 15) * 1000;
/** What a NIM listens on. */
const NIM_PORT = "8000/tcp";
const AGAIN_MS = [1_000, 2_000, 5_000, 15_000, 30_000] as const;
const WATCHED = [
  "start",
  "die",
  "stop",
  "kill",
  "oom",
  "pause",
  "unpause",
  "destroy",
  "rename",
  "health_status",
];

export interface DockerParts {
  readonly engine: DockerEngine;
  readonly name: string;
  /** setTimeout, or a test's own. */
  after(delay: DurationUs, call: () => void): () => void;
}

export class DockerContainer implements Adapter {
  readonly #parts: DockerParts;
  readonly #path: string;

  constructor(parts: DockerParts) {
    this.#parts = parts;
    this.#path = `/containers/${encodeURIComponent(parts.name)}`;
  }

  async observe(signal: AbortSignal): Promise<Sighting> {
    const answer = await this.#parts.engine.ask("GET", `${this.#path}/json`, LOOK_MS, signal);
    if (answer.status !== 200) throw this.#troubleOf(answer);
    return sightingOf(answer.body, this.#parts.name);
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#order(`${this.#path}/start`, START_MS, signal);
  }

  stop(signal: AbortSignal): Promise<void> {
    return this.#order(`${this.#path}/stop?t=${GRACE_S}`, STOP_MS, signal);
  }

  /** Looks anew whenever the stream was lost: what happened meanwhile nobody tells. */
  watch(changed: () => void): () => void {
    const ended = new AbortController();
    const filters = { type: ["container"], container: [this.#parts.name], event: WATCHED };
    const path = `/events?filters=${encodeURIComponent(JSON.stringify(filters))}`;
    let losses = 0;
    let forget: () => void = () => undefined;
    const follow = async () => {
      try {
        for await (const _event of this.#parts.engine.lines(path, ended.signal)) {
          losses = 0;
          changed();
        }
      } catch {
        // An engine that is away is seen, and told of, by the next look.
      }
      if (ended.signal.aborted) return;
      changed();
      const delay = AGAIN_MS[Math.min(losses, AGAIN_MS.length - 1)] ?? 0;
      losses += 1;
      forget = this.#parts.after((delay * 1000) as DurationUs, () => void follow());
    };
    void follow();
    return () => {
      ended.abort(new Error("nobody watches any more"));
      forget();
    };
  }

  /** 304: it is so already. */
  async #order(path: string, forMs: number, signal: AbortSignal): Promise<void> {
    const answer = await this.#parts.engine.ask("POST", path, forMs, signal);
    if (answer.status >= 300 && answer.status !== 304) throw this.#troubleOf(answer);
  }

  #troubleOf({ status, body }: Answer): Trouble {
    const { name } = this.#parts;
    const said = String((body as { message?: unknown } | undefined)?.message ?? `status ${status}`);
    if (status === 404) {
      const cure = "`docker ps -a` lists the names that there are (container.docker.name)";
      return new Trouble("not_found", `there is no container ${name}: ${cure}`);
    }
    const kind: TroubleKind = status === 401 || status === 403 ? "denied" : "failed";
    return new Trouble(kind, `container ${name}: ${said}${cureOf(said)}`);
  }
}

function cureOf(said: string): string {
  if (/device driver|nvidia/i.test(said)) return " (install the NVIDIA Container Toolkit on this machine)";
  if (/port is already allocated|address already in use/i.test(said))
    return " (another container, or this gateway, has that port: publish it on another one)";
  return "";
}

interface Inspected {
  readonly Id: string;
  readonly State: {
    readonly Status: string;
    readonly StartedAt?: string;
    readonly FinishedAt?: string;
    readonly ExitCode?: number;
    readonly OOMKilled?: boolean;
    readonly Error?: string;
    readonly Health?: { readonly Status: string };
    /** What podman calls it. */
    readonly Healthcheck?: { readonly Status: string };
  };
  readonly NetworkSettings?: { readonly Ports?: Readonly<Record<string, readonly Bound[] | null>> };
}

interface Bound {
  readonly HostIp?: string;
  readonly HostPort: string;
}

function sightingOf(body: unknown, name: string): Sighting {
  const inspected = (body ?? {}) as Inspected;
  const { State: state } = inspected;
  if (typeof inspected.Id !== "string" || typeof state?.Status !== "string")
    throw new Trouble("failed", `the Docker Engine does not say what container ${name} does`);
  switch (state.Status) {
    case "running":
    case "paused":
    case "restarting":
    case "stopping":
    case "removing": {
      const since = instantOf(state.StartedAt);
      if (since === undefined)
        throw new Trouble("failed", `the Docker Engine does not say since when container ${name} runs`);
      // Of one that ends again and again, it says when this life did.
      const finished = instantOf(state.FinishedAt);
      const stoppedBefore = finished !== undefined && finished <= since ? finished : undefined;
      return {
        ...{ kind: "up", id: inspected.Id, since, url: urlOf(inspected) },
        ...(stoppedBefore !== undefined && { stoppedBefore }),
        isHealthy: healthOf(state),
        isStopping: state.Status === "stopping" || state.Status === "removing",
      };
    }
    default:
      return { kind: "off", id: inspected.Id, stopped: instantOf(state.FinishedAt), why: whyOff(state) };
  }
}

/** A paused process answers nobody. */
function healthOf({ Status, Health, Healthcheck }: Inspected["State"]): boolean | undefined {
  if (Status !== "running") return false;
  const said = Health?.Status || Healthcheck?.Status || "none";
  return said === "none" ? undefined : said === "healthy";
}

function whyOff({ OOMKilled, Error: error, ExitCode }: Inspected["State"]): string | undefined {
  if (OOMKilled === true) return "it was killed for want of memory";
  if (error) return error;
  // 137 and 143 are SIGKILL and SIGTERM: how a stop ends it.
  if (ExitCode === undefined || [0, 137, 143].includes(ExitCode)) return undefined;
  return `it ended by itself with code ${ExitCode}`;
}

function urlOf({ NetworkSettings }: Inspected): string | undefined {
  const ports = Object.entries(NetworkSettings?.Ports ?? {}).flatMap(([port, bound]) =>
    typeof bound?.[0]?.HostPort === "string" ? [{ port, bound: bound[0] }] : [],
  );
  const found = ports.find(({ port }) => port === NIM_PORT) ?? (ports.length === 1 ? ports[0] : undefined);
  if (found === undefined) return undefined;
  const { HostIp = "", HostPort } = found.bound;
  const isAny = HostIp === "" || HostIp === "0.0.0.0" || HostIp === "::";
  const host = isAny ? "127.0.0.1" : HostIp.includes(":") ? `[${HostIp}]` : HostIp;
  return `http://${host}:${HostPort}`;
}

/** RFC 3339 to the nanosecond; undefined for the year 1, which means never. */
function instantOf(text: unknown): Instant | undefined {
  if (typeof text !== "string") return undefined;
  const seconds = Date.parse(text.replace(/\.\d+/, ""));
  if (Number.isNaN(seconds) || seconds <= 0) return undefined;
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? "0";
  return instantUs(seconds * 1000 + Number(fraction.slice(0, 6).padEnd(6, "0")));
}
