// What the ledger teaches of how long requests take: from each ending, and again after a restart.

import test from "ava";
import { MOST_REMEMBERED } from "../../src/ledger/lessons.ts";
import { openStored } from "../../src/ledger/open.ts";
import { openLedger } from "../../src/ledger/sqlite-open.ts";
import { DAY, HOUR, type Instant, seconds } from "../../src/metering/time.ts";
import type { Ending } from "../../src/policy/admission.ts";
import {
  begun,
  HandClock,
  type House,
  houseOf,
  ledgerFolder,
  permit,
  RELAYED,
  restarted,
  rows,
} from "../support/ledger.ts";
import { model, perHour, policy, TEN, task, upstream } from "../support/policies.ts";

const aws = upstream("flux-aws", { price: perHour("3.60"), gpuTier: "a10g" });
const gcp = upstream("flux-gcp", { provider: "gcp", price: perHour("1.80") });

/** Requests that took so long, one after another. */
async function serve(house: House, times: readonly number[], ending: Ending = RELAYED): Promise<void> {
  for (const time of times) {
    const own = task();
    const reservation = await begun(house, own);
    house.clock.pass(seconds(time));
    await reservation.settle(ending);
    house.learning.end(own.id);
  }
}

async function quoted(house: House) {
  const own = task();
  const reservation = permit(await house.admit(own));
  await reservation.release("over");
  house.learning.end(own.id);
  return reservation.quote;
}

test("each ending teaches: the sixth request is expected to take the median, and held for the longest", async (t) => {
  const house = await houseOf(t, policy({ upstreams: [aws] }));
  await serve(house, [8, 9, 10, 11]);
  t.like(await quoted(house), { time: seconds(12), source: { kind: "policy" } });
  await serve(house, [40]);
  t.like(await quoted(house), {
    time: seconds(10),
    holdTime: seconds(40),
    source: { kind: "learned", requests: 5 },
  });
});

test("a restart forgets nothing that was learned, whoever took how long", async (t) => {
  const house = await houseOf(t, policy({ upstreams: [aws] }));
  await serve(house, [8, 9, 10, 11, 40]);
  await serve(house, [90, 90, 90], { outcome: "aborted", status: undefined, tokens: undefined });
  await serve(house, [0.1, 0.1], { ...RELAYED, status: 422 });
  const { time, most, source } = await quoted(house);
  const errors = house.learning.errors(house.accounts.now());
  t.deepEqual([time, most], [seconds(11), seconds(90)]);
  const again = await restarted(t, house);
  t.like(await quoted(again), { time, most, source });
  t.deepEqual(again.learning.errors(again.accounts.now()), errors);
});

test("a week without power is a week: what is older teaches no more", async (t) => {
  const house = await houseOf(t, policy({ upstreams: [aws] }));
  await serve(house, [10, 10, 10, 10, 10]);
  const again = await restarted(t, house, 7 * DAY);
  t.like(await quoted(again), { time: seconds(12), source: { kind: "policy" } });
});

test("a restart does not bring a second try in the same hour", async (t) => {
  const house = await houseOf(t, policy({ upstreams: [aws] }));
  await serve(house, [10, 10, 10, 10, 10]);
  await house.adopt(policy({ upstreams: [aws, gcp] }));
  await serve(house, [60]);
  const tried = rows(house.folder, "SELECT upstream, tries FROM decisions ORDER BY seq DESC LIMIT 2");
  t.deepEqual(tried, [
    { upstream: "flux-gcp", tries: 1n },
    { upstream: "flux-aws", tries: 0n },
  ]);
  const again = await restarted(t, house);
  t.is((await quoted(again)).upstream.id, "flux-aws");
  again.clock.pass(HOUR);
  t.like(await quoted(again), { upstream: { id: "flux-gcp" }, standing: "tried" });
});

test("estimate and actual stand side by side in the ledger, of money and of time", async (t) => {
  const house = await houseOf(t, policy({ upstreams: [aws] }));
  await serve(house, [10]);
  t.deepEqual(rows(house.folder, "SELECT estimate, charged, expected, elapsed, work FROM decisions"), [
    { estimate: 12_000_000n, charged: 10_000_000n, expected: 12_000_000n, elapsed: 10_000_000n, work: "p24" },
  ]);
});

test("of a request that was tried elsewhere the last attempt's expectation stays", async (t) => {
  const expecting = (estimate: number) =>
    policy({ upstreams: [aws], models: [model("flux-dev", ["flux-aws"], { estimate: seconds(estimate) })] });
  const house = await houseOf(t, expecting(12));
  const own = task();
  await permit(await house.admit(own)).release("retry");
  await house.adopt(expecting(20));
  permit(await house.admit(own));
  t.deepEqual(rows(house.folder, "SELECT expected FROM decisions"), [{ expected: 20_000_000n }]);
});

test("start looks at the newest requests only, however many there are", (t) => {
  const folder = ledgerFolder(t);
  const database = openLedger(folder);
  const insert = (first: number, count: number, elapsed: number) =>
    database.exec(`WITH RECURSIVE each(n) AS (SELECT ${first} UNION ALL SELECT n + 1 FROM each WHERE n < ${first + count - 1})
      INSERT INTO decisions (request, at, model, upstream, estimate, hold, explanation, outcome, status, elapsed, ended_at, work)
      SELECT 'r-' || n, ${TEN}, 'flux-dev', 'up-' || ${elapsed}, 1, 1, '{}', 'relayed', 200, ${elapsed}, ${TEN}, 'p24' FROM each`);
  insert(0, 5, 1);
  insert(5, MOST_REMEMBERED - 5, 2);
  database.close();
  const knows = (upstream: string) =>
    openStored(folder, new HandClock())
      .learning.like("flux-dev", "p24")
      ?.learned(upstream, undefined, TEN as Instant);
  t.is(knows("up-1")?.requests, 5);
  const more = openLedger(folder);
  more.exec("UPDATE decisions SET seq = seq + 1 WHERE seq = (SELECT max(seq) FROM decisions)");
  more.close();
  t.is(knows("up-1"), undefined);
  t.is(knows("up-2")?.requests, 48);
});
