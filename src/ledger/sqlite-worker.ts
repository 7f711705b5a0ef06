// The one writer of DATA/ledger.db, in a thread of its own: whatever arrived while the last commit was
// under way becomes the next one (group commit). It says "ready" once the ledger is open, and answers each
// message once it is durable, or with why not.

import { parentPort, workerData } from "node:worker_threads";
import type { Instant } from "../metering/time.ts";
import { type Adjustment, writeAdjustment } from "./adjustments.ts";
import { dropEntries } from "./dropping.ts";
import { fold, noteFold, unsettle } from "./fold.ts";
import { forgiven } from "./forgiven.ts";
import type { Packed, PackedShares } from "./packing.ts";
import { type Forgotten, forgetSilent, type Silence } from "./silent.ts";
import { isOfTheDisk } from "./sqlite-codes.ts";
import { openLedger } from "./sqlite-open.ts";
import { SqliteWriter } from "./sqlite-writer.ts";
import type { FoldAnswer, FoldQuestion, Forgiven, ForgivenQuestion } from "./store.ts";

export type Operation =
  | { readonly kind: "write"; readonly packed: Packed }
  | { readonly kind: "fold"; readonly questions: readonly FoldQuestion[] }
  | { readonly kind: "forgiven"; readonly questions: readonly ForgivenQuestion[] }
  | { readonly kind: "track"; readonly keys: readonly string[] }
  | {
      readonly kind: "switch";
      readonly name: string;
      readonly value: string;
      readonly author: string;
      readonly at: number;
    }
  | {
      readonly kind: "token";
      readonly sha256: string;
      readonly id: string;
      readonly role: string;
      readonly at: number;
    }
  | { readonly kind: "drop"; readonly before: Instant }
  | { readonly kind: "silence"; readonly silence: Silence }
  | { readonly kind: "adjust"; readonly adjustments: readonly Adjustment[] }
  | { readonly kind: "acknowledge"; readonly id: string; readonly author: string; readonly at: number };

export interface Batch {
  readonly id: number;
  readonly operations: readonly Operation[];
  readonly shares: PackedShares;
}

export type BatchResult =
  | { readonly id: number; readonly ok: true; readonly results: readonly Result[] }
  /** The disk refused all of it; nothing was written. */
  | ({ readonly id: number; readonly ok: false } & Failure);

/** An operation that cannot be written whatever the disk does stands alone: the others of its batch go on. */
export type Result = { readonly ok: true; readonly answer: Answer } | ({ ok: false } & Failure);

/** Of what was asked; nothing for what was only written. Of a drop, how many entries it found. */
export type Answer = FoldAnswer | readonly Forgiven[] | Forgotten | number;

export interface Failure {
  readonly message: string;
  /** SQLite's extended code; 0 where the error is not SQLite's. */
  readonly errcode: number;
}

const port = parentPort;
if (port === null) throw new Error("sqlite-worker.ts runs only as a worker thread");
const database = openLedger((workerData as { folder: string }).folder);
const writer = new SqliteWriter(database);
port.postMessage("ready");

port.on("message", (message: Batch | "close") => {
  if (message === "close") {
    database.close();
    port.close();
    return;
  }
  port.postMessage(commit(message));
});

function commit(batch: Batch): BatchResult {
  try {
    database.exec("BEGIN IMMEDIATE");
    writer.share(batch.shares);
    const results = batch.operations.map((operation): Result => ({ ok: true, answer: apply(operation) }));
    writer.flush();
    database.exec("COMMIT");
    return { id: batch.id, ok: true, results };
  } catch (error) {
    undo();
    const failure = describe(error);
    if (isOfTheDisk(failure.errcode)) return { id: batch.id, ok: false, ...failure };
  }
  return commitApart(batch);
}

