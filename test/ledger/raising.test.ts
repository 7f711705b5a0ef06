// A price that rises while requests run (MONEY §2): asked with the next slice, topped up for what is held ahead,
// in force once everybody has been asked; what a budget cannot give makes the held money last less long.

import test from "ava";
import { verify } from "../../src/ledger/verify.ts";
import { between, type Instant, later, SECOND, seconds } from "../../src/metering/time.ts";
import type { Budget } from "../../src/policy/policy.ts";
import { watch } from "../support/containers.ts";
import { begun, HandClock, houseOf, onDisk, RELAYED, restarted, rows, stored } from "../support/ledger.ts";
import { budget, model, perHour, policy, TEN, task, upstream, usd } from "../support/policies.ts";

/** 3.6 USD/h is 0.001 USD a second. */
function at(price: string, expected: number, ...budgets: readonly Budget[]) {
  const models = [model("flux-dev", ["aws"], { estimate: seconds(expected) })];
  return policy({ upstreams: [upstream("aws", { price: perHour(price) })], models, budgets });
}

const wide = budget("day", { limit_usd: "9", overrun: "cut" });
const tight = (limit: string) => budget("day", { limit_usd: limit, overrun: "cut" });

test("a rise counts once the next slice of everybody was asked at it, a fall at once", async (t) => {
  const house = await houseOf(t, at("3.6", 12, wide));
  const [first, second] = [await begun(house, task()), await begun(house, task())];
  await watch(house, 4);
  await house.adopt(at("7.2", 12, wide));
  t.is(await first.extend(), "extended");
  // 2 s are its share until then, 8 s ahead and 5 s more at the new price; the other one as before.
  const held = stored(house.folder)[0]?.held ?? 0n;
  t.true(held >= usd("0.038") && held <= usd("0.040"), `${held}`);
  await watch(house, 3);
  t.is(await second.extend(), "extended");
  await watch(house, 2);
  // 7 s at the old price, 2 s at the new one, in halves.
  t.is((await first.settle(RELAYED)).charged, usd("0.0055"));
  await house.adopt(at("3.6", 12, wide));
  await watch(house, 2);
  t.is((await second.settle(RELAYED)).charged, usd("0.0075"));
  const [row] = rows(house.folder, "SELECT price FROM entries WHERE kind = 'settled' LIMIT 1");
  t.is(row?.price, "7.20/h", "the dearest that it was asked");
  t.true(onDisk(house.folder, verify).ok);
});

test("one that holds for long is asked within the time of a slice, and whoever ends keeps nobody", async (t) => {
  const house = await houseOf(t, at("3.6", 900, wide));
  const [long, short] = [await begun(house, task()), await begun(house, task())];
  await house.adopt(at("7.2", 900, wide));
  await watch(house, 59);
  t.is((await short.settle(RELAYED)).charged, usd("0.0295"));
  await watch(house, 1);
  await house.accounts.outbox.settled();
  t.is(between(TEN, long.horizon), seconds(900), "its time is what it was");
  const held = stored(house.folder)[0]?.held ?? 0n;
  t.true(held >= usd("1.7105") && held <= usd("1.7145"), `${held}: its share, and 840 s at the new price`);
  await watch(house, 10);
  t.is((await long.settle(RELAYED)).charged, usd("0.0505"));
});

test("money that a budget has not makes the hold last less long, in its first period, and nothing is lost", async (t) => {
  const midnight = later(TEN, seconds(14 * 3600));
  const house = await houseOf(
    t,
    at("3.6", 60, tight("0.040")),
    new HandClock((midnight - 20 * SECOND) as Instant),
  );
  const run = await begun(house, task());
  let told = 0;
  run.onShortened(() => {
    told += 1;
  });
  await watch(house, 1);
  await house.adopt(at("4.32", 60, tight("0.020")));
  await watch(house, 15);
  await house.accounts.outbox.settled();
  t.is(told, 1);
  // 4 s of the day at 0.001 are 3.3 s at 0.0012.
  t.is(run.horizon, (midnight - 666_669) as Instant);
  t.deepEqual(
    stored(house.folder).map(({ held }) => held),
    [usd("0.020"), 0n],
    "what it held tomorrow is free",
  );
  t.is(await run.extend(), "refused", "for the rest of today there is no money");
  await watch(house, 10);
  t.is((await run.settle({ ...RELAYED, outcome: "cut" })).charged, usd("0.019999998"), "whenever it was cut");
});

