// npm run sim -- --seeds 10000 [--from 1] [--workers 2]: many seeds, one line at the end. Each that fails is
// named; exit 1 where one did. Seeds are shared out over threads, a few at a time.

import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import type { Slice, Told } from "./run-worker.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    workers: { type: "string", default: String(availableParallelism()) },
  },
});
const from = Number(values.from);
const seeds = Number(values.seeds);
/** Seeds that a thread takes at a time. */
const SLICE = 20;
const outcomes = new Map<string, number>();
const failures: string[] = [];
let crashes = 0;
let next = from;

const began = performance.now();
await Promise.all(Array.from({ length: Math.max(1, Number(values.workers)) }, runWorker));
const perSecond = (seeds / ((performance.now() - began) / 1000)).toFixed(0);
const said = [...outcomes].sort().map(([outcome, count]) => `${outcome} ${count}`);
const verdict = failures.length === 0 ? "no failure" : `${failures.length} FAILED`;
console.log(
  `${seeds} seeds from ${from}: ${verdict}; ${perSecond} a second; ${crashes} power cuts; ${said.join(", ")}`,
);
if (failures.length > 0) process.exitCode = 1;

function runWorker(): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./run-worker.ts", import.meta.url));
    const give = () => {
      const slice: Slice = { from: next, to: Math.min(next + SLICE, from + seeds) };
      next = slice.to;
      if (slice.from < slice.to) worker.postMessage(slice);
      else void worker.terminate().then(() => resolve());
    };
    worker.on("message", (told: Told) => {
      crashes += told.crashes;
      for (const [what, count] of told.outcomes) outcomes.set(what, (outcomes.get(what) ?? 0) + count);
      for (const failure of told.failures) console.error(failure);
      failures.push(...told.failures);
      give();
    });
    worker.on("error", reject);
    give();
  });
}
