// The results as tables for people and as one JSON value for programs. It measures and judges nothing.

import { median, pairedDifference, pairedRatio } from "./figures.ts";
import type { Round } from "./measure.ts";
import type { Row } from "./play.ts";
import type { Column, Scene } from "./scenes.ts";
import type { Results, Target } from "./targets.ts";

/** A peer's core that is less busy than this was waiting for the load. */
const BUSY = 0.9;

interface Shown {
  readonly heading: string;
  cell(row: Extract<Row, { kind: "measured" }>, nginx: readonly Round[]): string;
}

export function sceneText(scene: Scene, rows: readonly Row[]): string {
  const columns = scene.shows.flatMap((column) => COLUMNS[column]);
  const base = rows.find(({ peer }) => peer === "nginx");
  const nginx = base?.kind === "measured" ? base.rounds : [];
  const lines = rows.map((row) => {
    const name = row.peer.padEnd(NAME_WIDTH);
    if (row.kind !== "measured")
      return `${name}  ${row.kind.replace("_", " ")}: ${row.why.split(/\r?\n/)[0]}`;
    return name + columns.map((column) => padded(column.cell(row, nginx))).join("");
  });
  const heading = " ".repeat(NAME_WIDTH) + columns.map(({ heading }) => padded(heading)).join("");
  return [`\n${scene.name}: ${scene.title}`, heading, ...lines, ...notesOn(scene, rows)].join("\n");
}

export function targetsText(targets: readonly Target[]): string {
  const rows = [
    ["target", "must", "stretch", "measured", "ok?"],
    ...targets.map(({ target, must, stretch, measured, verdict }) => [
      target,
      must,
      stretch,
      measured === undefined ? "-" : measured.toFixed(2),
      VERDICTS[verdict],
    ]),
  ];
  const widths = [0, 1, 2, 3, 4].map((at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]) => row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ");
  return ["", ...rows.map((row) => line(row).trimEnd())].join("\n");
}

const VERDICTS: Readonly<Record<Target["verdict"], string>> = {
  stretch: "yes, the stretch",
  must: "yes",
  missed: "NO",
  "not measured": "not measured in this run",
};

/** Medians of the rounds, ratios to nginx paired by round, and every round as it was. */
export function asJson(results: Results, targets: readonly Target[], run: object): string {
  const scenes = [...results].map(([scene, rows]) => {
    const base = rows.find(({ peer }) => peer === "nginx");
    const nginx = base?.kind === "measured" ? base.rounds : [];
    return { scene, rows: rows.map((row) => (row.kind === "measured" ? summed(row, nginx) : row)) };
  });
  return JSON.stringify({ ...run, scenes, targets });
}

function summed(row: Extract<Row, { kind: "measured" }>, nginx: readonly Round[]) {
  const { rounds } = row;
  return {
    ...row,
    median: {
      requestsPerSecond: median(rounds.map(speed)),
      mbPerSecond: median(rounds.map(bulk)),
      p50Ms: median(rounds.map(p50)),
      p99Ms: median(rounds.map(({ p99Ms }) => p99Ms)),
      firstMs: medianOf(rounds, ({ firstMs }) => firstMs),
      cpuUs: median(rounds.map(cpu)),
      idleMb: median(rounds.map(({ idleMb }) => idleMb)),
      peakMb: median(rounds.map(({ peakMb }) => peakMb)),
      openMb: medianOf(rounds, ({ openMb }) => openMb),
      perConnectionKb: medianOf(rounds, ({ perConnectionKb }) => perConnectionKb),
    },
    besideNginx: {
      requestsPerSecond: pairedRatio(rounds.map(speed), nginx.map(speed)),
      cpuUs: pairedRatio(rounds.map(cpu), nginx.map(cpu)),
      addedP50Ms: pairedDifference(rounds.map(p50), nginx.map(p50)),
    },
  };
}

const speed = ({ replies, seconds }: Round) => replies / seconds;
/** Of replies or, in uploads, of what was sent: the request carries the larger part then. */
const bulk = ({ bytes, sentBytes, seconds }: Round) => Math.max(bytes, sentBytes) / 1e6 / seconds;
const cpu = ({ cpuUs }: Round) => cpuUs;
const p50 = ({ p50Ms }: Round) => p50Ms;

const before = plain("before MB", ({ idleMb }) => idleMb, 0);

const COLUMNS: Readonly<Record<Column, readonly Shown[]>> = {
  perSecond: [plain("requests/s", speed, 0), times(speed)],
  mbPerSecond: [plain("MB/s", bulk, 0), times(bulk)],
  p50: [
    plain("p50 ms", p50, 3),
    {
      heading: "- nginx",
      cell: ({ rounds }, nginx) => number(pairedDifference(rounds.map(p50), nginx.map(p50)), 3),
    },
  ],
  p99: [plain("p99 ms", ({ p99Ms }) => p99Ms, 2)],
  first: [plain("first ms", ({ firstMs }) => firstMs ?? Number.NaN, 2)],
  cpu: [plain("CPU us", cpu, 0), times(cpu)],
  rss: [before, plain("peak MB", ({ peakMb }) => peakMb, 0)],
  open: [
    before,
    plain("peak MB", ({ peakMb }) => peakMb, 0),
    plain("open MB", ({ openMb }) => openMb ?? Number.NaN, 0),
  ],
  perConnection: [
    plain("KB/conn", ({ perConnectionKb }) => perConnectionKb ?? Number.NaN, 1),
    plain("lost", ({ lost }) => lost, 0),
  ],
};

function plain(heading: string, figure: (round: Round) => number, digits: number): Shown {
  return { heading, cell: ({ rounds }) => number(median(rounds.map(figure)), digits) };
}

function times(figure: (round: Round) => number): Shown {
  return {
    heading: "x nginx",
    cell: ({ rounds }, nginx) => number(pairedRatio(rounds.map(figure), nginx.map(figure)), 2),
  };
}

function notesOn(scene: Scene, rows: readonly Row[]): readonly string[] {
  const measured = rows.filter((row) => row.kind === "measured");
  const idlers = measured.filter(({ rounds }) => median(rounds.map(({ peerBusy }) => peerBusy)) < BUSY);
  const coarse = measured.filter(({ rounds }) => rounds.some(({ cpuBy }) => cpuBy === "ticks"));
  const names = (some: typeof measured) => some.map(({ peer }) => peer).join(", ");
  const isSpeed = scene.shows.includes("perSecond") || scene.shows.includes("mbPerSecond");
  return [
    ...(isSpeed && idlers.length > 0
      ? [`  held back by the load or the upstream, not by their own core: ${names(idlers)}`]
      : []),
    ...(coarse.length > 0 ? [`  CPU by ticks of 10 ms: ${names(coarse)}`] : []),
  ];
}

function medianOf(rounds: readonly Round[], figure: (round: Round) => number | undefined) {
  const value = median(rounds.map((round) => figure(round) ?? Number.NaN));
  return Number.isNaN(value) ? undefined : value;
}

function number(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : "-";
}

const NAME_WIDTH = 17;

function padded(text: string): string {
  return text.padStart(11);
}