test("what would last less than three seconds ends at the price that it has", async (t) => {
  const house = await houseOf(t, at("3.6", 40, tight("0.040")));
  const run = await begun(house, task());
  await house.adopt(at("360", 40, tight("0.040")));
  await watch(house, 10);
  await house.accounts.outbox.settled();
  t.is(between(TEN, run.horizon), seconds(13));
  t.is(await run.extend(), "refused");
  await watch(house, 1);
  t.is((await run.settle({ ...RELAYED, outcome: "cut" })).charged, usd("0.011"));
});

test("one that is asked only after its held time is charged no more than it held", async (t) => {
  const house = await houseOf(t, at("3.6", 12, tight("0.016")));
  const run = await begun(house, task());
  await house.adopt(at("7.2", 12, tight("0.016")));
  // The process hung for a while: nobody asked and nobody cut in time.
  house.clock.pass(17 * SECOND);
  await run.extend();
  house.clock.pass(SECOND);
  const { charged } = await run.settle({ ...RELAYED, outcome: "cut" });
  t.is(charged, usd("0.012"));
  t.true(onDisk(house.folder, verify).ok);
});

test("a crash after a rise charges what was held at it, and no more", async (t) => {
  const house = await houseOf(t, at("3.6", 12, tight("0.060")));
  await begun(house, task());
  const other = await begun(house, task());
  await house.adopt(at("7.2", 12, tight("0.060")));
  await watch(house, 6);
  await house.accounts.outbox.settled();
  await watch(house, 2);
  t.is((await other.settle(RELAYED)).charged, usd("0.0055"));
  await watch(house, 20);
  const next = await restarted(t, house, SECOND);
  // Its share of 6 s, when it was rebased last, and 0.002 a second from then on up to its horizon at 12 s.
  t.is(stored(next.folder)[0]?.settled, usd("0.021"));
  t.true(onDisk(next.folder, verify).ok);
});

test("a disk that refuses keeps the old price, and nothing is held for the new one", async (t) => {
  const house = await houseOf(t, at("3.6", 12, wide));
  const run = await begun(house, task());
  await house.adopt(at("7.2", 12, wide));
  house.disk.refuses = (asked) => typeof asked !== "string" && asked.rehold !== undefined;
  t.is(await run.extend(), "unavailable");
  t.is(stored(house.folder)[0]?.held, usd("0.012"));
  t.deepEqual(
    [...house.accounts.book.all()].map(({ balance }) => balance.held),
    [usd("0.012")],
  );
  house.disk.refuses = () => false;
  house.clock.pass(SECOND);
  t.is(await run.extend(), "extended");
  house.clock.pass(SECOND);
  t.is((await run.settle(RELAYED)).charged, usd("0.003"));
});

test("a budget that comes after a rise is placed at it, and gives back what that is too much", async (t) => {
  const other = budget("hour", { limit_usd: "9", period: "hourly" });
  const house = await houseOf(t, at("3.6", 12, wide));
  const run = await begun(house, task());
  await watch(house, 4);
  await house.adopt(at("7.2", 12, wide));
  t.is(await run.extend(), "extended");
  await house.adopt(at("7.2", 12, wide, other));
  await house.accounts.outbox.settled();
  t.is(stored(house.folder, "hourly")[0]?.held, usd("0.034"));
  await watch(house, 1);
  await house.accounts.outbox.settled();
  // 4 s at the old price, 1 s and 12 s ahead at the new one.
  const held = stored(house.folder, "hourly")[0]?.held ?? 0n;
  t.true(held >= usd("0.030") && held <= usd("0.030000002"), `${held}`);
});
