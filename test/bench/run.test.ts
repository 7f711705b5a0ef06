// The bench itself: that it runs, counts what it says it counts, and tells who is missing. No figure is judged.

import { fileURLToPath } from "node:url";
import test from "ava";
import { measureDecisions } from "../../bench/decision.ts";
import { parseOptions } from "../../bench/options.ts";
import { PEER_NAMES } from "../../bench/peers.ts";
import { coresOf, pinningOn } from "../../bench/pinning.ts";
import { forgetPeak, peakMb, readCpu, residentMb, spentBetween, treeOf } from "../../bench/processes.ts";
import { measureSteps, stepsText } from "../../bench/steps.ts";
import { run } from "../support/program.ts";

const BENCH = fileURLToPath(new URL("../../bench/run.ts", import.meta.url));
const SHORT = ["--rounds", "1", "--seconds", "0.2", "--connections", "2", "--settle", "0", "--json"];

interface Output {
  readonly pinning: string;
  readonly scenes: readonly {
    readonly scene: string;
    readonly rows: readonly {
      readonly peer: string;
      readonly kind: string;
      readonly why?: string;
      readonly rounds?: readonly {
        readonly replies: number;
        readonly cpuUs: number;
        readonly p50Ms: number;
      }[];
      readonly median?: { readonly requestsPerSecond: number };
    }[];
  }[];
  readonly targets: readonly { readonly target: string; readonly verdict: string }[];
}

test("each kind of load runs over the gateway: all replies come whole, and all figures are there", async (t) => {
  const scenes = ["fixed", "upload", "sse", "idle"].flatMap((name) => ["--scene", name]);
  const { output, stderr } = await bench([...SHORT, ...scenes, "--peer", "direct", "--peer", "budgetguard"]);
  t.is(stderr, "");
  t.is(output.scenes.length, 4);
  for (const { scene, rows } of output.scenes) {
    t.is(rows.length, 2);
    for (const { peer, kind, rounds, why } of rows) {
      t.is(kind, "measured", `${peer} in ${scene}: ${why}`);
      const [round] = rounds ?? [];
      t.true((round?.replies ?? 0) > 0 && (round?.cpuUs ?? 0) > 0 && (round?.p50Ms ?? 0) > 0, scene);
    }
  }
  const speed = output.targets.find(({ target }) => target.startsWith("requests/s"));
  t.is(speed?.verdict, "not measured", "http-proxy was not asked for");
});

test("a peer that is missing is said on stderr and in the row, with its cure", async (t) => {
  const peers = ["--peer", "http-proxy", "--peer", "httpxy", "--modules", "/nonexistent"];
  const { output, stderr } = await bench([...SHORT, "--scene", "tiny", ...peers], { PATH: "/nonexistent" });
  const rows = output.scenes[0]?.rows ?? [];
  t.deepEqual(
    rows.map(({ peer }) => peer),
    ["http-proxy", "httpxy"],
  );
  for (const { peer, kind, why = "" } of rows) {
    t.is(kind, "missing");
    t.true(stderr.includes(`${peer} is not measured, it is missing: ${why}`));
    t.is(why, "npm ci --prefix /nonexistent --ignore-scripts");
  }
  t.regex(output.pinning, /nothing is pinned: (taskset is missing|this machine allows one core)/);
});

test("options are parsed before anything starts, and a wrong one is named", (t) => {
  const all = parseOptions([]);
  t.like(all, { kind: "options", options: { rounds: 5, seconds: 3, peers: PEER_NAMES, json: false } });
  const wrong = [
    ["--rounds", "0"],
    ["--scene", "tin"],
    ["--peer", "x"],
    ["--seconds", "no"],
    ["--fast"],
    ["x"],
  ];
  for (const args of wrong) {
    const parsed = parseOptions(args);
    t.is(parsed.kind, "usage", args.join(" "));
    t.true(parsed.kind === "usage" && parsed.text.split("\n").length > 2 && !parsed.text.startsWith("npm"));
  }
});

test("the peer has a core that neither load nor upstream is on", (t) => {
  t.deepEqual(coresOf("0-2,5"), [0, 1, 2, 5]);
  for (const list of ["0-1", "0-2", "2-7", "1,3"]) {
    const { peer, load, upstream } = pinningOn(coresOf(list));
    t.not(peer[2], load[2]);
    t.not(peer[2], upstream[2]);
  }
});

test("CPU time is what was spent, and a thread that ended is not forgotten", (t) => {
  const before = { threads: new Map([["1/1", 100]]), ticksNs: 0 };
  const grown = {
    threads: new Map([
      ["1/1", 150],
      ["1/2", 30],
    ]),
    ticksNs: 10_000_000,
  };
  t.deepEqual(spentBetween(before, grown), { ns: 80, by: "schedstat" });
  const ended = { threads: new Map([["1/2", 30]]), ticksNs: 10_000_000 };
  t.deepEqual(spentBetween(before, ended), { ns: 10_000_000, by: "ticks" });

  const own = treeOf(process.pid);
  t.true(own.includes(process.pid));
  const began = readCpu(own);
  // A machine that is busy elsewhere may give this thread nothing for a while: it works until it was counted.
  for (const from = performance.now(); performance.now() - from < 10_000; ) {
    if (spentBetween(began, readCpu(own)).ns > 1_000_000) break;
  }
  t.true(spentBetween(began, readCpu(own)).ns > 1_000_000, "no work was counted in 10 s");
  t.true(residentMb(own) > 10, `${residentMb(own)} MB are resident`);
  forgetPeak(own);
  t.true(peakMb(own) > 10, `the peak is ${peakMb(own)} MB`);
});

test("a decision is timed under a policy of each size", async (t) => {
  const size = { budgets: 20, upstreams: 5, serving: 3, balances: 4 };
  const [cost] = await measureDecisions([size], 10);
  t.is(cost?.covering, 6);
  t.true(cost !== undefined && cost.p50 > 0 && cost.p99 >= cost.p50);
});

test("each step of the gateway's own work is timed", async (t) => {
  const steps = await measureSteps(10);
  t.true(steps.length >= 7);
  for (const { step, ns } of steps) t.true(Number.isFinite(ns) && ns >= 0, step);
  t.true(steps.some(({ ns }) => ns > 0));
  t.regex(stepsText(steps), /metrics and access line are \d+\.\d\d of the policy decision/);
});

async function bench(args: readonly string[], environment: Record<string, string> = {}) {
  const { stdout, stderr } = await run(process.execPath, [BENCH, ...args], {
    env: { ...process.env, ...environment },
  });
  const lines = stdout.trim().split("\n");
  if (lines.length !== 1) throw new Error(`not one line of JSON: ${stdout}${stderr}`);
  return { output: JSON.parse(lines[0] ?? "") as Output, stderr };
}
