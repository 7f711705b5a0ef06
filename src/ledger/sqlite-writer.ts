// Puts writes into the tables: entries, the balances they move and their rollups in one transaction.
// Runs in the ledger's worker thread; everything here is synchronous.

import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Join } from "../metering/lease.ts";
import { quarterHourOf } from "../metering/time.ts";
import type { BalanceChange } from "./book.ts";
import type { HeldRow } from "./held.ts";
import { encode } from "./json.ts";
import { RollupWriter } from "./rollup.ts";
import type { DecisionRow, EndingRow, Entry, Write } from "./store.ts";

export class SqliteWriter {
  readonly #database: DatabaseSync;
  readonly #rollups: RollupWriter;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#rollups = new RollupWriter(database);
  }

  /** Inside a transaction of the caller. */
  put(write: Write): void {
    for (const entry of write.entries ?? []) this.#entry(entry, write);
    for (const change of write.balances ?? []) this.balance(change);
    for (const row of write.hold ?? []) this.#hold(row);
    for (const row of write.rehold ?? []) this.#rehold(row);
    for (const { id, join } of write.joins ?? []) this.#join(id, join);
    for (const id of write.unhold ?? []) this.#run("DELETE FROM reservations WHERE id = ?", id);
    for (const { machine, state } of write.leases ?? []) this.#lease(machine, state.t, encode(state));
    if (write.decision !== undefined) this.#decision(write.decision);
    if (write.ending !== undefined) this.#ending(write.ending);
    this.#mark("high_water", write.at);
    if (write.leases !== undefined) this.#mark("heartbeat", write.at);
  }

  balance(change: BalanceChange): void {
    if (change.settled === 0n && change.held === 0n) return;
    this.#run(
      `INSERT INTO balances VALUES (?, ?, ?, 'usd', ?, ?) ON CONFLICT (account, start, unit)
       DO UPDATE SET settled = settled + excluded.settled, held = held + excluded.held`,
      change.account,
      change.start,
      change.end,
      change.settled,
      change.held,
    );
  }

  #mark(key: string, at: number): void {
    this.#run(
      `INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value
       WHERE CAST(excluded.value AS INTEGER) > CAST(value AS INTEGER)`,
      key,
      String(at),
    );
  }

  #entry(entry: Entry, write: Write): void {
    const { facts } = entry;
    this.#run(
      `INSERT INTO entries (at, wall, kind, request, client_request_id, provider, upstream, machine,
         model, tier, user, workflow, session, task, node, project, tag, amount, elapsed, images, outcome,
         is_last, price,
         price_source)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      entry.at,
      write.wall,
      entry.kind,
      entry.request ?? null,
      entry.clientRequestId ?? null,
      facts.provider ?? null,
      facts.upstream ?? null,
      facts.machine ?? null,
      facts.model ?? null,
      facts.gpu_tier ?? null,
      ...labelValues(facts),
      entry.amount,
      entry.elapsed,
      entry.images,
      entry.outcome ?? null,
      entry.isLast ? 1 : 0,
      entry.price,
      entry.priceSource,
    );
    if (entry.kind !== "reserved" && entry.kind !== "extended") {
      this.#rollups.count(quarterHourOf(entry.at), entry);
    }
  }

  #hold(row: HeldRow): void {
    this.#run(
      "INSERT INTO reservations (id, version, held) VALUES (?, ?, ?)",
      row.id,
      row.version,
      encode(row),
    );
  }

  #rehold(row: HeldRow): void {
    const text = encode(row);
    this.#run(
      "UPDATE reservations SET held = ?, version = ? WHERE id = ? AND version < ?",
      text,
      row.version,
      row.id,
      row.version,
    );
  }

  #join(id: string, join: Join): void {
    this.#run("UPDATE reservations SET joined = ? WHERE id = ?", encode(join), id);
  }

  #lease(machine: string, at: number, state: string): void {
    this.#run(
      `INSERT INTO leases VALUES (?, ?, ?) ON CONFLICT (machine) DO UPDATE SET at = excluded.at,
         state = excluded.state WHERE excluded.at >= at`,
      machine,
      at,
      state,
    );
  }

  #decision(row: DecisionRow): void {
    const { facts } = row;
    this.#run(
      `INSERT INTO decisions (request, at, client_request_id, provider, upstream, model, tier, user, workflow,
         session, task, node, project, tag, estimate, hold, explanation, outcome)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (request) DO UPDATE SET provider = excluded.provider, upstream = excluded.upstream,
         tier = excluded.tier, estimate = excluded.estimate, hold = excluded.hold,
         explanation = excluded.explanation, outcome = excluded.outcome, status = NULL, charged = NULL,
         elapsed = NULL, ended_at = NULL, after = NULL`,
      row.request,
      row.at,
      row.clientRequestId ?? null,
      facts.provider ?? null,
      facts.upstream ?? null,
      facts.model ?? null,
      facts.gpu_tier ?? null,
      ...labelValues(facts),
      row.estimate,
      row.hold,
      encode(row.explanation),
      row.outcome ?? null,
    );
    this.#rollups.decided(quarterHourOf(row.at), row);
  }

  /** The ending of an earlier attempt, kept while the disk was full, never covers that of a later one. */
  #ending(row: EndingRow): void {
    this.#run(
      `UPDATE decisions SET outcome = ?, status = ?, charged = ?, elapsed = ?, ended_at = ?, after = ?
       WHERE request = ? AND (ended_at IS NULL OR ended_at <= ?)`,
      row.outcome,
      row.status ?? null,
      row.charged,
      row.elapsed,
      row.endedAt,
      encode(row.after),
      row.request,
      row.endedAt,
    );
    this.#rollups.acted(quarterHourOf(row.endedAt), row.actions);
  }

  #run(sql: string, ...values: (string | number | bigint | null)[]): void {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    statement.run(...values);
  }
}

function labelValues(facts: Entry["facts"]): (string | null)[] {
  const { user, workflow, session, task, node, project, tag } = facts;
  return [user, workflow, session, task, node, project, tag].map((value) => value ?? null);
}