/** Again, each operation for itself: one that cannot be written must not take the others along. */
function commitApart(batch: Batch): BatchResult {
  try {
    database.exec("BEGIN IMMEDIATE");
    writer.share(batch.shares);
    const results = batch.operations.map(attempt);
    database.exec("COMMIT");
    return { id: batch.id, ok: true, results };
  } catch (error) {
    undo();
    return { id: batch.id, ok: false, ...describe(error) };
  }
}

function undo(): void {
  writer.forget();
  if (database.isTransaction) database.exec("ROLLBACK");
}

/** Throws what concerns the whole batch: a full disk, a lock, a damaged file. */
function attempt(operation: Operation): Result {
  database.exec("SAVEPOINT operation");
  try {
    const answer = apply(operation);
    writer.flush();
    database.exec("RELEASE operation");
    return { ok: true, answer };
  } catch (error) {
    writer.forget();
    const failure = describe(error);
    if (isOfTheDisk(failure.errcode) || !database.isTransaction) throw error;
    database.exec("ROLLBACK TO operation; RELEASE operation");
    return { ok: false, ...failure };
  }
}

function apply(operation: Operation): Answer {
  switch (operation.kind) {
    case "write":
      writer.take(operation.packed);
      return [];
    case "fold":
      return foldAll(operation.questions);
    case "forgiven":
      // Like a fold it looks at all that came before it.
      writer.flush();
      return forgiven(database, operation.questions);
    case "track":
      track(operation.keys);
      return [];
    case "switch":
      database
        .prepare(
          `INSERT INTO switches VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value,
             at = excluded.at, author = excluded.author`,
        )
        .run(operation.name, operation.value, operation.at, operation.author);
      // The switch is what is in force; its turns are never edited.
      database
        .prepare("INSERT INTO turns (at, name, value, author) VALUES (?, ?, ?, ?)")
        .run(operation.at, operation.name, operation.value, operation.author);
      return [];
    case "token":
      database
        .prepare("INSERT INTO tokens VALUES (?, ?, ?, ?)")
        .run(operation.sha256, operation.id, operation.role, operation.at);
      return [];
    case "drop":
      // Entries of this batch's writes are younger; what was gathered of them needs no flush.
      return dropEntries(database, operation.before);
    case "silence":
      // What this batch has moved is not silent.
      writer.flush();
      return forgetSilent(database, operation.silence);
    case "adjust":
      for (const one of operation.adjustments) writeAdjustment(database, one);
      return [];
    case "acknowledge":
      database.prepare(ACKNOWLEDGE).run(operation.at, operation.author, operation.id);
      return [];
  }
}

function foldAll(questions: readonly FoldQuestion[]): FoldAnswer {
  // It counts what was written, and that is all of what came before it.
  writer.flush();
  const folds = questions.map((question) => {
    unsettle(database, question);
    const counted = fold(database, question);
    noteFold(database, question.key, counted);
    return { key: question.key, ...counted };
  });
  const all = folds.flatMap(({ folded }) => folded);
  for (const { change, isOwn } of all) {
    const { account, start, end, settled, held } = change;
    if (!isOwn) writer.balance(account, start, end, settled, held);
  }
  return {
    changes: all.map(({ change }) => change),
    gaps: folds.flatMap(({ key, gap }) => (gap === undefined ? [] : [{ key, before: gap }])),
  };
}

function track(keys: readonly string[]): void {
  database.exec("DELETE FROM grounds");
  const keep = database.prepare("INSERT INTO grounds VALUES (?)");
  for (const key of keys) keep.run(key);
  for (const table of ["folds", "fold_gaps"])
    database.exec(`DELETE FROM ${table} WHERE key NOT IN (SELECT key FROM grounds)`);
}

function describe(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  const errcode = error instanceof Error && "errcode" in error ? Number(error.errcode) : 0;
  return { message, errcode };
}

/** Who did it first stays. */
const ACKNOWLEDGE = `UPDATE alerts SET acknowledged_at = ?, acknowledged_by = ?
  WHERE id = ? AND acknowledged_at IS NULL`;
