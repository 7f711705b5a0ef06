// Random edits, requests, allocations, turns of periods, changes of what budgets count, and deaths over real
// SQLite, beside a recount that knows nothing of accounts, grounds or claims: plain lists, added up anew after
// every step. What is let through fits every budget by that recount, and what is refused does not.

import test, { type ExecutionContext } from "ava";
import { BudgetEdits } from "../../src/daemon/budget-edits.ts";
import { budgetStates } from "../../src/daemon/budget-states.ts";
import { InForce } from "../../src/daemon/in-force.ts";
import { ManualAllocations } from "../../src/daemon/manual-allocations.ts";
import { parseRaises, RAISES } from "../../src/daemon/raises.ts";
import { openLedgerToRead } from "../../src/ledger/sqlite-open.ts";
import { verify } from "../../src/ledger/verify.ts";
import { nanoUsd } from "../../src/metering/money.ts";
import { quantityOf } from "../../src/metering/quantity.ts";
import { DAY, type DurationUs, HOUR, type Instant, later, MINUTE } from "../../src/metering/time.ts";
import type { Reservation } from "../../src/policy/admission.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { randomOf } from "../support/busy-ledger.ts";
import { type House, houseOf, RELAYED, restarted, rows } from "../support/ledger.ts";
import { budget, model, perRequest, policy, task, upstream } from "../support/policies.ts";

const CENT = 10_000_000n;
const USERS = ["ann", "bob"];
const LIMITS = { day: 40n, hour: 9n, twin: 12n, each: 7n };
type Id = keyof typeof LIMITS;
const IDS = Object.keys(LIMITS) as Id[];

/** What a budget counts: the days of Kolkata begin at half an hour of UTC, and so do its hours. */
interface Shape {
  readonly period: "hourly" | "daily";
  readonly users: readonly string[];
  readonly isPerUser: boolean;
}

const SHAPES: Record<Id, Shape> = {
  day: { period: "daily", users: USERS, isPerUser: false },
  hour: { period: "hourly", users: USERS, isPerUser: false },
  twin: { period: "hourly", users: USERS, isPerUser: false },
  each: { period: "hourly", users: USERS, isPerUser: true },
};
const ZONES = { UTC: 0, "Asia/Kolkata": 330 * MINUTE };
type Zone = keyof typeof ZONES;

function policyOf({ limits, shapes, zone }: Pick<Naive, "limits" | "shapes" | "zone">): Policy {
  const sketch = (id: Id) => {
    const { period, users, isPerUser } = shapes[id];
    const when = users.length < USERS.length ? { user: users } : {};
    return budget(id, { limit_usd: cents(id), period, when, ...(isPerUser && { per: "user" as const }) });
  };
  const cents = (id: Id) => `${Number(limits[id]) / 100}`;
  return policy({
    upstreams: [
      upstream("cheap", { price: perRequest("0.01") }),
      upstream("dear", { price: perRequest("0.03") }),
    ],
    models: [model("cheap", ["cheap"]), model("dear", ["dear"])],
    timezone: zone,
    // At first two of them count the same.
    budgets: IDS.map(sketch),
  });
}

interface Amount {
  readonly at: number;
  readonly user: string;
  readonly amount: bigint;
}

/** The recount: what happened, in plain lists. */
class Naive {
  readonly limits = { ...LIMITS };
  readonly shapes = { ...SHAPES };
  zone: Zone = "UTC";
  readonly charges: Amount[] = [];
  readonly holds = new Map<string, { at: number; user: string; amount: bigint; until?: number }>();
  /** What each budget has forgiven, whatever it counts now. */
  readonly forgiven: Record<Id, Set<Amount>> = {
    ...{ day: new Set(), hour: new Set(), twin: new Set(), each: new Set() },
  };
  readonly raises: { id: string; budget: Id; amount: bigint; until: number }[] = [];

  start(id: Id, at: number): number {
    const length = this.shapes[id].period === "daily" ? DAY : HOUR;
    return at - ((at + ZONES[this.zone]) % length);
  }

  /** `user`: undefined for all of a budget that tells them apart. */
  counts(id: Id, user: string | undefined, now: number): (one: Amount) => boolean {
    const { users, isPerUser } = this.shapes[id];
    const start = this.start(id, now);
    return (one) =>
      this.start(id, one.at) === start &&
      users.includes(one.user) &&
      (!isPerUser || user === undefined || one.user === user);
  }

  seen(id: Id, user: string, now: number) {
    const mine = this.counts(id, user, now);
    const add = (all: Iterable<Amount>) =>
      [...all].filter(mine).reduce((sum, { amount }) => sum + amount, 0n);
    const settled = add(this.charges.filter((one) => !this.forgiven[id].has(one)));
    const raised = this.raises
      .filter((one) => one.budget === id && one.until > now)
      .reduce((sum, { amount }) => sum + amount, 0n);
    const limit = this.limits[id] * CENT + raised;
    return { settled, held: add(this.holds.values()), limit };
  }

