// The arithmetic of the bench, and what it takes for a target that is reached.

import test from "ava";
import fc from "fast-check";
import { growth, median, pairedDifference, pairedRatio, percentile } from "../../bench/figures.ts";
import type { Round } from "../../bench/measure.ts";
import type { PeerName } from "../../bench/peers.ts";
import type { Row } from "../../bench/play.ts";
import type { SceneName } from "../../bench/scenes.ts";
import { judge } from "../../bench/targets.ts";

test("the median of an even count lies between the two in the middle, and none has none", (t) => {
  t.is(median([3, 1, 2]), 2);
  t.is(median([4, 1, 3, 2]), 2.5);
  t.is(median([5]), 5);
  t.is(median([]), Number.NaN);
  t.is(median([Number.NaN, 7]), 7, "what was not measured does not count");
});

test("as many values lie below a median as above it", (t) => {
  const numbers = fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1 });
  fc.assert(
    fc.property(numbers, (values) => {
      const middle = median(values);
      const below = values.filter((value) => value < middle).length;
      const above = values.filter((value) => value > middle).length;
      return below <= values.length / 2 && above <= values.length / 2;
    }),
  );
  t.pass();
});

test("a ratio is paired by round: a slow moment for both sides leaves it where it is", (t) => {
  t.is(pairedRatio([100, 10, 100], [200, 20, 200]), 0.5);
  t.is(pairedDifference([5, 50, 5], [4, 49, 4]), 1);
  t.is(pairedRatio([1, 2, 3], [2]), 0.5, "a round that one side lacks is left out");
  t.is(pairedRatio([1], []), Number.NaN);
  t.is(pairedRatio([1], [0]), Number.NaN);
});

test("a percentile is a value that was seen, by nearest rank", (t) => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
  t.is(percentile(hundred, 0.5), 50);
  t.is(percentile(hundred, 0.99), 99);
  t.is(percentile(hundred, 1), 100);
  t.is(percentile([7], 0.01), 7);
  t.is(percentile([], 0.5), Number.NaN);
});

test("memory that creeps is growth, a warm-up is not", (t) => {
  t.is(growth([50, 80, 100, 100, 100, 100]), 1);
  t.is(growth([100, 100, 100, 100, 200, 200]), 2);
  t.is(growth([1, 2]), Number.NaN);
});

test("a target is missed, reached or stretched by the figures of the run", (t) => {
  t.is(verdict({ replies: 1600 }, { replies: 1000 }), "missed");
  t.is(verdict({ replies: 1700 }, { replies: 1000 }), "must");
  t.is(verdict({ replies: 2300 }, { replies: 1000 }), "stretch");
});

test("a target for which a peer is missing is said not to be measured", (t) => {
  const missing: Row = { peer: "http-proxy", kind: "missing", why: "npm ci" };
  const [row] = judge(resultsOf([rowOf("budgetguard", {}), missing])).filter(isSpeed);
  t.is(row?.verdict, "not measured");
  t.is(row?.measured, undefined);
});

test("memory is flat only after ten minutes", (t) => {
  const over = (seconds: number) => {
    const row = rowOf("budgetguard", { seconds });
    const resident = [1, 2, 3].map((at) => ({ atSeconds: at, mb: 100 }));
    const targets = judge(new Map<SceneName, readonly Row[]>([["memory", [{ ...row, resident } as Row]]]));
    return targets.find(({ target }) => target.startsWith("memory over"))?.verdict;
  };
  t.is(over(30), "not measured");
  t.is(over(600), "stretch");
});

function verdict(ours: Partial<Round>, theirs: Partial<Round>) {
  return judge(resultsOf([rowOf("budgetguard", ours), rowOf("http-proxy", theirs)])).find(isSpeed)?.verdict;
}

function isSpeed({ target }: { readonly target: string }): boolean {
  return target === "requests/s / http-proxy's";
}

function resultsOf(rows: readonly Row[]) {
  return new Map<SceneName, readonly Row[]>([["tiny", rows]]);
}

function rowOf(peer: PeerName, over: Partial<Round>): Row {
  const round: Round = {
    ...{ replies: 1000, seconds: 1, bytes: 1, sentBytes: 1, p50Ms: 1, p99Ms: 2, firstMs: undefined, lost: 0 },
    ...{ busy: 0, cpuUs: 100, cpuBy: "schedstat", peerBusy: 1, idleMb: 1, peakMb: 1 },
    ...{ openMb: undefined, perConnectionKb: undefined },
    ...over,
  };
  return { peer, kind: "measured", rounds: [round], resident: [] };
}
