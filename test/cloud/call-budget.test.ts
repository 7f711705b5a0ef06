// How calls_per_minute are spent: spread over the minute, so that what is watched closely is never out of sight
// for long. On a clock that only the test moves.

import { setImmediate as turn } from "node:timers/promises";
import test from "ava";
import { CallBudget } from "../../src/cloud/call-budget.ts";
import { type DurationUs, MINUTE, SECOND, seconds } from "../../src/metering/time.ts";

function rigOf() {
  const timers = new Map<object, { readonly at: number; readonly call: () => void }>();
  const rig = { now: 0 };
  const budget = new CallBudget({
    key: "providers.aws.calls_per_minute",
    monotonic: () => rig.now as DurationUs,
    after: (delay, call) => {
      const key = {};
      timers.set(key, { at: rig.now + delay, call });
      return () => timers.delete(key);
    },
  });
  async function pass(time: DurationUs): Promise<void> {
    for (const until = rig.now + time; rig.now < until; ) {
      await turn();
      const next = Math.min(until, ...[...timers.values()].map(({ at }) => at));
      rig.now = Math.max(rig.now, next);
      for (const [key, { at, call }] of timers) {
        if (at > rig.now) continue;
        timers.delete(key);
        call();
      }
    }
    await turn();
  }
  return { rig, budget, pass };
}

const never = new AbortController().signal;

test("a start that is watched closely is never out of sight for more than a few seconds", async (t) => {
  const { rig, budget, pass } = rigOf();
  const at: number[] = [];
  const ended = new AbortController();
  const watch = async () => {
    while (!ended.signal.aborted) {
      // A look is several calls, one after the other, every two seconds.
      for (let call = 0; call < 4; call += 1) {
        await budget.take(false, never);
        at.push(rig.now);
      }
      await pause();
    }
  };
  const pauses: (() => void)[] = [];
  const pause = () => new Promise<void>((resolve) => pauses.push(resolve));
  void watch();
  for (let time = 0; time < 300; time += 2) {
    for (const go of pauses.splice(0)) go();
    await pass(seconds(2));
  }
  ended.abort();
  const gaps = at.slice(1).map((one, index) => one - (at[index] ?? 0));
  const longest = Math.max(...gaps) / SECOND;
  t.true(longest <= 12, `${longest} s without a call`);
  for (const one of at) {
    const inMinute = at.filter((other) => other >= one && other < one + MINUTE).length;
    t.true(inMinute <= 48, `${inMinute} in a minute`);
  }
  t.true(at.length >= 5 * 40, `${at.length} calls in 5 minutes are of use`);
});

test("an order goes at once, however closely is looked", async (t) => {
  const { rig, budget, pass } = rigOf();
  const looks = Array.from({ length: 48 }, () => budget.take(false, never));
  await pass(MINUTE);
  await Promise.all(looks);
  const before = rig.now;
  for (let order = 0; order < 12; order += 1) await budget.take(true, never);
  t.is(rig.now, before);
});