  /** A budget of one user's own stands in for what a budget per user would say of them. */
  judges(id: Id, user: string): boolean {
    const { users, isPerUser, period } = this.shapes[id];
    const others = Object.values(this.shapes).filter((one) => !one.isPerUser && one.period === period);
    const isOwn = others.some((one) => one.users.length === 1 && one.users[0] === user);
    return users.includes(user) && !(isPerUser && isOwn);
  }

  fits(user: string, amount: bigint, now: number): boolean {
    return IDS.filter((id) => this.judges(id, user)).every((id) => {
      const { settled, held, limit } = this.seen(id, user, now);
      return settled + held + amount <= limit;
    });
  }
}

interface Desk {
  readonly edits: BudgetEdits;
  readonly allocations: ManualAllocations;
  readonly inForce: InForce;
  /** The timer of the raises: called when the test says so. */
  look(): void;
}

function deskOf(house: House): Desk {
  const { accounts } = house;
  const inForce = new InForce({ policy: house.policy, text: "" }, undefined, accounts.now());
  let look: () => void = () => undefined;
  const stored = rows(house.folder, `SELECT value FROM switches WHERE name = '${RAISES}'`)[0]?.value;
  const log = { info: () => undefined } as never;
  const parts = {
    ...{ inForce, accounts, store: house.disk.store, log, now: () => accounts.now() },
    after: (_delay: DurationUs, call: () => void) => {
      look = call;
      return () => {
        look = () => undefined;
      };
    },
    turn: () => {
      house.policy = inForce.policy;
    },
    rewrite: async () => ({ kind: "refused", why: "there is no file" }) as const,
    digest: () => undefined,
  };
  const edits = new BudgetEdits(parts, parseRaises(stored === undefined ? undefined : String(stored)));
  const balances = () => accounts.view();
  const allocations = new ManualAllocations({ accounts, log, balances });
  return { edits, allocations, inForce, look: () => look() };
}

