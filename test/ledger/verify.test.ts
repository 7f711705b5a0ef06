// The recount: clean after whatever accounts do, and each way in which a ledger can be wrong is found, with
// what, where and by how much.

import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test, { type ExecutionContext } from "ava";
import { openLedgerToRead } from "../../src/ledger/sqlite-open.ts";
import type { Finding } from "../../src/ledger/verified.ts";
import { verify } from "../../src/ledger/verify.ts";
import { SECOND } from "../../src/metering/time.ts";
import { playBusy } from "../support/busy-ledger.ts";
import { begun, type House, houseOf, ledgerFolder, RELAYED } from "../support/ledger.ts";
import { budget, perHour, policy, task, upstream } from "../support/policies.ts";

function findings(folder: string): readonly Finding[] {
  const database = openLedgerToRead(folder);
  try {
    const { ok, checks } = verify(database);
    const found = checks.flatMap((check) => check.findings);
    if (ok !== (found.length === 0)) throw new Error("ok is not whether something was found");
    return found;
  } finally {
    database.close();
  }
}

const short = ({ check, what, where, expected, found }: Finding) =>
  `${check}: ${what} | ${where} | ${expected} ${found}`;

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`random traffic, reloads, a failing disk and deaths leave a ledger that adds up, seed ${seed}`, async (t) => {
    const folder = ledgerFolder(t);
    let looks = 0;
    const look = async (house: House) => {
      looks += 1;
      // What a refused write owes is in the outbox: then the disk does not add up yet, and need not.
      if (looks % 10 !== 0 || house.accounts.outbox.kept > 0) return;
      await house.accounts.outbox.settled();
      t.deepEqual(findings(folder).map(short), [], `seed ${seed}, step ${looks}`);
    };
    const house = await playBusy(folder, seed, 150, look);
    await house.crash();
    t.deepEqual(findings(folder).map(short), [], `seed ${seed}, at the end`);
  });
}

/** Two who share a machine, one more who runs, and one that was released. */
async function small(t: ExecutionContext): Promise<string> {
  const house = await houseOf(
    t,
    policy({
      upstreams: [upstream("pool", { price: perHour("3.6") })],
      budgets: [
        budget("day", { limit_usd: "10" }),
        budget("each", { limit_usd: "10", per: "user" }),
        budget("some", { limit_usd: "10", when: { user: ["ann", "bob"] } }),
      ],
    }),
  );
  const ask = (user: string) => begun(house, task({ labels: { user } }));
  const first = await ask("ann");
  house.clock.pass(4 * SECOND);
  const second = await ask("bob");
  house.clock.pass(6 * SECOND);
  await first.settle(RELAYED);
  house.clock.pass(2 * SECOND);
  await second.settle(RELAYED);
  // The heartbeats of that time have nothing to say.
  await house.accounts.heartbeat();
  await ask("cat");
  house.clock.pass(SECOND);
  await house.accounts.heartbeat();
  await house.crash();
  return house.folder;
}

