// Requests of one bucket are about as much work; what a body does not say is not guessed.

import test, { type ExecutionContext } from "ava";
import { bucketOf, type WorkFacts } from "../../src/metering/work-bucket.ts";

function check(t: ExecutionContext, work: WorkFacts, expected: string): void {
  t.is(bucketOf(work), expected);
}

const picture = (width?: number, height?: number, steps?: number, images = 1): WorkFacts => ({
  ...{ kind: "picture", width, height, steps, images },
});

test("a bucket of pictures ends where there is twice the work, by pixels, steps or images alike", (t) => {
  check(t, picture(1024, 1024, 16), "p24");
  check(t, picture(1024, 1024, 31), "p24");
  check(t, picture(1024, 1024, 32), "p25");
  check(t, picture(2048, 1024, 16), "p25");
  check(t, picture(1024, 1024, 16, 2), "p25");
  check(t, picture(1024, 1024, 15), "p23");
});

test("what a body leaves out keeps it apart from those that say it", (t) => {
  check(t, picture(undefined, undefined, 4), "p2-size");
  check(t, picture(1024, undefined, 4), "p2-size");
  check(t, picture(512, 512), "p18-steps");
  check(t, picture(), "p0-size-steps");
  check(t, { kind: "tokens", prompt: 100, answer: undefined }, "t6-answer");
  check(t, { kind: "unsaid" }, "u");
});

test("tokens of prompt and answer count together", (t) => {
  check(t, { kind: "tokens", prompt: 100, answer: 411 }, "t8");
  check(t, { kind: "tokens", prompt: 100, answer: 412 }, "t9");
});

test("numbers that no NIM would take make no buckets without end", (t) => {
  check(t, picture(1e308, 1e308, 1e308), "p60");
  check(t, picture(0, 0, 0), "p0");
});
