// What idle costs less than its machine's price, out of the entries alone: as the lease has counted it.

import test, { type ExecutionContext } from "ava";
import { exportLines } from "../../src/ledger/export.ts";
import { idleDiscount } from "../../src/ledger/idle-discount.ts";
import { spent } from "../../src/ledger/spent.ts";
import { hourlyRate, US_PER_HOUR } from "../../src/metering/money.ts";
import { later, SECOND, seconds } from "../../src/metering/time.ts";
import { groundsOf, periodFor } from "../../src/policy/match.ts";
import { container, watch } from "../support/containers.ts";
import { begun, type House, houseOf, onDisk, RELAYED, rows } from "../support/ledger.ts";
import { budget, policy, TEN, task, upstream, usd } from "../support/policies.ts";

const given = policy({
  upstreams: [upstream("aws", { hasContainer: true, gpuTier: "a10g" })],
  budgets: [budget("day", { limit_usd: "10" })],
});

/** As `explain` and as the export say it, and as the lease itself has counted it. */
function told(house: House): readonly [bigint, bigint, bigint] {
  const [ground] = groundsOf(house.policy);
  if (ground === undefined) throw new Error("there is no budget");
  const period = periodFor(ground, house.accounts.now());
  const question = {
    key: ground.key,
    unit: "usd",
    value: undefined,
    per: undefined,
    when: [],
    requestsOnly: false,
    refusesSince: undefined,
  };
  const explained = onDisk(
    house.folder,
    (database) => spent(database, { ...question, ...period }).idleDiscount,
  );
  const lines = onDisk(house.folder, (database) => [...exportLines(database, "jsonl")]);
  const exported = lines.map((line) => JSON.parse(line).idle_discount_usd ?? "0.00");
  const sum = exported.reduce(
    (all: bigint, one: string) => all + (one.startsWith("-") ? -usd(one.slice(1)) : usd(one)),
    0n,
  );
  const [row] = rows(house.folder, "SELECT state ->> '$.state.discount' AS raw FROM containers");
  return [explained, sum, BigInt(String(row?.raw ?? 0)) / US_PER_HOUR];
}

async function check(
  t: ExecutionContext,
  over: Parameters<typeof container>[0],
  late: number,
  expected: string,
) {
  const house = await houseOf(t, given);
  house.accounts.containers.seen(container(over));
  await watch(house, 20);
  const held = await begun(house, task());
  await watch(house, 5);
  await held.settle(RELAYED);
  await watch(house, 10);
  house.accounts.containers.off("i-0a1", later(TEN, seconds(35 - late)));
  await house.accounts.heartbeat();
  const amount = expected.startsWith("-") ? -usd(expected.slice(1)) : usd(expected);
  t.deepEqual(told(house), [amount, amount, amount]);
}

test("half the price for 30 s idle is told to the nano-dollar, and the 5 s of a request are none of it", (t) =>
  check(t, {}, 0, "0.015"));

test("where idle costs as much as work there is none", (t) =>
  check(t, { idlePrice: hourlyRate(usd("3.6")) }, 0, "0"));

test("where idle is dearer it is below 0", (t) =>
  check(t, { idlePrice: hourlyRate(usd("7.2")) }, 0, "-0.03"));

test("free idle time leaves no entry, so that nothing is told of it", async (t) => {
  const house = await houseOf(t, given);
  house.accounts.containers.seen(container({ idlePrice: hourlyRate(0n) }));
  await watch(house, 5);
  t.deepEqual(told(house).slice(0, 2), [0n, 0n]);
});

test("what is taken back, because it stopped earlier, had none", (t) => check(t, {}, 4, "0.013"));

test("a gap counts, and time that was held beyond does not", (t) => {
  const of = (kind: string, price: string, elapsed: number, amount: string) =>
    idleDiscount([{ kind, price, elapsed: BigInt(elapsed), amount: usd(amount) }]);
  t.is(of("gap", "3.60/h", 10 * SECOND, "0.005"), usd("0.005") as bigint);
  t.is(of("idle", "3.60/h", 10 * SECOND, "0.001"), 0n);
  t.is(of("minimum", "3.60/h", 10 * SECOND, "0.01"), 0n);
  t.is(of("idle", "1.80/h of 3.60/h", 10 * SECOND, "0.005"), usd("0.005") as bigint);
});
