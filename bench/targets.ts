// What the gateway must reach and what it should try for, as ratios of one run: computed where the run has the
// scenes and peers for it, and said to be open where it has not.

import { growth, median, pairedDifference, pairedRatio } from "./figures.ts";
import type { Round } from "./measure.ts";
import type { PeerName } from "./peers.ts";
import type { Row } from "./play.ts";
import type { SceneName } from "./scenes.ts";

export type Results = ReadonlyMap<SceneName, readonly Row[]>;

export interface Target {
  readonly target: string;
  readonly must: string;
  readonly stretch: string;
  /** Undefined where this run cannot say. */
  readonly measured: number | undefined;
  readonly verdict: "stretch" | "must" | "missed" | "not measured";
}

interface Aim {
  readonly target: string;
  readonly better: "lower" | "higher";
  readonly must: number;
  readonly stretch: number;
  readonly unit: string;
  measure(results: Results): number;
}

export function judge(results: Results): readonly Target[] {
  return AIMS.map((aim) => {
    const sign = aim.better === "lower" ? "<=" : ">=";
    const measured = aim.measure(results);
    return {
      target: aim.target,
      must: `${sign} ${aim.must} ${aim.unit}`,
      stretch: `${sign} ${aim.stretch} ${aim.unit}`,
      measured: Number.isFinite(measured) ? measured : undefined,
      verdict: verdictOf(aim, measured),
    };
  });
}

function verdictOf({ better, must, stretch }: Aim, measured: number): Target["verdict"] {
  if (!Number.isFinite(measured)) return "not measured";
  const reaches = (goal: number) => (better === "lower" ? measured <= goal : measured >= goal);
  if (reaches(stretch)) return "stretch";
  return reaches(must) ? "must" : "missed";
}

const cpu = (round: Round) => round.cpuUs;
const speed = (round: Round) => round.replies / round.seconds;
const p50 = (round: Round) => round.p50Ms;

/** A peer's memory may creep by so much in ten minutes before it is called growth. */
const FLAT = 1.05;

const AIMS: readonly Aim[] = [
  lower("CPU per tiny request / http-proxy's", 0.6, 0.45, "x", ratio("tiny", "http-proxy", cpu)),
  lower("CPU per tiny request / nginx's", 5, 3.5, "x", ratio("tiny", "nginx", cpu)),
  higher("requests/s / http-proxy's", 1.7, 2.3, "x", ratio("tiny", "http-proxy", speed)),
  higher("chat requests/s / Portkey's", 8, 15, "x", ratio("chat", "portkey", speed)),
  lower("p50 at 300/s, free upstream, over nginx's", 0.35, 0.2, "ms", (results) =>
    pairedDifference(of(results, "fixed", "budgetguard-free", p50), of(results, "fixed", "nginx", p50)),
  ),
  lower("p50 at 300/s, durable hold and charge, over free", 2, 1, "ms", (results) =>
    pairedDifference(of(results, "fixed", "budgetguard", p50), of(results, "fixed", "budgetguard-free", p50)),
  ),
  higher("2 MB replies, MB/s / nginx's", 0.35, 0.55, "x", ratio("download", "nginx", speed)),
  higher("10 MB uploads, MB/s / nginx's", 0.35, 0.5, "x", ratio("upload", "nginx", speed)),
  lower("SSE event delay p50 over nginx's", 0.6, 0.25, "ms", (results) =>
    pairedDifference(of(results, "sse", "budgetguard", p50), of(results, "sse", "nginx", p50)),
  ),
  lower("memory before any load", 130, 100, "MB", (results) => ownMb(results, "idle", "idleMb")),
  lower("memory at most with 2 MB replies", 300, 200, "MB", (results) =>
    Math.max(ownMb(results, "download", "peakMb"), zeroFor(ownMb(results, "memory", "peakMb"))),
  ),
  lower("memory with 5,000 idle connections", 260, 200, "MB", (results) => ownMb(results, "idle", "openMb")),
  lower("memory over 10 minutes, last third / second", FLAT, FLAT, "x", flatness),
];

function ratio(scene: SceneName, other: PeerName, figure: (round: Round) => number) {
  return (results: Results) =>
    pairedRatio(of(results, scene, "budgetguard", figure), of(results, scene, other, figure));
}

function ownMb(results: Results, scene: SceneName, field: "idleMb" | "peakMb" | "openMb"): number {
  return median(of(results, scene, "budgetguard", (round) => round[field] ?? Number.NaN));
}

/** The memory scene is a further witness, not a needed one. */
function zeroFor(value: number): number {
  return Number.isNaN(value) ? 0 : value;
}

/** Only ten minutes are ten minutes. */
function flatness(results: Results): number {
  const row = results.get("memory")?.find(({ peer }) => peer === "budgetguard");
  if (row?.kind !== "measured") return Number.NaN;
  const isLong = (row.rounds[0]?.seconds ?? 0) >= 599;
  return isLong ? growth(row.resident.map(({ mb }) => mb)) : Number.NaN;
}

function of(
  results: Results,
  scene: SceneName,
  peer: PeerName,
  figure: (round: Round) => number,
): readonly number[] {
  const row = results.get(scene)?.find((one) => one.peer === peer);
  return row?.kind === "measured" ? row.rounds.map(figure) : [];
}

function lower(target: string, must: number, stretch: number, unit: string, measure: Aim["measure"]): Aim {
  return { target, better: "lower", must, stretch, unit, measure };
}

function higher(target: string, must: number, stretch: number, unit: string, measure: Aim["measure"]): Aim {
  return { target, better: "higher", must, stretch, unit, measure };
}
