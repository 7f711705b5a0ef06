// Random lives of a ledger over a real disk: requests, slices, reloads, refusing disks, crashes. At the end
// the balances are what a naive recount of the entries says, on disk and in memory, and nothing is held.

import test from "ava";
import fc from "fast-check";
import { StoreError } from "../../src/ledger/store.ts";
import { verify } from "../../src/ledger/verify.ts";
import { HOUR, type Instant, SECOND } from "../../src/metering/time.ts";
import type { Reservation } from "../../src/policy/admission.ts";
import { groundsOf } from "../../src/policy/match.ts";
import type { Budget } from "../../src/policy/policy.ts";
import { HandClock, type House, ledgerFolder, onDisk, openHouse, RELAYED, rows } from "../support/ledger.ts";
import { budget, perHour, perRequest, policy, TEN, task, upstream } from "../support/policies.ts";

/** 40 s before midnight: every life may see the turn of an hour and of a day. */
const START = (TEN + 14 * HOUR - 40 * SECOND) as Instant;
const USERS = ["alice", "bob"];

const day = budget("day", { limit_usd: "0.30", overrun: "cut" });
const OTHERS: readonly Budget[] = [
  budget("each", { limit_usd: "0.2", per: "user" }),
  budget("alice-hour", { limit_usd: "0.1", when: { user: "alice" }, period: "hourly" }),
  budget("aws", { limit_usd: "0.2", when: { provider: "aws" }, overrun: "cut" }),
  budget("watch", { limit_usd: "0.01", when: { user: "bob" }, onLimit: "warn", period: "infinite" }),
];

/** `day` is in force all the time, the others come and go; bit by bit. */
function policyOf(bits: number) {
  return policy({
    upstreams: [upstream("aws"), upstream("gcp", { provider: "gcp", price: perHour("7.123456789") })],
    models: [
      {
        ...policy({ upstreams: [upstream("aws")] }).models.get("flux-dev"),
        upstreams: ["aws", "gcp"],
      } as never,
      {
        ...policy({ upstreams: [upstream("h")] }).models.get("flux-dev"),
        id: "h",
        upstreams: ["h"],
      } as never,
    ],
    budgets: [day, ...OTHERS.filter((_, index) => (bits >> index) % 2 === 1)],
  });
}

function withHosted(bits: number) {
  const base = policyOf(bits);
  const hosted = upstream("h", { provider: "nvidia-hosted", price: perRequest("0.013") });
  return { ...base, upstreams: new Map([...base.upstreams, ["h", hosted]]) };
}

type Step =
  | { readonly kind: "admit"; readonly user: string; readonly model: string }
  | { readonly kind: "begin" | "stop" | "settle" | "release" | "extend" | "slice"; readonly which: number }
  | { readonly kind: "pass"; readonly time: number }
  | { readonly kind: "adopt"; readonly bits: number }
  | { readonly kind: "beat" | "crash" | "refuse" | "allow" };

const which = fc.nat({ max: 7 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("admit" as const),
      user: fc.constantFrom(...USERS),
      model: fc.constantFrom("flux-dev", "flux-dev", "h"),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constantFrom("begin", "begin", "settle", "extend", "slice", "release", "stop" as const),
      which,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("pass" as const),
      time: fc.integer({ min: 1, max: 20_000_003 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("adopt" as const), bits: fc.nat({ max: 15 }) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom("beat", "beat", "beat", "crash", "refuse", "allow" as const),
    }),
  },
);

class Life {
  #house: House;
  readonly #folder: string;
  readonly #clock = new HandClock(START);
  #open: Reservation[] = [];
  readonly #extending = new Set<Reservation>();
  #isAdopting = false;

  private constructor(house: House, folder: string, clock: HandClock) {
    this.#house = house;
    this.#folder = folder;
    this.#clock = clock;
  }

  static async begin(folder: string): Promise<Life> {
    const clock = new HandClock(START);
    return new Life(await openHouse(folder, clock, withHosted(0)), folder, clock);
  }

  /** All at once until time passes: what races in a real house races here. */
  async live(steps: readonly Step[]): Promise<readonly string[]> {
    const racing: Promise<void>[] = [];
    for (const one of steps) {
      if (one.kind === "pass" || one.kind === "crash") await Promise.all(racing.splice(0));
      racing.push(this.take(one));
      if (one.kind === "crash") await Promise.all(racing.splice(0));
    }
    await Promise.all(racing);
    return this.#end();
  }

  /** What the disk refuses now is tried again later; every other failure is a bug. */
  async take(step: Step): Promise<void> {
    const house = this.#house;
    switch (step.kind) {
      case "admit": {
        const admission = await house.admit(task({ model: step.model, labels: { user: step.user } }));
        if (admission.kind === "admitted") this.#open.push(admission.reservation);
        return;
      }
      case "pass":
        return this.#clock.pass(step.time);
      case "adopt":
        return this.#adopt(withHosted(step.bits));
      case "beat":
        return mayFail(house.accounts.heartbeat());
      case "refuse":
        house.disk.refuses = () => true;
        return;
      case "allow":
        house.disk.refuses = () => false;
        return;
      case "crash":
        return this.#crash();
      default:
        return this.#act(step.kind, step.which);
    }
  }

