// What a request costs on a real ledger: its exact share of the machine, in the period that it lies in.

import test, { type ExecutionContext } from "ava";
import type { Price } from "../../src/metering/price.ts";
import { DAY, type Instant, MINUTE, QUARTER_HOUR, SECOND } from "../../src/metering/time.ts";
import type { Ending } from "../../src/policy/admission.ts";
import { begun, charges, HandClock, houseOf, permit, RELAYED, rows, stored } from "../support/ledger.ts";
import { budget, model, perHour, perRequest, policy, TEN, task, upstream, usd } from "../support/policies.ts";

const MIDNIGHT = (TEN + 14 * 60 * MINUTE) as Instant;
const day = budget("day", { limit_usd: "100" });
const aws = policy({ upstreams: [upstream("aws")], budgets: [day] });

function at(instant: number): HandClock {
  return new HandClock(instant as Instant);
}

test("a hold over midnight takes from each day what its seconds there cost", async (t) => {
  const house = await houseOf(t, aws, at(MIDNIGHT - 5 * SECOND));
  permit(await house.admit(task()));
  t.deepEqual(
    stored(house.folder).map(({ held }) => held),
    [usd("0.005"), usd("0.007")],
  );
});

test("a hold that does not fit tomorrow is refused tonight", async (t) => {
  const hourly = budget("hour", { limit_usd: "0.006", period: "hourly" });
  const house = await houseOf(t, policy({ upstreams: [upstream("aws")], budgets: [hourly] }), at(MIDNIGHT));
  house.clock.pass(60 * MINUTE - 6 * SECOND);
  t.is((await house.admit(task())).kind, "admitted");
  // Both hours are full to the nano-dollar now.
  t.is((await house.admit(task())).kind, "refuse");
});

test("a hold of which each half fits its own day is admitted", async (t) => {
  const hourly = budget("hour", { limit_usd: "0.012", period: "hourly" });
  const house = await houseOf(t, policy({ upstreams: [upstream("aws")], budgets: [hourly] }), at(MIDNIGHT));
  house.clock.pass(60 * MINUTE - SECOND);
  t.is((await house.admit(task())).kind, "admitted");
  house.clock.pass(SECOND);
  // 0.011 of the new hour is held.
  t.is((await house.admit(task())).kind, "refuse");
});

test("a settlement over midnight is split there, and each day gets its own", async (t) => {
  const house = await houseOf(t, aws, at(MIDNIGHT - 5 * SECOND));
  const reservation = await begun(house, task());
  house.clock.pass(8 * SECOND);
  await reservation.settle(RELAYED);
  t.deepEqual(
    stored(house.folder).map(({ settled, held }) => [settled, held]),
    [
      [usd("0.005"), usd("0")],
      [usd("0.003"), usd("0")],
    ],
  );
  t.deepEqual(
    charges(house.folder).map(({ at: instant, amount }) => [Number(instant) - MIDNIGHT, amount]),
    [
      [-5 * SECOND, usd("0.005")],
      [0, usd("0.003")],
    ],
  );
});

test("a long request is split at every quarter-hour, and the pieces sum to the whole", async (t) => {
  const house = await houseOf(t, aws, at(TEN + MINUTE));
  const reservation = await begun(house, task());
  house.clock.pass(2 * QUARTER_HOUR);
  const { charged } = await reservation.settle(RELAYED);
  t.is(charged, usd("1.8"));
  t.deepEqual(
    charges(house.folder).map(({ at: instant, amount }) => [Number(instant) - TEN, amount]),
    [
      [MINUTE, usd("0.84")],
      [QUARTER_HOUR, usd("0.9")],
      [2 * QUARTER_HOUR, usd("0.06")],
    ],
  );
  const counting = rows(house.folder, "SELECT is_last FROM entries WHERE kind = 'settled' ORDER BY seq");
  t.deepEqual(
    counting.map(({ is_last }) => is_last),
    [1n, 0n, 0n],
  );
});

test("two requests that run at the same time pay half each", async (t) => {
  const house = await houseOf(t, aws);
  const [first, second] = [await begun(house, task()), await begun(house, task())];
  house.clock.pass(10 * SECOND);
  t.is((await first.settle(RELAYED)).charged, usd("0.005"));
  t.is((await second.settle(RELAYED)).charged, usd("0.005"));
});

test("a request pays half only while somebody shares", async (t) => {
  const house = await houseOf(t, aws);
  const first = await begun(house, task());
  house.clock.pass(4 * SECOND);
  const second = await begun(house, task());
  house.clock.pass(6 * SECOND);
  t.is((await first.settle(RELAYED)).charged, usd("0.007"));
  house.clock.pass(2 * SECOND);
  t.is((await second.settle(RELAYED)).charged, usd("0.005"));
});

test("upstreams that name one machine share its price", async (t) => {
  const upstreams = [upstream("a", { machine: "gpu" }), upstream("b", { machine: "gpu" })];
  const models = ["a", "b"].map((id) => model(id, [id]));
  const house = await houseOf(t, policy({ upstreams, models, budgets: [day] }));
  const first = await begun(house, task({ model: "a" }));
  const second = await begun(house, task({ model: "b" }));
  house.clock.pass(10 * SECOND);
  t.is((await first.settle(RELAYED)).charged, usd("0.005"));
  t.is((await second.settle(RELAYED)).charged, usd("0.005"));
});