const damages: readonly [claim: string, sql: string, expected: RegExp][] = [
  [
    "a balance that settled one nano-dollar more",
    "UPDATE balances SET settled = settled + 1 WHERE account LIKE '%user:%'",
    /^settled: settled is not what .* \| usd\|daily\/1\/UTC\|all\|user:\["ann","bob"\]\| from 2026-11-22T00:00:00Z \| 12000000 12000001$/,
  ],
  [
    "a balance that was lost",
    "DELETE FROM balances WHERE account LIKE '%=bob'",
    /^settled: entries that no balance counts, .* \| usd\|.*\|user=bob \| 5000000 0$/,
  ],
  [
    "a balance of somebody who spent nothing",
    "INSERT INTO balances SELECT account || 'x', start, end, unit, 7, 0, moved FROM balances WHERE account LIKE '%=ann'",
    /^settled: settled is not what .*=annx from .* \| 0 7$/,
  ],
  [
    "a balance that lies in the wrong period",
    "UPDATE balances SET start = start - 86400000000, end = end - 86400000000 WHERE account LIKE '%=ann'",
    /^settled: settled is not what .*=ann from 2026-11-21T00:00:00Z \| 0 7000000$/,
  ],
  [
    "a held amount that nobody holds",
    "UPDATE balances SET held = held + 5 WHERE account LIKE '%=ann'",
    /^held: held is not what .*=ann from .* \| 0 5$/,
  ],
  [
    "a hold that was lost",
    "DELETE FROM reservations",
    /^holds: a hold that neither ended nor is open \| request r-\d+ \| 1 0$/,
  ],
  [
    "an entry that was lost",
    "DELETE FROM entries WHERE kind = 'settled' AND user = 'ann'",
    /^holds: a hold that neither ended nor is open \| request r-\d+ \| 1 0$/,
  ],
  [
    "an amount that was edited",
    "UPDATE entries SET amount = amount - 1 WHERE kind = 'settled' AND user = 'ann'",
    /^records: its record's charge is not what .* \| request r-\d+ \| 6999999 7000000$/,
  ],
  [
    "an entry that stands twice",
    `INSERT INTO entries SELECT (SELECT max(seq) + 1 FROM entries), ${"at,wall,kind,request,client_request_id,provider,upstream,machine,model,tier,user,workflow,session,task,node,project,tag,amount,elapsed,images,outcome,is_last,price,price_source,input_tokens,output_tokens"} FROM entries WHERE kind = 'settled' AND user = 'bob'`,
    /^twice: the settled entry of one stretch of time stands more than once \| request r-\d+ at 2026-11-22T10:00:04.000Z \| 1 2$/,
  ],
  [
    "a hold of a request that has ended",
    "UPDATE decisions SET outcome = 'relayed' WHERE user = 'cat'",
    /^holds: a hold of one that ended as relayed \| request r-\d+\.\d+ \| 0 1$/,
  ],
  [
    "a hold that outlived its owner",
    "UPDATE meta SET value = '7' WHERE key = 'epoch'",
    /^holds: a hold that outlived its owner, \S+ \d+ \| request r-\d+\.\d+ \| 0 1$/,
  ],
  [
    "a sum by model that was edited",
    "UPDATE rollups SET images = images + 1 WHERE dimension = 'model'",
    /^rollups: the sum of images by model .* \| model flux-dev, quarter-hour of 2026-11-22T10:00Z \| 2 3$/,
  ],
  [
    "a sum that was lost",
    "DELETE FROM rollups WHERE dimension = 'user' AND value = 'ann'",
    /^rollups: the sum of amount by user .* \| user other, quarter-hour/,
  ],
  [
    "a counter's sum that was lost",
    "DELETE FROM rollups WHERE dimension = 'series' AND value LIKE '%settled%'",
    /^rollups: the sum of requests by series /,
  ],
  [
    "a charge of more than the machine costs",
    "UPDATE entries SET amount = amount + 2000000 WHERE kind = 'settled' AND user = 'ann'",
    /^machines: its requests were charged more than its price .* \| machine pool from 2026-11-22T10:00:00.000Z to 2026-11-22T10:00:12.000Z \| 12000000 14000000$/,
  ],
  [
    "a lease that has cost something else",
    "UPDATE leases SET state = json_set(state, '$.total', '7200000000000000')",
    /^machines: what was posted is not what its lease has cost so far \| machine pool since 2026-11-22T10:00:12.000Z \| 1000000 0$/,
  ],
  [
    "an entry of tomorrow",
    "UPDATE entries SET at = at + 86400000000 WHERE kind = 'reserved' AND user = 'ann'",
    /^time: entries are later than the last moment /,
  ],
];

for (const [claim, sql, expected] of damages) {
  test(`${claim} is found, with where and by how much`, async (t) => {
    const [intact, folder] = [await small(t), ledgerFolder(t)];
    for (const file of ["ledger.db", "ledger.db-wal"]) {
      try {
        copyFileSync(join(intact, file), join(folder, file));
      } catch {
        // Closed in order, a ledger has no such file.
      }
    }
    t.deepEqual(findings(folder).map(short), []);
    const database = new DatabaseSync(join(folder, "ledger.db"));
    database.exec(sql);
    database.close();
    const found = findings(folder).map(short);
    t.true(
      found.some((line) => expected.test(line)),
      found.join("\n") || "nothing was found",
    );
    t.deepEqual(findings(intact), []);
  });
}

test("a ground of an earlier version is said to be unknown, and is no finding", async (t) => {
  const folder = await small(t);
  const database = new DatabaseSync(join(folder, "ledger.db"));
  database.exec("DELETE FROM folds; UPDATE balances SET settled = settled + 1");
  const { ok, checks } = verify(database);
  database.close();
  t.true(ok);
  t.regex(checks.find(({ name }) => name === "settled")?.notes.join() ?? "", /begun by an earlier version/);
});
