// A gateway of nothing but listener, body window and relay: the test itself plays the ledger, and decides
// when a reply's last piece may leave.

import type { ServerResponse } from "node:http";
import { nanoUsd } from "../../src/metering/money.ts";
import { type DurationUs, seconds } from "../../src/metering/time.ts";
import type { Upstream } from "../../src/policy/policy.ts";
import { BODY_TIMES, type BodyLimits, openBody } from "../../src/proxy/body-window.ts";
import type { Certified } from "../../src/proxy/front-server.ts";
import { Listeners } from "../../src/proxy/listener.ts";
import { Pools } from "../../src/proxy/pools.ts";
import { relay } from "../../src/proxy/relay.ts";
import type { RelayJob } from "../../src/proxy/relay-job.ts";
import type { Relayed } from "../../src/proxy/relayed.ts";
import { reply } from "../../src/proxy/reply.ts";
import type { Lookup } from "../../src/proxy/upstream-address.ts";

export interface Attempted {
  readonly relayed: Relayed;
  readonly response: ServerResponse;
  /** begin and stop of the reservation, in the order of their calls. */
  readonly clock: readonly string[];
  readonly control: AbortController;
}

export interface Rig {
  readonly port: number;
  /** The next request that ended, in order. */
  next(): Promise<Attempted>;
  /** Resolves with the controls of the next request that began to be relayed. */
  started(): Promise<AbortController>;
  /** What the next relay that could not even end was rejected with. */
  mistake(): Promise<Error>;
  readonly listeners: Listeners;
  close(): Promise<void>;
}

export interface RigOptions {
  readonly upstream?: Partial<Upstream>;
  readonly job?: Partial<RelayJob>;
  readonly prefix?: string;
  /** With it the rig listens off loopback, and speaks TLS. */
  readonly certificate?: Certified;
  /** The name server that upstreams are looked up by. */
  readonly lookup?: Lookup;
  readonly limits?: Partial<BodyLimits>;
  /** Lets each relayed reply go at once, and answers what was not sent; default true. */
  readonly finishes?: boolean;
}

export async function relayRig(url: string | undefined, options: RigOptions = {}): Promise<Rig> {
  const { finishes = true } = options;
  const pools = new Pools(options.lookup);
  const ended = queue<Attempted>();
  const begun = queue<AbortController>();
  const mistakes = queue<Error>();
  const limits: BodyLimits = { bytes: 64_000_000, ...BODY_TIMES, ...options.limits };
  const rules = { hosts: [], origins: [], body: limits.bytes, connections: 1024 };
  const listeners = new Listeners(
    async (request, response, _place, path) => {
      const opened = await openBody(request, response, limits);
      if (opened.kind === "fault") {
        if (opened.fault !== "gone") reply(response, fault(opened.fault));
        return;
      }
      const clock: string[] = [];
      const control = new AbortController();
      begun.put(control);
      const relayed = await relay({
        upstream: upstreamAt(url, options.upstream),
        held: { begin: () => void clock.push("begin"), stop: () => void clock.push("stop") },
        request: {
          method: request.method ?? "",
          path,
          prefix: options.prefix ?? "",
          rawHeaders: request.rawHeaders,
          body: opened.body,
        },
        response,
        replyHeaders: [["X-BudgetGuard-Upstream", "up"]],
        requestId: "r-test",
        rewriteModel: undefined,
        secretOf: () => undefined,
        signal: control.signal,
        pools,
        ...options.job,
      }).catch((bug) => void mistakes.put(bug));
      if (relayed === undefined) return;
      if (relayed.kind === "unsent") {
        if (relayed.why !== "client_gone" && finishes) {
          reply(response, { kind: "unsent", upstream: "up", why: relayed.why, cause: relayed.cause });
        }
      } else if (relayed.fault === undefined) {
        if (finishes) relayed.finish();
      } else if (relayed.headSent) relayed.destroy();
      else reply(response, { kind: "fault", upstream: "up", fault: relayed.fault });
      ended.put({ relayed, response, clock, control });
    },
    () => rules,
    () => {},
    { certificate: options.certificate },
  );
  await listeners.adopt([{ address: options.certificate === undefined ? "127.0.0.1:0" : "0.0.0.0:0" }]);
  return {
    port: listeners.addresses()[0]?.port ?? 0,
    next: ended.take,
    started: begun.take,
    mistake: mistakes.take,
    listeners,
    async close() {
      await listeners.close(0);
      await pools.destroy();
    },
  };
}

function fault(kind: "too_large" | "stalled") {
  return { kind: "fault", upstream: "none", fault: { kind, reason: kind } } as const;
}

export function upstreamAt(url: string | undefined, changes: Partial<Upstream> = {}): Upstream {
  return {
    id: "up",
    provider: "local",
    url,
    model: undefined,
    gpuTier: undefined,
    price: { kind: "request", amount: nanoUsd(0n), source: { kind: "policy" } },
    machine: "up",
    idleRate: 0n as Upstream["idleRate"],
    minBilled: 0 as DurationUs,
    concurrency: undefined,
    auth: undefined,
    hasContainer: false,
    timeouts: { connect: seconds(5), firstByte: seconds(30), idle: seconds(30), total: seconds(60) },
    rankPerRequest: undefined,
    ...changes,
  };
}

/** Who takes waits for who puts. */
function queue<T>(): { put(item: T): void; take(): Promise<T> } {
  const items: T[] = [];
  const takers: ((item: T) => void)[] = [];
  return {
    put(item) {
      const taker = takers.shift();
      if (taker === undefined) items.push(item);
      else taker(item);
    },
    take() {
      const item = items.shift();
      return item === undefined ? new Promise((resolve) => takers.push(resolve)) : Promise.resolve(item);
    },
  };
}
