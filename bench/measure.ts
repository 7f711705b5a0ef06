// One round: the load in its own process over one peer, and what the kernel says of the peer before and after.
// It also asks the upstream whether it served as much as the client got.

import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Job, Said, Sample } from "./job.ts";
import type { Peer } from "./peer.ts";
import { forgetPeak, peakMb, readCpu, residentMb, spentBetween } from "./processes.ts";
import { EVENTS } from "./traffic.ts";
import type { Upstream } from "./upstream-process.ts";

export interface Round extends Sample {
  /** Of all requests' bodies. */
  readonly sentBytes: number;
  /** Of all processes of the peer, for one request; for one event where the scene streams. */
  readonly cpuUs: number;
  readonly cpuBy: "schedstat" | "ticks";
  /** The share of one core that the peer took: where it is well below 1, its requests/s are the load's. */
  readonly peerBusy: number;
  /** Before the load, while it asks at most, and with the connections of the idle scene open. */
  readonly idleMb: number;
  readonly peakMb: number;
  readonly openMb: number | undefined;
  /** Of 1,000 bytes, for one idle connection. */
  readonly perConnectionKb: number | undefined;
}

const LOADER = fileURLToPath(new URL("loader.ts", import.meta.url));
export async function measureRound(
  peer: Peer,
  upstream: Upstream,
  job: Job,
  under: readonly string[],
  quietMs: number,
): Promise<Round> {
  const served = await upstream.counted();
  const load = startLoad(job, under);
  try {
    await load.next("ready");
    const pids = peer.pids();
    forgetPeak(pids);
    const idleMb = residentMb(pids);
    const before = readCpu(pids);
    load.go();
    const openMb = job.load.kind === "idle" ? await idling(load, peer, quietMs) : undefined;
    const { sample } = await load.next("sample");
    const after = peer.pids();
    const spent = spentBetween(before, readCpu(after));
    const { requests } = await upstream.counted();
    if (requests - served.requests < sample.replies) {
      throw new Error(`the upstream made ${requests - served.requests} of ${sample.replies} replies`);
    }
    const units = job.load.kind === "streams" ? sample.replies * EVENTS : sample.replies;
    return {
      ...sample,
      sentBytes: sample.replies * Buffer.byteLength(job.ask.body),
      cpuUs: spent.ns / 1000 / units,
      cpuBy: spent.by,
      peerBusy: spent.ns / 1e9 / sample.seconds,
      idleMb,
      peakMb: peakMb(after),
      openMb,
      perConnectionKb: openMb === undefined ? undefined : ((openMb - idleMb) * 1000) / job.load.connections,
    };
  } finally {
    await load.close();
  }
}

/** The memory with all connections open, after they were silent for so long. */
async function idling(load: LoadProcess, peer: Peer, quietMs: number): Promise<number> {
  await load.next("idle");
  await load.next("ready");
  await sleep(quietMs);
  const openMb = residentMb(peer.pids());
  load.go();
  return openMb;
}

interface LoadProcess {
  /** What it says next; throws where that is something else. */
  next<K extends Said["kind"]>(kind: K): Promise<Extract<Said, { kind: K }>>;
  go(): void;
  close(): Promise<void>;
}

function startLoad(job: Job, under: readonly string[]): LoadProcess {
  const [program = process.execPath, ...args] = [...under, process.execPath];
  const child = fork(LOADER, [], {
    execPath: program,
    execArgv: args,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const said: Said[] = [];
  let wake = Promise.withResolvers<void>();
  const add = (one: Said) => {
    said.push(one);
    wake.resolve();
    wake = Promise.withResolvers();
  };
  const ended = once(child, "exit").then(([code, signal]) => {
    add({ kind: "failed", why: `the load ended with ${code ?? signal}` });
  });
  child.on("message", (message) => add(message as Said));
  // Not as an argument: with the body of an upload it would be longer than the system takes.
  child.send(job);
  return {
    async next(kind) {
      while (said.length === 0) await wake.promise;
      const one = said.shift();
      if (one?.kind === "failed") throw new Error(one.why);
      if (one?.kind !== kind) throw new Error(`the load said ${one?.kind}, not ${kind}`);
      return one as never;
    },
    go: () => void child.send("go"),
    async close() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}