test("a request that only holds does not share", async (t) => {
  const house = await houseOf(t, aws);
  const first = await begun(house, task());
  permit(await house.admit(task()));
  house.clock.pass(10 * SECOND);
  t.is((await first.settle(RELAYED)).charged, usd("0.01"));
});

test("the clock stops when the upstream ends, not when the request is settled", async (t) => {
  const house = await houseOf(t, aws);
  const reservation = await begun(house, task());
  house.clock.pass(3 * SECOND);
  reservation.stop();
  house.clock.pass(MINUTE);
  t.is((await reservation.settle(RELAYED)).charged, usd("0.003"));
});

test("a wall clock that is set while a request runs changes nothing of what it costs", async (t) => {
  const house = await houseOf(t, aws);
  // By more than two seconds ahead it looks like a sleep (sleep.test.ts).
  for (const step of [2 * SECOND, -DAY, -DAY * 365]) {
    const reservation = await begun(house, task());
    house.clock.step(step);
    for (let second = 0; second < 700; second += 1) {
      house.clock.pass(SECOND);
      if (second % 5 === 0) await house.accounts.heartbeat();
    }
    const { charged, elapsed } = await reservation.settle(RELAYED);
    t.is(charged, usd("0.7"));
    t.is(elapsed as number, 700 * SECOND);
  }
});

test("a spent day does not re-open when the clock is set back", async (t) => {
  const spent = policy({
    upstreams: [upstream("aws")],
    budgets: [budget("day", { limit_usd: "0.012" })],
  });
  const house = await houseOf(t, spent, at(MIDNIGHT));
  const reservation = await begun(house, task());
  house.clock.pass(12 * SECOND);
  await reservation.settle(RELAYED);
  house.clock.step(-DAY);
  await house.accounts.heartbeat();
  t.is((await house.admit(task())).kind, "refuse");
});

test("a settlement counts one request, and its images when the upstream said 2xx", async (t) => {
  const house = await houseOf(t, aws);
  const count = async (ending: Ending) => {
    const asked = task({ work: { ...task().work, images: 2 } });
    const reservation = await begun(house, asked);
    house.clock.pass(SECOND);
    await reservation.settle(ending);
    const [row] = rows(house.folder, "SELECT images, is_last FROM entries ORDER BY seq DESC LIMIT 1");
    return [row?.images, row?.is_last];
  };
  t.deepEqual(await count(RELAYED), [2n, 1n]);
  t.deepEqual(await count({ ...RELAYED, status: 422 }), [0n, 1n]);
  t.deepEqual(await count({ ...RELAYED, outcome: "truncated" }), [2n, 1n]);
  t.deepEqual(await count({ ...RELAYED, outcome: "failed", status: undefined }), [0n, 1n]);
});

/** Held and charged, and given back to the nano-dollar. */
async function check(
  t: ExecutionContext,
  given: { price: Price; ending: Ending },
  expected: { held: string; charged: string },
): Promise<void> {
  const house = await houseOf(
    t,
    policy({ upstreams: [upstream("u", { price: given.price })], budgets: [day] }),
  );
  const reservation = await begun(
    house,
    task({ work: { ...task().work, images: 3, maxTokens: 1000, bytes: 400 } }),
  );
  t.is(stored(house.folder)[0]?.held, usd(expected.held));
  house.clock.pass(3 * SECOND);
  t.is((await reservation.settle(given.ending)).charged, usd(expected.charged));
  t.deepEqual(stored(house.folder), [{ settled: usd(expected.charged), held: usd("0") }]);
}

test("a price per request is held and charged once", async (t) => {
  await check(t, { price: perRequest("0.03"), ending: RELAYED }, { held: "0.03", charged: "0.03" });
});

test("a price per image is charged for all that were asked for, and only when they were made", async (t) => {
  const price: Price = { kind: "image", amount: usd("0.01"), source: { kind: "policy" } };
  await check(t, { price, ending: RELAYED }, { held: "0.03", charged: "0.03" });
  await check(t, { price, ending: { ...RELAYED, status: 500 } }, { held: "0.03", charged: "0" });
});

test("tokens are held at the most and charged by usage", async (t) => {
  const price: Price = { kind: "tokens", input: usd("10"), output: usd("20"), source: { kind: "policy" } };
  const tokens = { input: 80, output: 300 };
  await check(t, { price, ending: { ...RELAYED, tokens } }, { held: "0.061", charged: "0.0068" });
  await check(t, { price, ending: RELAYED }, { held: "0.061", charged: "0.061" });
});

test("a unit price belongs to the period of its admission, however late it ends", async (t) => {
  const upstreams = [upstream("u", { price: perRequest("0.03") })];
  const house = await houseOf(t, policy({ upstreams, budgets: [day] }), at(MIDNIGHT - SECOND));
  const reservation = await begun(house, task());
  house.clock.pass(MINUTE);
  await reservation.settle(RELAYED);
  t.deepEqual(stored(house.folder), [{ settled: usd("0.03"), held: usd("0") }]);
});

test("two budgets that look at one balance count a request once", async (t) => {
  const budgets = [day, budget("warn-day", { limit_usd: "50", onLimit: "warn" })];
  const house = await houseOf(t, policy({ upstreams: [upstream("u", { price: perHour("3.6") })], budgets }));
  const reservation = await begun(house, task());
  t.is(stored(house.folder)[0]?.held, usd("0.012"));
  house.clock.pass(SECOND);
  await reservation.settle(RELAYED);
  t.deepEqual(stored(house.folder), [{ settled: usd("0.001"), held: usd("0") }]);
});
