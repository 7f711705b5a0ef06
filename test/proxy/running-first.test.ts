// A limit that is raised is there for running requests before anybody who waits (MONEY §6).

import test from "ava";
import { MoneyRig } from "../support/money-rig.ts";
import { budget, perHour, policy, upstream } from "../support/policies.ts";

const of = (limit_usd: string) =>
  policy({
    upstreams: [upstream("hourly", { price: perHour("3.6") })],
    budgets: [budget("day", { limit_usd, onLimit: "queue", overrun: "cut" })],
  });

test("running requests that were refused a slice take what a raise brings before the first in line", async (t) => {
  // 12 s are held for each, and slices are 5 s.
  const rig = new MoneyRig(of("0.025"));
  const running = [rig.ask("a"), rig.ask("b")];
  await rig.settle();
  rig.ask("c");
  // Asked three seconds before the held money ends, and refused.
  await rig.pass(9.1);
  await rig.reload(of("0.036"));
  await rig.settle();
  // 12 s are left now: two slices, or c.
  t.deepEqual(
    [...rig.accounts.book.all()].map(({ balance }) => balance.held),
    [34_000_000n as never],
  );
  await rig.pass(2);
  t.deepEqual(
    running.map(({ attempt }) => attempt === undefined),
    [false, false],
    "they were cut, though there was money for them",
  );
  t.is(rig.room.size, 1);
});
