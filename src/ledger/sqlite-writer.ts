// Puts packed writes into the tables: entries, the balances they move and their rollups in one transaction.
// Rows of one request are written as they come; what many requests move (balances, rollups, marks)
// is gathered and written once for all of them, by `flush`. Runs in the ledger's worker thread.
//
// Invariant: what was taken is flushed before the transaction commits, or forgotten with it.

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { DAY } from "../metering/time.ts";
import { unitOf } from "../policy/match.ts";
import { ALERT_COLUMNS } from "./alert-rows.ts";
import {
  DECISION_COLUMNS,
  ENTRY_COLUMNS,
  type Packed,
  type PackedShares,
  pack,
  packShares,
  type Value,
} from "./packing.ts";
import { RollupWriter } from "./rollup.ts";
import type { Write } from "./store.ts";

/** Longer than the longest period that turns, a year. Each alert takes up to ten older ones along. */
const ALERTS_KEPT = 400 * DAY;

export class SqliteWriter {
  readonly #statements: Statements;
  readonly #rollups: RollupWriter;
  readonly #balances = new Map<string, BalanceSum>();
  #at = 0;
  #heartbeat = 0;

  constructor(database: DatabaseSync) {
    this.#statements = statementsOf(database);
    this.#rollups = new RollupWriter(database);
  }

  /** One write, whole. Inside a transaction of the caller. */
  put(write: Write): void {
    this.share(packShares([write]));
    this.take(pack(write));
    this.flush();
  }

  /** Inside a transaction of the caller, who flushes before it ends. */
  take(packed: Packed): void {
    const run = this.#statements;
    for (const row of packed.entries) {
      run.entry.run(...row);
      this.#rollups.count(row);
    }
    const { balances, hold, rehold, decision, ending } = packed;
    for (let at = 0; at < balances.length; at += 5) this.#add(balances, at);
    for (let at = 0; at < hold.length; at += 3) run.hold.run(...hold.slice(at, at + 3));
    for (let at = 0; at < rehold.length; at += 3) {
      const [id = null, version = null, text = null] = rehold.slice(at, at + 3);
      run.rehold.run(text, version, id, version);
    }
    for (const id of packed.unhold) run.unhold.run(id);
    for (const row of packed.containers) run.container.run(...row);
    if (decision !== undefined) {
      run.decision.run(...decision.row);
      this.#rollups.decided(decision);
    }
    if (ending !== undefined) {
      run.ending.run(...ending.row);
      this.#rollups.acted(ending.bucket, ending.actions);
    }
    for (const row of packed.alerts) run.alert.run(...row);
    if (packed.alerts.length > 0) run.forget.run(packed.at - ALERTS_KEPT, packed.at);
    this.#at = Math.max(this.#at, packed.at);
    if (packed.isBeat) this.#heartbeat = Math.max(this.#heartbeat, packed.at);
  }

  /** Before the writes that it came with: an ending among them takes its hold, and the join with it, away. */
  share({ joins, leases }: PackedShares): void {
    for (let at = 0; at < joins.length; at += 2) {
      this.#statements.join.run(joins[at + 1] ?? null, joins[at] ?? null);
    }
    for (let at = 0; at < leases.length; at += 3) this.#statements.lease.run(...leases.slice(at, at + 3));
  }

  /** What was counted elsewhere: a fold. */
  balance(account: string, start: number, end: number, settled: bigint, held: bigint): void {
    this.#add([account, start, end, settled, held], 0);
  }

  flush(): void {
    const run = this.#statements;
    // A fold comes with no write.
    const moved = this.#at > 0 ? this.#at : Number(run.highWater.get()?.value ?? 0);
    for (const { account, start, end, settled, held } of this.#balances.values()) {
      if (settled === 0n && held === 0n) continue;
      run.balance.run(account, start, end, unitOf(account), settled, held, moved);
    }
    this.#rollups.flush();
    if (this.#at > 0) run.mark.run("high_water", String(this.#at));
    if (this.#heartbeat > 0) run.mark.run("heartbeat", String(this.#heartbeat));
    this.#clear();
  }

  /** Of a transaction that was rolled back. */
  forget(): void {
    this.#rollups.forget();
    this.#clear();
  }

  #clear(): void {
    this.#balances.clear();
    this.#at = 0;
    this.#heartbeat = 0;
  }

  #add(changes: readonly Value[], from: number): void {
    const [account, start, end, settled, held] = changes.slice(from, from + 5) as BalanceRow;
    const key = `${start}|${account}`;
    const sum = this.#balances.get(key);
    if (sum === undefined) this.#balances.set(key, { account, start, end, settled, held });
    else {
      sum.settled += settled;
      sum.held += held;
    }
  }
}

