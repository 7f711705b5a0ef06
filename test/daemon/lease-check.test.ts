// The hourly recount of leases: its figure is the ledger's, a difference is told once, a reader that cannot read
// is told and asked again.

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test from "ava";
import { LeaseCheck } from "../../src/daemon/lease-check.ts";
import { LedgerReader } from "../../src/ledger/reader.ts";
import { HOUR, SECOND } from "../../src/metering/time.ts";
import { container, watch } from "../support/containers.ts";
import { houseOf } from "../support/ledger.ts";
import { budget, perHour, policy, upstream, usd, ZERO } from "../support/policies.ts";

function rig(found: () => Promise<typeof ZERO>) {
  const waits: number[] = [];
  const said: string[] = [];
  let call = () => {};
  const after = (delay: number, then: () => void) => {
    waits.push(delay);
    call = then;
    return () => undefined;
  };
  const log = { error: (_what: object, text: string) => said.push(text) } as never;
  const check = new LeaseCheck({ reader: { leaseImbalance: found }, log, after });
  return { check, waits, said, due: () => call() };
}

test("ten seconds after the start, and each hour from then on", async (t) => {
  const { check, waits } = rig(async () => ZERO);
  t.is(check.found, undefined);
  await check.look();
  await check.look();
  t.deepEqual(waits, [10 * SECOND, HOUR, HOUR]);
  t.is(check.found, ZERO);
});

test("a difference is told once as long as it is the same", async (t) => {
  const { check, said } = rig(async () => usd("0.5"));
  await check.look();
  await check.look();
  t.is(said.length, 1);
  t.regex(said[0] ?? "", /ledger verify/);
  t.is(check.found, usd("0.5"));
});

test("a ledger that cannot be read is told, and asked again in an hour", async (t) => {
  const { check, said, waits } = rig(() => Promise.reject(new Error("gone")));
  await check.look();
  t.regex(said[0] ?? "", /could not be recounted/);
  t.is(waits.at(-1), HOUR);
});

test("the ledger's figure is by how much entries are off, to the nano-dollar", async (t) => {
  const house = await houseOf(
    t,
    policy({
      upstreams: [upstream("aws", { hasContainer: true, price: perHour("3.6") })],
      budgets: [budget("day", { limit_usd: "10" })],
    }),
  );
  house.accounts.containers.seen(container());
  await watch(house, 4);
  const reader = new LedgerReader(house.folder, () => house.accounts.outbox.settled());
  t.teardown(() => reader.close());
  t.is(await reader.leaseImbalance(), ZERO);
  await house.accounts.outbox.settled();
  const database = new DatabaseSync(join(house.folder, "ledger.db"));
  database.exec(
    "UPDATE entries SET amount = amount + 7 WHERE seq = (SELECT max(seq) FROM entries WHERE kind = 'idle')",
  );
  database.close();
  t.is(await reader.leaseImbalance(), 7n as typeof ZERO);
});
