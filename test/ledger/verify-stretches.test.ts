// What the recount says of requests that overlapped on one machine's name: nobody pays more than the machines of
// that name have cost, however many of them were up, and one nano-dollar more is found.

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test, { type ExecutionContext } from "ava";
import type { Finding } from "../../src/ledger/verified.ts";
import { verify } from "../../src/ledger/verify.ts";
import { hourlyRate } from "../../src/metering/money.ts";
import { MINUTE, SECOND } from "../../src/metering/time.ts";
import { container, watch } from "../support/containers.ts";
import { begun, type House, houseOf, onDisk, RELAYED, restarted } from "../support/ledger.ts";
import { budget, policy, task, upstream, usd } from "../support/policies.ts";

const rules = policy({
  upstreams: [upstream("aws", { hasContainer: true, gpuTier: "a10g" })],
  budgets: [budget("day", { limit_usd: "10" })],
});

function findings(house: House): readonly Finding[] {
  return onDisk(house.folder, (database) => verify(database).checks.flatMap((one) => one.findings));
}

function told(house: House): readonly unknown[] {
  const { checks } = onDisk(house.folder, verify);
  return checks.flatMap(({ findings, notes }) => [...findings, ...notes]);
}

function plant(house: House, nanos: number): void {
  const database = new DatabaseSync(join(house.folder, "ledger.db"));
  database.exec(`UPDATE entries SET amount = amount + ${nanos} WHERE kind = 'settled' AND amount > 0`);
  database.close();
}

/** One runs on each of two machines of one name, side by side for 3 of 4 s; then both machines are off. */
async function twoMachines(t: ExecutionContext, first: string, second: string): Promise<House> {
  const house = await houseOf(t, rules);
  const machine = (id: string, usdPerHour: string) =>
    container({
      id,
      start: house.accounts.now(),
      price: { kind: "hour", rate: hourlyRate(usd(usdPerHour)), source: { kind: "policy" } },
      idlePrice: hourlyRate(usd("0")),
    });
  const open = [];
  for (const [id, price] of [
    ["i-1", first],
    ["i-2", second],
  ] as const) {
    house.accounts.containers.seen(machine(id, price));
    open.push(await begun(house, task()));
    await watch(house, id === "i-1" ? 1 : 3);
  }
  for (const one of open) await one.settle(RELAYED);
  for (const id of ["i-1", "i-2"]) house.accounts.containers.off(id, house.accounts.now());
  await watch(house, 1);
  return house;
}

for (const [first, second, claim] of [
  ["3.6", "3.6", "of one price"],
  ["3.6", "1.8", "of which the second is cheaper"],
  ["1.2", "3.6", "of which the second is dearer"],
] as const) {
  test(`two machines of one name ${claim} may both be paid for, also long after they are off`, async (t) => {
    const house = await twoMachines(t, first, second);
    t.deepEqual(told(house), []);
    const next = await restarted(t, house, MINUTE);
    t.deepEqual(told(next), [], "after a restart");
    const again = await restarted(t, next, MINUTE);
    t.deepEqual(told(again), [], "after another one");
  });
}

test("a nano-dollar more than both machines of one name have cost is found, also long after they are off", async (t) => {
  const house = await twoMachines(t, "3.6", "3.6");
  const next = await restarted(t, house, MINUTE);
  plant(next, 1);
  const found = findings(next).filter(({ check }) => check === "machines");
  t.deepEqual(
    found.map(({ expected, found, what }) => [expected, found, what]),
    [
      [
        usd("0.007"),
        usd("0.007") + 2n,
        "its requests were charged more than its price for the time that any of them ran",
      ],
    ],
  );
});

test("a machine that comes back under its old start after a restart is one lease again", async (t) => {
  const house = await houseOf(t, rules);
  const start = house.accounts.now();
  house.accounts.containers.seen(container({ start }));
  await watch(house, 2);
  house.accounts.containers.off("i-0a1", house.accounts.now());
  await watch(house, 1);
  const next = await restarted(t, house, SECOND);
  next.accounts.containers.seen(container({ start }));
  await watch(next, 2);
  const last = await restarted(t, next, SECOND);
  t.is(last.accounts.leases.containers().length, 1);
});
