import test, { type ExecutionContext } from "ava";
import { readStored } from "../../src/ledger/sqlite-read.ts";
import { EPOCH, type Instant, later, seconds } from "../../src/metering/time.ts";
import type { Budget } from "../../src/policy/policy.ts";
import { begun, HandClock, houseOf, onDisk, RELAYED } from "../support/ledger.ts";
import { budget, perRequest, policy, task, upstream, usd } from "../support/policies.ts";

type Edit = Partial<Pick<Budget, "from" | "enabled">>;

const year = (over: Edit) =>
  policy({
    upstreams: [upstream("hosted", { price: perRequest("1") })],
    budgets: [budget("year", { limit_usd: "5", period: "yearly", ...over })],
  });

async function settledOf(t: ExecutionContext, ...edits: readonly Edit[]) {
  const house = await houseOf(t, year({ from: "2026-11-24" }));
  for (let index = 0; index < 5; index += 1) await (await begun(house, task())).settle(RELAYED);
  for (const edit of edits) await house.adopt(year(edit));
  return { house, settled: [...house.accounts.book.all()].at(-1)?.balance.settled };
}

test("a budget counts before its `from`, and judges only from then on", async (t) => {
  const { house, settled } = await settledOf(t);
  t.is(settled, usd("5"));
  t.is((await house.admit(task())).kind, "admitted");
});

test("whatever edits it went through, a budget has what a fresh one would have counted", async (t) => {
  const begunNow = { from: "2026-11-01" };
  const ways: readonly (readonly Edit[])[] = [
    [begunNow],
    [{ enabled: false }, begunNow],
    [begunNow, { enabled: false }, begunNow],
  ];
  for (const edits of ways) {
    const { house, settled } = await settledOf(t, ...edits);
    t.is(settled, usd("5"));
    t.is((await house.admit(task())).kind, "refuse");
  }
});

test("of a hold over midnight each day is judged by whether the budget is in force on it", async (t) => {
  const beforeMidnight = (Date.UTC(2026, 10, 22, 23, 59, 55) * 1000) as Instant;
  // Five seconds lie in the first day, seven in the second.
  const answer = async (limit_usd: string, days: Pick<Partial<Budget>, "from" | "until">) => {
    const given = policy({ upstreams: [upstream("flux")], budgets: [budget("day", { limit_usd, ...days })] });
    const house = await houseOf(t, given, new HandClock(beforeMidnight));
    return (await house.admit(task())).kind;
  };
  t.is(await answer("0.006", { from: "2026-11-23" }), "refuse");
  t.is(await answer("0.007", { from: "2026-11-23" }), "admitted");
  t.is(await answer("0.004", { until: "2026-11-22" }), "refuse");
  t.is(await answer("0.005", { until: "2026-11-22" }), "admitted");
});

test("a heartbeat while a slice is being written does not undo it on disk", async (t) => {
  const house = await houseOf(
    t,
    policy({ upstreams: [upstream("flux")], budgets: [budget("day", { limit_usd: "5" })] }),
  );
  const reservation = await begun(house, task());
  const slice = reservation.extend();
  const beat = house.accounts.heartbeat();
  await Promise.all([slice, beat]);
  const [row] = onDisk(house.folder, (database) => readStored(database, EPOCH).holds);
  t.is(row?.horizon, reservation.horizon);
  t.is(row?.horizon, later(row?.at ?? reservation.horizon, seconds(17)));
});
