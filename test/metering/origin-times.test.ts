// The origin's table is exact at its keys, and time grows with the work everywhere between and beyond them.

import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { originTime } from "../../src/metering/origin-times.ts";
import { seconds } from "../../src/metering/time.ts";

const RUNS = { seed: 20261128, numRuns: 300 };

function check(t: ExecutionContext, tier: string, side: number, steps: number, expected: number): void {
  const time = originTime(tier, { width: side, height: side, steps, images: 1 });
  t.is(time, seconds(expected), `${tier} ${side} ${steps}`);
}

test("all keys of the origin's table are exact", (t) => {
  const table: Record<string, readonly [number, number, number]> = {
    cpu: [540, 1080, 3600],
    rtx_3060: [2, 4, 15],
    rtx_4000_ada: [1.5, 3, 10],
    rtx_4090: [0.8, 1.5, 5],
    local_gpu: [3, 5, 15],
  };
  for (const [tier, [few, small, large]] of Object.entries(table)) {
    check(t, tier, 512, 10, few);
    check(t, tier, 512, 20, small);
    check(t, tier, 1024, 20, large);
  }
});

test("what the origin left alone is scaled: large sizes, few steps, sizes between", (t) => {
  check(t, "rtx_4000_ada", 2048, 20, 40);
  check(t, "rtx_4000_ada", 1024, 40, 20);
  check(t, "rtx_4000_ada", 512, 5, 0.75);
  check(t, "rtx_4000_ada", 512, 11, 1.65);
  check(t, "rtx_4000_ada", 256, 20, 0.75);
});

test("four images take four times as long", (t) => {
  t.is(originTime("rtx_4090", { width: 1024, height: 1024, steps: 20, images: 4 }), seconds(20));
});

test("a tier is known however its words are joined, and an unknown one is not guessed", (t) => {
  const work = { width: 1024, height: 1024, steps: 20, images: 1 };
  t.is(originTime("RTX-4090", work), seconds(5));
  t.is(originTime("a40", work), undefined);
});

test("more work never takes less time, and no number of a client's takes longer than a day", (t) => {
  const number = fc.oneof(fc.integer({ min: 0, max: 4096 }), fc.double({ min: 0, noNaN: true }));
  const law = fc.property(number, number, number, number, (width, height, steps, more) => {
    const one = originTime("cpu", { width, height, steps, images: 1 }) ?? -1;
    const other = originTime("cpu", { width: width + more, height, steps, images: 1 }) ?? -1;
    const third = originTime("cpu", { width, height, steps: steps + more, images: 1 }) ?? -1;
    t.true(one >= 0 && one <= other && one <= third && other <= seconds(86_400));
  });
  fc.assert(law, RUNS);
});
