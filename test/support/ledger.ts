// A ledger for a test: real SQLite in a folder of its own, a clock that only the test moves, and a gate in
// front of the disk that can refuse writes or make them wait. Heartbeats come when the test says so.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setImmediate as turn } from "node:timers/promises";
import type { ExecutionContext } from "ava";
import { LocalAccounts } from "../../src/ledger/accounts.ts";
import type { BalanceChange } from "../../src/ledger/book.ts";
import type { LedgerClock } from "../../src/ledger/clock.ts";
import { openStored } from "../../src/ledger/open.ts";
import { SqliteStore } from "../../src/ledger/sqlite.ts";
import {
  type Entry,
  type FoldQuestion,
  type ForgivenQuestion,
  type Store,
  StoreError,
  type Write,
} from "../../src/ledger/store.ts";
import type { Lesson } from "../../src/metering/learned-times.ts";
import type { Clock, DurationUs, Instant } from "../../src/metering/time.ts";
import type { Admission, Ending, Reservation } from "../../src/policy/admission.ts";
import { decide } from "../../src/policy/decide.ts";
import type { Learning } from "../../src/policy/learning.ts";
import type { Facts } from "../../src/policy/match.ts";
import type { Policy } from "../../src/policy/policy.ts";
import type { Cold } from "../../src/policy/rank.ts";
import type { Task } from "../../src/policy/task.ts";
import { TEN, usd } from "./policies.ts";

