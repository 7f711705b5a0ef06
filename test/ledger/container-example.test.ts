// The one example of MONEY §10, to the nano-dollar, through the real accounts and a real disk.

import test from "ava";
import { US_PER_HOUR } from "../../src/metering/money.ts";
import { DAY, type Instant, instantUs, later, seconds } from "../../src/metering/time.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { container, watch } from "../support/containers.ts";
import {
  begun,
  HandClock,
  type House,
  houseOf,
  permit,
  RELAYED,
  restarted,
  rows,
} from "../support/ledger.ts";
import { budget, model, policy, task, upstream, usd } from "../support/policies.ts";

const MIDNIGHT = instantUs(Date.UTC(2026, 10, 23) * 1000);
const START = (MIDNIGHT - seconds(10)) as Instant;

const example: Policy = policy({
  upstreams: [upstream("aws", { hasContainer: true, gpuTier: "a10g" })],
  models: [
    model("flux-dev", ["aws"], { estimate: seconds(20) }),
    model("c", ["aws"], { estimate: seconds(8) }),
  ],
  budgets: [
    budget("day", { limit_usd: "10" }),
    budget("no-idle", { limit_usd: "10", includeIdle: false }),
    budget("c", { limit_usd: "0.008", when: { user: "c" }, overrun: "cut", period: "infinite" }),
  ],
});

const machine = container({ start: START, phase: "starting", minBilled: seconds(60) });

async function play(house: House, between: (house: House) => Promise<House> = async (same) => same) {
  house.accounts.containers.seen(machine);
  const a = permit(await house.admit(task({ labels: { user: "a" } })));
  a.wait();
  await watch(house, 2);
  house.accounts.containers.seen({ ...machine, phase: "ready" });
  a.begin();
  await watch(house, 4);
  const b = await begun(house, task({ labels: { user: "b" } }));
  await watch(house, 6);
  await b.settle(RELAYED);
  await watch(house, 2);
  await a.settle(RELAYED);
  const next = await between(house);
  await watch(next, 10);
  const c = await begun(next, task({ model: "c", labels: { user: "c" } }));
  const held = c.quote.hold;
  await watch(next, 6);
  const slice = await c.extend();
  const settled = await c.settle({ ...RELAYED, outcome: "cut" });
  await watch(next, 5);
  next.accounts.containers.off(machine.id, later(START, seconds(35)));
  await next.accounts.heartbeat();
  return { house: next, held, slice, settled };
}

function posted(house: House): Record<string, bigint> {
  const sums: Record<string, bigint> = {};
  const all = rows(
    house.folder,
    "SELECT * FROM entries WHERE kind NOT IN ('reserved', 'extended', 'released')",
  );
  for (const { kind, user, at, amount } of all) {
    const day = Number(at) < MIDNIGHT ? 1 : 2;
    const name = `${kind === "settled" ? user : kind} ${day}`;
    if (amount !== 0n) sums[name] = (sums[name] ?? 0n) + BigInt(amount as bigint);
  }
  return sums;
}

function balances(house: House): readonly (readonly [string, bigint, bigint])[] {
  return rows(house.folder, "SELECT * FROM balances WHERE settled <> 0 OR held <> 0 ORDER BY start, account")
    .filter(({ account }) => !String(account).includes("infinite"))
    .map((row) => [String(row.account).split("|")[2] ?? "", row.settled as bigint, row.held as bigint]);
}

const TABLE = {
  "startup 1": 2_000_000n,
  "a 1": 6_000_000n,
  "a 2": 3_000_000n,
  "b 1": 2_000_000n,
  "b 2": 1_000_000n,
  "c 2": 6_000_000n,
  "idle 2": 7_500_000n,
  "minimum 2": 25_000_000n,
};

const BALANCES = [
  ["all", 10_000_000n, 0n],
  ["requests", 10_000_000n, 0n],
  ["all", 42_500_000n, 0n],
  ["requests", 10_000_000n, 0n],
];

test("the example of the money page comes out to the nano-dollar", async (t) => {
  const { house, held, slice, settled } = await play(await houseOf(t, example, new HandClock(START)));
  t.is(held, usd("0.008"));
  t.is(slice, "refused");
  t.is(settled.charged, usd("0.006"));
  t.deepEqual(posted(house), TABLE);
  t.deepEqual(balances(house), BALANCES as never);
  t.is(
    Object.values(posted(house)).reduce((a, b) => a + b),
    52_500_000n,
  );
});

test("what idle costs less than the price is kept beside the lease", async (t) => {
  const { house } = await play(await houseOf(t, example, new HandClock(START)));
  const [row] = rows(house.folder, "SELECT state ->> '$.state.discount' AS raw FROM containers");
  t.is(BigInt(String(row?.raw)) / US_PER_HOUR, 7_500_000n);
});

test("a restart while it is idle changes nothing but what that time is called", async (t) => {
  const { house } = await play(await houseOf(t, example, new HandClock(START)), async (before) => {
    const next = await restarted(t, before, seconds(0));
    next.accounts.containers.seen({ ...machine, phase: "ready" });
    return next;
  });
  t.deepEqual(posted(house), TABLE);
  t.deepEqual(balances(house), BALANCES as never);
});

test("a day later the machine's money is where it was", async (t) => {
  const { house } = await play(await houseOf(t, example, new HandClock(START)));
  const next = await restarted(t, house, DAY);
  t.deepEqual(posted(next), TABLE);
});
