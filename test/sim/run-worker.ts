// One thread of npm run sim: runs the seeds that it is given, and says what came of them.

import { parentPort } from "node:worker_threads";
import { LocalAccounts } from "../../src/ledger/accounts.ts";
import { simulate } from "./simulation.ts";

export interface Slice {
  readonly from: number;
  /** Not part of it. */
  readonly to: number;
}

export interface Told {
  readonly outcomes: ReadonlyMap<string, number>;
  readonly crashes: number;
  /** One line each, with its seed. */
  readonly failures: readonly string[];
}

parentPort?.on("message", async ({ from, to }: Slice) => {
  const outcomes = new Map<string, number>();
  const failures: string[] = [];
  let crashes = 0;
  for (let seed = from; seed < to; seed += 1) {
    try {
      const report = await simulate(seed, (options) => new LocalAccounts(options));
      crashes += report.crashes;
      for (const [what, count] of report.outcomes) outcomes.set(what, (outcomes.get(what) ?? 0) + count);
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  parentPort?.postMessage({ outcomes, crashes, failures } satisfies Told);
});
