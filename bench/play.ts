// Plays a scene: starts its peers, warms each, and measures them in turns, so that a machine that is slow for
// a while is slow for all. A peer that is missing or fails is a row too, and the others go on.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Job } from "./job.ts";
import { measureRound, type Round } from "./measure.ts";
import type { Options } from "./options.ts";
import type { Peer } from "./peer.ts";
import { type PeerName, RECIPES } from "./peers.ts";
import type { Pinning } from "./pinning.ts";
import { residentMb } from "./processes.ts";
import type { Scene } from "./scenes.ts";
import type { Upstream } from "./upstream-process.ts";

export type Row = { readonly peer: PeerName } & (
  | { readonly kind: "measured"; readonly rounds: readonly Round[]; readonly resident: readonly Resident[] }
  | { readonly kind: "missing" | "left_out" | "failed"; readonly why: string }
);

/** Of the memory scene. */
export interface Resident {
  readonly atSeconds: number;
  readonly mb: number;
}

export interface Stage {
  readonly options: Options;
  readonly pinning: Pinning;
  readonly upstream: Upstream;
  /** Where peers get folders of their own. */
  readonly folder: string;
  say(line: string): void;
}

const SAMPLE_EACH_MS = 30_000;
let made = 0;

export async function play(stage: Stage, scene: Scene): Promise<readonly Row[]> {
  const { options } = stage;
  const rows = new Map<PeerName, Row>();
  const sessions = scene.fresh ? options.rounds : 1;
  for (let session = 0; session < sessions; session += 1) {
    const running = await startAll(stage, scene, rows);
    try {
      // What a process needs to start, such as a thread of its own, is no part of it for good.
      if (scene.fresh) await sleep(options.settle * 1000);
      const rounds = scene.fresh || scene.name === "memory" ? 1 : options.rounds;
      for (let round = 0; round < rounds; round += 1) {
        for (const [name, peer] of running) await playOne(stage, scene, rows, name, peer);
      }
    } finally {
      for (const [name, peer] of running) if (name !== "direct") await peer.close();
    }
  }
  return options.peers.flatMap((name) => rows.get(name) ?? []);
}

async function startAll(stage: Stage, scene: Scene, rows: Map<PeerName, Row>): Promise<Map<PeerName, Peer>> {
  const running = new Map<PeerName, Peer>();
  for (const name of stage.options.peers) {
    const known = rows.get(name);
    if (known !== undefined && known.kind !== "measured") continue;
    const why = RECIPES[name].leftOut(scene.name);
    if (why !== undefined) {
      rows.set(name, { peer: name, kind: "left_out", why });
      continue;
    }
    await attempt(stage, scene, rows, name, async () => {
      const peer = await startOne(stage, name);
      if (typeof peer === "string") {
        rows.set(name, { peer: name, kind: "missing", why: peer });
        stage.say(`${name} is not measured, it is missing: ${peer}`);
        return;
      }
      running.set(name, peer);
      // A first round is thrown away: until its code is compiled, a peer is another program.
      if (!scene.fresh) await measureRound(...roundOf(stage, scene, peer, msOf(stage)));
    });
  }
  return running;
}

/** A peer, or how to install it. */
async function startOne(
  { options, upstream, pinning, folder }: Stage,
  name: PeerName,
): Promise<Peer | string> {
  const { start } = RECIPES[name];
  if (start === undefined) return upstream.direct;
  made += 1;
  const own = join(folder, `${name}-${made}`);
  mkdirSync(own);
  const started = await start({
    folder: own,
    modules: options.modules,
    upstreamPort: upstream.direct.port,
    under: pinning.peer,
  });
  return started.kind === "missing" ? started.cure : started.peer;
}

async function playOne(
  stage: Stage,
  scene: Scene,
  rows: Map<PeerName, Row>,
  name: PeerName,
  peer: Peer,
): Promise<void> {
  const known = rows.get(name);
  if (known !== undefined && known.kind !== "measured") return;
  await attempt(stage, scene, rows, name, async () => {
    const isLong = scene.name === "memory";
    const ms = isLong ? stage.options.minutes * 60_000 : msOf(stage);
    const watch = isLong ? watchMemory(stage, name, peer) : undefined;
    try {
      const round = await measureRound(...roundOf(stage, scene, peer, ms));
      const rounds = [...(known?.rounds ?? []), round];
      rows.set(name, { peer: name, kind: "measured", rounds, resident: watch?.seen ?? [] });
    } finally {
      watch?.stop();
    }
  });
}

async function attempt(
  stage: Stage,
  scene: Scene,
  rows: Map<PeerName, Row>,
  name: PeerName,
  act: () => Promise<void>,
): Promise<void> {
  try {
    await act();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    rows.set(name, { peer: name, kind: "failed", why });
    stage.say(`${name} failed in ${scene.name}: ${why.split("\r\n")[0]}`);
  }
}

function roundOf(stage: Stage, scene: Scene, peer: Peer, ms: number): Parameters<typeof measureRound> {
  const load = scene.load({ ms, connections: stage.options.connections });
  const job: Job = { port: peer.port, headers: peer.headers, ask: scene.ask, load };
  return [peer, stage.upstream, job, stage.pinning.load, stage.options.settle * 1000];
}

function msOf({ options }: Stage): number {
  return options.seconds * 1000;
}

/** Says what it sees, too: ten minutes are long. */
function watchMemory({ say, options }: Stage, name: PeerName, peer: Peer) {
  const seen: Resident[] = [];
  const begun = performance.now();
  const look = () => {
    const atSeconds = Math.round((performance.now() - begun) / 1000);
    const mb = residentMb(peer.pids());
    seen.push({ atSeconds, mb });
    say(`${name} after ${atSeconds} s: ${mb.toFixed(0)} MB`);
  };
  // A short try shows several figures too.
  const timer = setInterval(look, Math.min(SAMPLE_EACH_MS, options.minutes * 6_000));
  return { seen, stop: () => clearInterval(timer) };
}