async function walk(t: ExecutionContext, seed: number): Promise<void> {
  const random = randomOf(seed);
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T;
  const naive = new Naive();
  let house = await houseOf(t, policyOf(naive));
  let desk = deskOf(house);
  const open = new Map<string, Reservation>();
  const told = {
    admitted: 0,
    refused: 0,
    resets: 0,
    raises: 0,
    allocated: 0,
    deaths: 0,
    expired: 0,
    moved: 0,
  };
  const putInForce = async () => {
    const next = policyOf(naive);
    const turn = await house.accounts.prepare(next);
    turn();
    desk.inForce.adopt({ policy: next, text: "" }, house.accounts.now());
    house.accounts.relimit(desk.inForce.policy);
    house.policy = desk.inForce.policy;
  };

  const check = (step: string) => {
    const now = house.accounts.now();
    for (const { budget: one, value, settled, held, limit } of budgetStates(
      desk.inForce.policy,
      house.accounts.book,
      now,
    )) {
      const expected = naive.seen(one.id as Id, value ?? "", now);
      t.deepEqual({ settled, held, limit } as unknown, expected, `seed ${seed}, ${step}: ${one.id} ${value}`);
    }
  };

  const steps: Record<string, () => Promise<void>> = {
    request: async () => {
      const [user, asked] = [pick(USERS), pick(["cheap", "dear"])];
      const amount = asked === "dear" ? 3n * CENT : CENT;
      const at = house.accounts.now();
      const may = naive.fits(user, amount, at);
      const one = task({ model: asked, labels: { user } });
      const admission = await house.admit(one);
      t.is(admission.kind, may ? "admitted" : "refuse", `seed ${seed}`);
      if (admission.kind !== "admitted") told.refused += 1;
      else {
        told.admitted += 1;
        naive.holds.set(one.id, { at, user, amount });
        open.set(one.id, admission.reservation);
      }
    },
    end: async () => {
      const [id, reservation] = pick([...open]) ?? [];
      if (id === undefined || reservation === undefined) return;
      open.delete(id);
      const held = naive.holds.get(id);
      naive.holds.delete(id);
      if (random() < 0.3) return reservation.release("over");
      reservation.begin();
      reservation.stop();
      if (held !== undefined) naive.charges.push(held);
      await reservation.settle(RELAYED);
    },
    allocate: async () => {
      const [user, cents] = [pick(USERS), pick([1n, 2n, 4n])];
      const at = house.accounts.now();
      const may = naive.fits(user, cents * CENT, at);
      const lasts = pick([30 * MINUTE, 3 * HOUR]) as DurationUs;
      const what = { labels: { user }, amount: nanoUsd(cents * CENT), lasts, by: "ops", reason: "a trial" };
      const done = await desk.allocations.allocate(what);
      t.is(done.kind, may ? "allocated" : "breach", `seed ${seed}`);
      if (done.kind !== "allocated") return;
      told.allocated += 1;
      naive.holds.set(done.row.id, { at, user, amount: cents * CENT, until: at + lasts });
    },
    endAllocation: async () => {
      const row = pick(desk.allocations.list());
      const held = row && naive.holds.get(row.id);
      if (row === undefined || held === undefined) return;
      if (random() < 0.5) {
        naive.holds.delete(row.id);
        t.is((await desk.allocations.release(row.id, "ops")).kind, "ended");
        return;
      }
      t.is((await desk.allocations.settle(row.id, nanoUsd(row.amount + 1n), "ops")).kind, "too_much");
      naive.holds.delete(row.id);
      naive.charges.push({ ...held, amount: CENT });
      t.is((await desk.allocations.settle(row.id, nanoUsd(CENT), "ops")).kind, "ended");
    },
    reset: async () => {
      const id = pick(IDS);
      const value = naive.shapes[id].isPerUser && random() < 0.5 ? pick(USERS) : undefined;
      const mine = naive.counts(id, value, house.accounts.now());
      for (const one of naive.charges) if (mine(one)) naive.forgiven[id].add(one);
      told.resets += 1;
      const change = { kind: "reset", budget: id, ...(value !== undefined && { value }) } as const;
      t.is((await desk.edits.edit(change, "ops", "a trial")).kind, "reset");
    },
    raise: async () => {
      const [id, cents] = [pick(IDS), pick([1n, 5n])];
      const until = later(house.accounts.now(), pick([20 * MINUTE, 5 * HOUR]) as DurationUs);
      const amount = quantityOf(cents * CENT);
      const change = { kind: "raise", budget: id, unit: "usd", amount, until } as const;
      const done = await desk.edits.edit(change, "ops", "a trial");
      if (done.kind !== "raised") return t.fail(done.kind);
      told.raises += 1;
      naive.raises.push({ id: done.raise.id, budget: id, amount, until });
    },
    endRaise: async () => {
      const now = house.accounts.now();
      const raise = pick(naive.raises.filter(({ until }) => until > now));
      if (raise === undefined) return;
      raise.until = now;
      const done = await desk.edits.edit({ kind: "end_raise", id: raise.id }, "ops", "a trial");
      t.is(done.kind, "raise_ended");
    },
    limit: async () => {
      const id = pick(IDS);
      naive.limits[id] = LIMITS[id] + pick([-3n, 0n, 4n]);
      await putInForce();
    },
    reshape: async () => {
      const id = pick(IDS);
      const [period, isPerUser] = [pick(["hourly", "daily"] as const), random() < 0.4];
      naive.shapes[id] = { period, isPerUser, users: isPerUser ? USERS : pick([USERS, ["ann"], ["bob"]]) };
      if (random() < 0.3) naive.zone = pick(["UTC", "Asia/Kolkata"]);
      told.moved += 1;
      await putInForce();
    },
    pass: async () => {
      house.clock.pass(pick([MINUTE, 17 * MINUTE, HOUR]));
      await house.accounts.heartbeat();
      desk.look();
      expire();
    },
    die: async () => {
      told.deaths += 1;
      await house.accounts.outbox.settled();
      house.policy = desk.inForce.file.policy;
      house = await restarted(t, house, pick([MINUTE, HOUR]));
      desk = deskOf(house);
      // Whoever was open is charged all of its hold; what was set aside by hand stays so.
      for (const [id, held] of naive.holds) {
        if (held.until !== undefined) continue;
        naive.holds.delete(id);
        naive.charges.push(held);
      }
      open.clear();
      await house.accounts.heartbeat();
      expire();
    },
  };
  const expire = () => {
    const now = house.accounts.now() as Instant;
    for (const [id, { until }] of naive.holds) {
      if (until === undefined || until > now) continue;
      naive.holds.delete(id);
      told.expired += 1;
    }
  };
  const often: readonly (readonly [string, number])[] = [
    ...([
      ["request", 12],
      ["end", 8],
      ["allocate", 3],
      ["endAllocation", 2],
      ["reset", 2],
    ] as const),
    ...([
      ["raise", 2],
      ["endRaise", 1],
      ["limit", 1],
      ["reshape", 1.5],
      ["pass", 5],
      ["die", 0.5],
    ] as const),
  ];
  const all = often.flatMap(([name, times]) => Array.from({ length: times * 2 }, () => name));
  for (let step = 0; step < 250; step += 1) {
    const name = pick(all);
    await steps[name]?.();
    check(`step ${step}, ${name}`);
  }
  for (const [what, times] of Object.entries(told)) t.true(times > 0, `seed ${seed}: no ${what}`);
  await house.accounts.outbox.settled();
  const ledger = openLedgerToRead(house.folder);
  const findings = verify(ledger).checks.flatMap((one) => one.findings);
  ledger.close();
  t.deepEqual(findings, [], `seed ${seed}`);
}

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(`balances, limits and verdicts are those of a naive recount, whatever is edited, seed ${seed}`, (t) =>
    walk(t, seed));
}