type BalanceRow = [account: string, start: number, end: number, settled: bigint, held: bigint];

interface BalanceSum {
  readonly account: string;
  readonly start: number;
  readonly end: number;
  settled: bigint;
  held: bigint;
}

type Statements = Readonly<Record<keyof typeof SQL, StatementSync>>;

function statementsOf(database: DatabaseSync): Statements {
  const prepared = Object.entries(SQL).map(([name, sql]) => [name, database.prepare(sql)]);
  return Object.fromEntries(prepared) as Statements;
}

function insert(table: string, columns: readonly string[]): string {
  return `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`;
}

/** A retried request replaces what was decided for its last attempt. */
const DECIDED = [
  ...["provider", "upstream", "tier", "estimate", "hold", "explanation", "outcome"],
  ...["work", "expected", "tries"],
];
const UNENDED = ["status", "charged", "elapsed", "ended_at", "after"];

const SQL = {
  entry: insert("entries", ENTRY_COLUMNS),
  balance: `INSERT INTO balances VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, start, unit) DO UPDATE SET
    settled = settled + excluded.settled, held = held + excluded.held, moved = max(moved, excluded.moved)`,
  hold: insert("reservations", ["id", "version", "held"]),
  rehold: "UPDATE reservations SET held = ?, version = ? WHERE id = ? AND version < ?",
  join: "UPDATE reservations SET joined = ? WHERE id = ?",
  unhold: "DELETE FROM reservations WHERE id = ?",
  lease: `INSERT INTO leases VALUES (?, ?, ?) ON CONFLICT (machine) DO UPDATE SET at = excluded.at,
    state = excluded.state WHERE excluded.at >= at`,
  // Differences of what was posted count in whatever order they come; of the state the latest. One that was
  // forgotten and runs after all is as a new one.
  container: `INSERT INTO containers VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET
    state = iif(is_over = 2 OR excluded.is_over > is_over
      OR (excluded.at >= at AND excluded.is_over = is_over), excluded.state, state),
    at = iif(is_over = 2, excluded.at, max(at, excluded.at)),
    is_over = iif(is_over = 2, excluded.is_over, max(is_over, excluded.is_over)),
    idle = idle + excluded.idle, startup = startup + excluded.startup`,
  decision: `${insert("decisions", DECISION_COLUMNS)} ON CONFLICT (request) DO UPDATE SET
    ${[...DECIDED.map((name) => `${name} = excluded.${name}`), ...UNENDED.map((name) => `${name} = NULL`)]}`,
  // The ending of an earlier attempt, kept while the disk was full, never covers that of a later one.
  ending: `UPDATE decisions SET outcome = ?, status = ?, charged = ?, elapsed = ?, ended_at = ?, after = ?
    WHERE request = ? AND (ended_at IS NULL OR ended_at <= ?)`,
  // A write that was kept while the disk was full never covers a later one.
  alert: `${insert("alerts", ALERT_COLUMNS)} ON CONFLICT (once) DO UPDATE SET version = excluded.version,
    deliveries = excluded.deliveries WHERE excluded.version > version`,
  // The alerts of a period that is not over are what keeps it from being told twice.
  forget: `DELETE FROM alerts WHERE seq IN
    (SELECT seq FROM alerts WHERE at < ? AND period_end <= ? ORDER BY seq LIMIT 10)`,
  highWater: "SELECT value FROM meta WHERE key = 'high_water'",
  mark: `INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value
    WHERE CAST(excluded.value AS INTEGER) > CAST(value AS INTEGER)`,
} as const;