  async #act(kind: Extract<Step, { which: number }>["kind"], index: number): Promise<void> {
    const reservation = this.#open[index % Math.max(1, this.#open.length)];
    if (reservation === undefined) return;
    if (kind === "begin") return reservation.begun ? undefined : reservation.begin();
    if (kind === "stop") return reservation.stop();
    // A tunnel: what it has used is posted with the slice.
    if (kind === "slice") reservation.bySlice();
    if (kind === "extend" || kind === "slice") return this.#extend(reservation);
    if (kind === "settle" ? !reservation.begun : reservation.begun) return;
    this.#open = this.#open.filter((one) => one !== reservation);
    await mayFail(kind === "settle" ? reservation.settle(RELAYED) : reservation.release("over"));
  }

  /** As proxy/holding.ts asks: one slice at a time. */
  async #extend(reservation: Reservation): Promise<void> {
    if (this.#extending.has(reservation)) return;
    this.#extending.add(reservation);
    await reservation.extend();
    this.#extending.delete(reservation);
  }

  /** As daemon/reload.ts does: one after another. */
  async #adopt(next: House["policy"]): Promise<void> {
    if (this.#isAdopting) return;
    this.#isAdopting = true;
    await mayFail(this.#house.adopt(next));
    this.#isAdopting = false;
  }

  async #crash(): Promise<void> {
    await this.#house.crash();
    this.#open = [];
    this.#clock.pass(500_000);
    this.#house = await openHouse(this.#folder, this.#clock, this.#house.policy);
  }

  /** Ends everything, and says what is wrong. */
  async #end(): Promise<readonly string[]> {
    const house = this.#house;
    house.disk.refuses = () => false;
    for (const reservation of this.#open) {
      await (reservation.begun ? reservation.settle(RELAYED) : reservation.release("over"));
    }
    await house.accounts.heartbeat();
    const wrong = [...faults(house)];
    if (house.accounts.outbox.kept > 0) wrong.push("writes are still kept");
    await house.crash();
    return wrong;
  }
}

function* faults(house: House): Iterable<string> {
  const held = rows(house.folder, "SELECT account FROM balances WHERE held <> 0").length;
  const open = rows(house.folder, "SELECT id FROM reservations").length + house.accounts.open;
  if (held > 0 || open > 0) yield `${held} accounts hold, ${open} holds are open`;
  const twice = rows(
    house.folder,
    "SELECT request FROM entries WHERE is_last = 1 GROUP BY 1 HAVING count(*) > 1",
  );
  if (twice.length > 0) yield `${twice.length} requests ended twice`;
  for (const { name, findings } of onDisk(house.folder, verify).checks)
    for (const { what, where, expected, found } of findings)
      yield `${name}: ${what}: ${where}: ${found} of ${expected}`;
  const now = house.accounts.now();
  for (const balance of rows(house.folder, "SELECT * FROM balances")) {
    const account = String(balance.account);
    const ground = groundsOf(house.policy).find(
      ({ key }) => account === key || account.startsWith(`${key}=`),
    );
    const isAlways = account === groundsOf(house.policy)[0]?.key;
    // What was not in force all the time is only complete for the period that it came back in.
    if (ground === undefined || (!isAlways && (balance.end as bigint) <= now)) continue;
    const counted = recount(house, ground.budget, balance, account.split("=").at(-1) ?? "");
    if (counted !== balance.settled) yield `${account} on disk: ${balance.settled}, its entries: ${counted}`;
    const live = house.accounts.book.balance(account, Number(balance.start) as Instant).settled;
    const isForgotten = (balance.end as bigint) <= now;
    if (!isForgotten && live !== counted) yield `${account} in memory: ${live}, its entries: ${counted}`;
  }
}

function recount(
  house: House,
  { when, per }: Budget,
  period: Record<string, unknown>,
  value: string,
): bigint {
  const entries = rows(house.folder, "SELECT * FROM entries WHERE kind = 'settled'");
  return entries
    .filter(
      (one) => (one.at as bigint) >= (period.start as bigint) && (one.at as bigint) < (period.end as bigint),
    )
    .filter((one) => [...when].every(([scope, values]) => values.includes(String(one[scope]))))
    .filter((one) => per === undefined || one[per] === value)
    .reduce((sum, one) => sum + (one.amount as bigint), 0n);
}

async function mayFail(writing: Promise<unknown>): Promise<void> {
  await writing.catch((error: unknown) => {
    if (!(error instanceof StoreError)) throw error;
  });
}

const SEED = Number(process.env.LAW_SEED ?? 20261122);
const RUNS = Number(process.env.LAW_RUNS ?? 25);

test("whatever happens, the balances are what a recount of the entries says", async (t) => {
  let wrong: readonly string[] = [];
  const law = fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
    const life = await Life.begin(ledgerFolder(t));
    wrong = await life.live(steps).catch((error: Error) => [String(error.stack)]);
    return wrong.length === 0;
  });
  const found = await fc.check(law, { seed: SEED, numRuns: RUNS });
  t.false(found.failed, `${wrong.join("\n")}\n${JSON.stringify(found.counterexample)}`);
});
