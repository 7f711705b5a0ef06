// What a recount found: how much it looked at, and each place where the ledger does not add up.

import type { DatabaseSync, SQLInputValue } from "node:sqlite";

export interface Finding {
  readonly check: string;
  /** A sentence's beginning: "settled is not what the entries add up to". */
  readonly what: string;
  /** The account, request, machine or bucket. */
  readonly where: string;
  readonly unit: string;
  /** Whole numbers of the unit: nano-dollars, microseconds or pieces. */
  readonly expected: bigint;
  readonly found: bigint;
  readonly cure: string;
}

export interface Checked {
  readonly name: string;
  /** What it is that was counted: "balances", "requests". */
  readonly of: string;
  readonly counted: number;
  /** What could not be compared, and why. */
  readonly notes: readonly string[];
  readonly findings: readonly Finding[];
}

export interface Verified {
  readonly ok: boolean;
  readonly checks: readonly Checked[];
}

/** What an open hold was posted already: tunnels are, by slice. What came before it was another attempt's. */
export const POSTED = `(SELECT sum(amount) FROM entries WHERE kind IN ('settled', 'startup')
  AND request = json_extract(held, '$.request')
  AND seq > (SELECT max(seq) FROM entries AS before
    WHERE before.request = entries.request AND before.kind = 'reserved'))`;

/** Every whole number of a row as a bigint, the rest as it is. */
export function rowsOf(
  database: DatabaseSync,
  sql: string,
  ...values: readonly SQLInputValue[]
): readonly Record<string, unknown>[] {
  const statement = database.prepare(sql);
  statement.setReadBigInts(true);
  return statement.all(...values);
}

export function big(value: unknown): bigint {
  return typeof value === "bigint" ? value : BigInt(Number(value ?? 0));
}

/** Entries of before then may be gone: what they said cannot be recounted. 0 where all are there. */
export function keptFrom(database: DatabaseSync): bigint {
  return big(rowsOf(database, "SELECT value FROM meta WHERE key = 'entries_from'")[0]?.value);
}

/** For a note: "requests that began before 2025-01-01: 3, entries of then are gone". */
export function goneNote(count: number, of: string, from: bigint): readonly string[] {
  if (count === 0) return [];
  const day = new Date(Number(from / 1000n)).toISOString().slice(0, 10);
  return [`${of} that began before ${day}: ${count}, entries of then are gone`];
}

/** Of one lease, when its state was written: V where each began that shared it then, raw. */
export interface Sharers {
  readonly active: readonly bigint[];
  /** In nano-dollars, what entries say of those already: tunnels are posted by slice. */
  readonly sliced: bigint;
  /** What those pay that had left it by then and are not settled, and no entry says yet. */
  readonly unsettled: bigint;
}

interface Joined {
  readonly posted: bigint;
  readonly start: number;
  readonly V0: string;
  readonly left?: { readonly at: number; readonly parts: readonly { readonly amount: string }[] };
}

/** `open`: of the holds that joined it, `joined` and what is POSTED. */
export function sharersAt(t: number, open: readonly Readonly<Record<string, unknown>>[]): Sharers {
  const all = open.map((row) => ({ ...JSON.parse(String(row.joined)), posted: big(row.posted) }) as Joined);
  const gone = all.filter(({ left }) => left !== undefined && left.at <= t);
  const active = all.filter((one) => one.start <= t && !gone.includes(one));
  const parts = gone.flatMap(({ left }) => left?.parts ?? []);
  const sumOf = (amounts: readonly bigint[]) => amounts.reduce((sum, amount) => sum + amount, 0n);
  return {
    active: active.map(({ V0 }) => BigInt(V0)),
    sliced: sumOf(active.map(({ posted }) => posted)),
    unsettled: sumOf(parts.map(({ amount }) => BigInt(amount))) - sumOf(gone.map(({ posted }) => posted)),
  };
}

/** The lease law, told of what was charged under `attribution: exclusive`. */
export function exclusiveNote(where: string, beyond: bigint): string {
  return `${where}: attribution is exclusive: its requests paid ${usd(beyond)} USD more than it cost`;
}

function usd(nanos: bigint): string {
  const digits = nanos.toString().padStart(10, "0");
  return `${digits.slice(0, -9)}.${digits.slice(-9).replace(/0{1,7}$/, "")}`;
}
