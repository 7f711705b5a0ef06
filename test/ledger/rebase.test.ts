// Requests that share a machine hold the exclusive price each, and give back what they cannot come to cost.

import test from "ava";
import { quantityOf } from "../../src/metering/quantity.ts";
import { SECOND, seconds } from "../../src/metering/time.ts";
import { watch } from "../support/containers.ts";
import { begun, houseOf, RELAYED, restarted, stored } from "../support/ledger.ts";
import { budget, model, perHour, policy, task, upstream, usd, ZERO } from "../support/policies.ts";

const shared = policy({
  upstreams: [upstream("box", { price: perHour("1") })],
  models: [model("flux-dev", ["box"], { estimate: seconds(900) })],
  budgets: [
    budget("day", { limit_usd: "2.00" }),
    budget("hour", { limit_usd: "2.00", period: "hourly" }),
    budget("time", { limits: { seconds: 100_000 } }),
  ],
});

const cutting = policy({
  upstreams: [upstream("box", { price: perHour("3.6") })],
  models: [model("flux-dev", ["box"], { estimate: seconds(12) })],
  budgets: [budget("day", { limit_usd: "2.00", overrun: "cut" })],
});

test("eight that share one machine for a while hold what they can still cost, and one more fits", async (t) => {
  const house = await houseOf(t, shared);
  const all = [];
  for (let index = 0; index < 8; index += 1) all.push(await begun(house, task()));
  t.is(stored(house.folder, "usd|daily")[0]?.held, usd("2.00"));
  t.is((await house.admit(task())).kind, "refuse");
  const freed: string[] = [];
  house.accounts.watchFreed((accounts) => freed.push(...accounts));
  await watch(house, 12 * 60);
  // Each took 12 min / 8 = 0.025 USD, and holds 3 min at the full price, 0.05 USD, on top; and less than what
  // two seconds cost, because no less than one is given back.
  const held = stored(house.folder, "usd|daily")[0]?.held ?? ZERO;
  t.true(held >= usd("0.60") && held <= usd("0.6045"), `${held}`);
  t.is(stored(house.folder, "usd|hourly")[0]?.held, held);
  t.is(
    stored(house.folder, "seconds|")[0]?.held,
    quantityOf(8 * 900 * SECOND),
    "time is nobody's but its own",
  );
  t.is(new Set(freed).size, 2, "the accounts of money, and not that of time");
  t.is((await house.admit(task())).kind, "admitted");
  for (const one of all) t.is((await one.settle(RELAYED)).charged, usd("0.025"));
  t.is(stored(house.folder, "usd|daily")[0]?.settled, usd("0.20"));
});

test("one that is alone gives nothing back, and a rebased hold survives a crash", async (t) => {
  const house = await houseOf(t, shared);
  await begun(house, task());
  await watch(house, 60);
  t.is(stored(house.folder, "usd|daily")[0]?.held, usd("0.25"));
  await begun(house, task());
  await watch(house, 10 * 60);
  t.true((stored(house.folder, "usd|daily")[0]?.held ?? 0n) < usd("0.45"));
  await house.crash();
  const next = await restarted(t, house);
  t.is(next.recovered, 2);
  t.true(stored(next.folder, "usd|").every(({ held }) => held === 0n));
});

test("a cut that comes late charges no more than a rebased hold, and neither does a crash", async (t) => {
  for (const ending of ["settled", "crashed"]) {
    const house = await houseOf(t, cutting);
    const late = await begun(house, task());
    const other = await begun(house, task());
    house.clock.pass(4 * SECOND);
    await house.accounts.heartbeat();
    await other.settle(RELAYED);
    // Two of its four seconds were shared: it holds 2 s of the past and 8 s to come, and a rounding.
    const held = stored(house.folder, "usd|daily")[0]?.held ?? ZERO;
    t.true(held >= usd("0.010") && held <= usd("0.010000001"), `${held}`);
    if (ending === "crashed") await watch(house, 30);
    else house.clock.pass(30 * SECOND);
    if (ending === "settled") {
      t.is((await late.settle({ ...RELAYED, outcome: "cut" })).charged, usd("0.010"));
      t.is(stored(house.folder, "usd|daily")[0]?.settled, usd("0.012"));
      continue;
    }
    await house.accounts.heartbeat();
    await house.crash();
    const next = await restarted(t, house);
    t.is(stored(next.folder, "usd|daily")[0]?.settled, usd("0.012"));
  }
});
