// Keeping a request held, over a reservation and timers made by hand: virtual time, no sockets.

import test from "ava";
import { type DurationUs, type Instant, instantUs, later, SECOND } from "../../src/metering/time.ts";
import type { Reservation } from "../../src/policy/admission.ts";
import { keepHeld } from "../../src/proxy/holding.ts";
import type { Timers } from "../../src/proxy/timers.ts";

/** An end for a test of what never ends. */
const MOST = 1000;

type Answer = Awaited<ReturnType<Reservation["extend"]>>;

/** Runs `keepHeld` for so many virtual seconds on a hold of four; says what it asked and whether it cut. */
async function run(
  seconds: number,
  answer: () => { answer: Answer | Promise<Answer>; adds: number },
  cuts: boolean,
) {
  let now = instantUs(0);
  let horizon = later(now, (4 * SECOND) as DurationUs);
  let next: { at: Instant; call: () => void } | undefined;
  const seen = { asked: [] as number[], cutAt: undefined as number | undefined };
  const timers: Timers = {
    now: () => now,
    after: (delay, call) => {
      next = { at: later(now, delay), call };
      return () => {
        next = undefined;
      };
    },
  };
  const held = {
    cuts,
    get horizon() {
      return horizon;
    },
    onShortened: () => undefined,
    extend: async () => {
      seen.asked.push(now / SECOND);
      const { answer: said, adds } = answer();
      horizon = later(horizon, (adds * SECOND) as DurationUs);
      return said;
    },
  };
  const end = keepHeld(
    held as unknown as Reservation,
    timers,
    () => {
      seen.cutAt = now / SECOND;
    },
    { isShort: () => () => undefined },
  );
  for (
    let due = next;
    due !== undefined && due.at <= seconds * SECOND && seen.asked.length < MOST;
    due = next
  ) {
    now = due.at;
    next = undefined;
    due.call();
    await new Promise((resolve) => setImmediate(resolve));
  }
  end();
  return seen;
}

test("the next slice is asked for three seconds before the held money ends", async (t) => {
  const { asked, cutAt } = await run(12, () => ({ answer: "extended", adds: 5 }), true);
  t.deepEqual(asked, [1, 6, 11]);
  t.is(cutAt, undefined);
});

test("refused by a budget that cuts, it asks on and is cut two seconds before the held money ends", async (t) => {
  const { asked, cutAt } = await run(12, () => ({ answer: "refused", adds: 0 }), true);
  t.deepEqual(asked, [1, 1.25, 1.5, 1.75]);
  t.is(cutAt, 2);
});

test("refused by a budget that cuts, it goes on when money is given back before the cut", async (t) => {
  const answers = ["refused", "unavailable", "extended"] as const;
  let at = 0;
  const { asked, cutAt } = await run(
    7,
    () => {
      const answer = answers[at++] ?? "extended";
      return { answer, adds: answer === "extended" ? 5 : 0 };
    },
    true,
  );
  t.deepEqual(asked, [1, 1.25, 1.5, 6]);
  t.is(cutAt, undefined);
});

test("while the disk does not answer it is cut in time all the same, but not where work may finish", async (t) => {
  const never = () => ({ answer: new Promise<Answer>(() => undefined), adds: 0 });
  t.like(await run(12, never, true), { asked: [1], cutAt: 2 });
  t.like(await run(12, never, false), { asked: [1], cutAt: undefined });
});

test("refused by a budget that lets work finish, it asks again every second", async (t) => {
  const { asked, cutAt } = await run(4, () => ({ answer: "refused", adds: 0 }), false);
  t.deepEqual(asked, [1, 2, 3, 4]);
  t.is(cutAt, undefined);
});

test("a request that still waits for its connection does not ask in every tick", async (t) => {
  const { asked } = await run(5, () => ({ answer: "extended", adds: 0 }), true);
  t.true(asked.length < 100, `asked ${asked.length} times in five seconds`);
});

test("who is told that its held time ends sooner asks at once, and is cut where nothing more is given", async (t) => {
  let told: () => void = () => undefined;
  let now = instantUs(0);
  let horizon = later(now, (900 * SECOND) as DurationUs);
  const planned = new Set<{ readonly at: Instant; readonly call: () => void }>();
  const timers: Timers = {
    now: () => now,
    after: (delay, call) => {
      const one = { at: later(now, delay), call };
      planned.add(one);
      return () => planned.delete(one);
    },
  };
  const held = {
    cuts: true,
    get horizon() {
      return horizon;
    },
    onShortened: (call: () => void) => {
      told = call;
    },
    extend: async () => "refused",
  };
  let isCut = false;
  const end = keepHeld(
    held as unknown as Reservation,
    timers,
    () => {
      isCut = true;
    },
    { isShort: () => () => undefined },
  );
  const due = async () => {
    for (const one of [...planned].filter(({ at }) => at <= now)) {
      planned.delete(one);
      one.call();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  now = later(now, (10 * SECOND) as DurationUs);
  horizon = now;
  await due();
  t.false(isCut, "nobody has told it");
  told();
  await due();
  await due();
  t.true(isCut);
  t.is(planned.size, 0, "and nothing is planned any more");
  end();
});