export function ledgerFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(join(tmpdir(), "budgetguard-ledger-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export class HandClock implements Clock {
  #wall: number;
  #monotonic = 1_000_000;

  constructor(at: Instant = TEN) {
    this.#wall = at;
  }

  wall(): Instant {
    return this.#wall as Instant;
  }

  monotonic(): DurationUs {
    return this.#monotonic as DurationUs;
  }

  /** Time passes: both clocks go on. */
  pass(microseconds: number): void {
    this.#wall += microseconds;
    this.#monotonic += microseconds;
  }

  /** Somebody sets the wall clock: only that one moves. */
  step(microseconds: number): void {
    this.#wall += microseconds;
  }
}

/** What the disk is asked to do: a write, or the fold for a new policy. */
export type Asked = Write | "fold" | "track";

/** The store behind a gate: what is asked of it can be refused, or wait until the gate is opened. */
export class Gate implements Store {
  readonly store: SqliteStore;
  refuses: (asked: Asked) => boolean = () => false;
  #shut: { readonly for: (asked: Asked) => boolean; readonly opened: PromiseWithResolvers<void> } | undefined;

  constructor(store: SqliteStore) {
    this.store = store;
  }

  shut(only: (asked: Asked) => boolean = () => true): void {
    this.#shut = { for: only, opened: Promise.withResolvers() };
  }

  /** Whoever is on the way waits in line first, and has gone through before the next one comes. */
  async open(): Promise<void> {
    await turn();
    this.#shut?.opened.resolve();
    this.#shut = undefined;
    await turn();
  }

  async write(write: Write): Promise<void> {
    await this.#pass(write);
    await this.store.write(write);
  }

  async fold(questions: readonly FoldQuestion[]) {
    await this.#pass("fold");
    return this.store.fold(questions);
  }

  forgiven(questions: readonly ForgivenQuestion[]) {
    return this.store.forgiven(questions);
  }

  async track(keys: readonly string[]) {
    await this.#pass("track");
    return this.store.track(keys);
  }

  async #pass(asked: Asked): Promise<void> {
    if (this.#shut?.for(asked)) await this.#shut.opened.promise;
    if (this.refuses(asked)) throw new StoreError("the gate refuses this", false);
  }
}

/** Writes that say so; no fold. */
export function writesOf(kind: keyof Write): (asked: Asked) => boolean {
  return (asked) => typeof asked !== "string" && asked[kind] !== undefined;
}

export interface House {
  readonly folder: string;
  readonly clock: HandClock;
  readonly accounts: LocalAccounts;
  readonly time: LedgerClock;
  readonly disk: Gate;
  /** What the accounts said of failed writes. */
  readonly troubles: unknown[];
  /** Open holds that the start found and settled. */
  readonly recovered: number;
  readonly learning: Learning;
  policy: Policy;
  /** `cold`: to a container that has still to start. */
  admit(task: Task, cold?: Cold): Promise<Admission>;
  /** Puts another policy in force. */
  adopt(policy: Policy): Promise<void>;
  /** Nothing more is said to the disk: what is durable by now is all that a restart will find. */
  crash(): Promise<void>;
}

export async function openHouse(folder: string, clock: HandClock, policy: Policy): Promise<House> {
  const { clock: ledgerClock, owner, stored, recovered, learning } = openStored(folder, clock, policy);
  const disk = new Gate(await SqliteStore.open(folder, { committed: () => undefined }));
  const troubles: unknown[] = [];
  const { balances, tracked, gaps, containers, ends, used, holds: allocations } = stored;
  const onTrouble = (error: unknown) => void troubles.push(error);
  const learn = (lesson: Lesson) => learning.learn(lesson);
  const kept = { balances, tracked, gaps, containers, ends, used };
  const known = { store: disk, clock: ledgerClock, owner, policy, ...kept };
  const options = { ...known, allocations, onTrouble, learn };
  const accounts = new LocalAccounts(options);
  (await accounts.prepare(policy))();
  const house: House = {
    ...{ folder, clock, accounts, time: ledgerClock, disk, troubles, recovered, learning, policy },
    admit: (task, cold) =>
      accounts.admit(task, (view) => {
        const decision = decide({ ...questionOf(house.policy, task, cold), known: learning }, view);
        learning.follow(task, decision);
        return decision;
      }),
    adopt: async (next) => {
      const turn = await accounts.prepare(next);
      turn();
      house.policy = next;
    },
    crash: () => disk.store.close(),
  };
  return house;
}

/** A house that ends with its test. */
export async function houseOf(t: ExecutionContext, policy: Policy, clock = new HandClock()): Promise<House> {
  const house = await openHouse(ledgerFolder(t), clock, policy);
  t.teardown(() => house.crash());
  return house;
}

/** The same folder and clock after a crash and `away` without power. */
export async function restarted(t: ExecutionContext, house: House, away = 0): Promise<House> {
  await house.crash();
  house.clock.pass(away);
  const next = await openHouse(house.folder, house.clock, house.policy);
  t.teardown(() => next.crash());
  return next;
}

function questionOf(policy: Policy, task: Task, cold?: Cold) {
  const model = policy.models.get(task.model);
  if (model === undefined) throw new Error(`the test's policy has no model ${task.model}`);
  const candidates = model.upstreams.flatMap((id) => {
    const upstream = policy.upstreams.get(id);
    return upstream === undefined ? [] : [{ upstream, inFlight: 0, ...(cold && { cold }) }];
  });
  return { policy, model, task, candidates, unreachable: [] };
}

/** The permit, or a test that fails saying what was answered instead. */
export function permit(admission: Admission): Reservation {
  if (admission.kind !== "admitted") throw new Error(`not admitted but ${admission.kind}`);
  return admission.reservation;
}

export async function begun(house: House, task: Task): Promise<Reservation> {
  const reservation = permit(await house.admit(task));
  reservation.begin();
  return reservation;
}

export const RELAYED: Ending = { outcome: "relayed", status: 200, tokens: undefined };

/** What a second connection sees: only what is committed. */
export function onDisk<T>(folder: string, look: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(join(folder, "ledger.db"), { readOnly: true });
  try {
    return look(database);
  } finally {
    database.close();
  }
}

export function rows(folder: string, sql: string): readonly Record<string, unknown>[] {
  return onDisk(folder, (database) => {
    const statement = database.prepare(sql);
    statement.setReadBigInts(true);
    return statement.all().map((row) => ({ ...row }));
  });
}

/** Of all accounts whose name contains `part`, by the start of their period, oldest first. */
export function stored(folder: string, part = ""): readonly Pick<BalanceChange, "settled" | "held">[] {
  return rows(folder, "SELECT * FROM balances ORDER BY start, account")
    .filter(({ account }) => String(account).includes(part))
    .map(({ settled, held }) => ({ settled, held }) as Pick<BalanceChange, "settled" | "held">);
}

/** Charges as they stand in the ledger: instant and amount, in the order of time. */
export function charges(folder: string): readonly { at: bigint; amount: bigint; request: string }[] {
  return rows(
    folder,
    "SELECT at, amount, request FROM entries WHERE kind IN ('settled', 'startup') ORDER BY at, seq",
  ) as never;
}

export function facts(over: Partial<Facts> = {}): Facts {
  return {
    ...{ provider: "aws", upstream: "flux-aws", machine: "flux-aws", gpu_tier: "a10g", model: "flux-dev" },
    ...{ user: "alice", workflow: undefined, session: undefined, task: "r-1", node: undefined },
    ...{ project: undefined, tag: undefined },
    ...over,
  };
}

/** A settled request of 0.01 USD at ten, unless said otherwise. */
export function entry(over: Partial<Entry> = {}): Entry {
  return {
    ...{ at: TEN, kind: "settled", request: "r-1", clientRequestId: undefined, facts: facts() },
    ...{
      amount: usd("0.01"),
      elapsed: 10_000_000 as DurationUs,
      outcome: "relayed",
      isLast: true,
      images: 1,
      tokens: { input: 0, output: 0 },
    },
    ...{ price: "3.60/h", priceSource: "from the policy" },
    ...over,
  };
}

export async function openStore(t: ExecutionContext, folder: string): Promise<SqliteStore> {
  const store = await SqliteStore.open(folder, { committed: () => undefined });
  t.teardown(() => store.close());
  return store;
}
