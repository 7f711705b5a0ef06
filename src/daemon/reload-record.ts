// Keeps in the ledger which limits came into force when, and which budgets could refuse work then, so that
// `explain` can tell later that one was lowered or came late. A disk that refuses it costs an explanation,
// never a reload.

import { hash } from "node:crypto";
import type { SqliteStore } from "../ledger/sqlite.ts";
import type { Instant } from "../metering/time.ts";
import { type Ground, groundsOf } from "../policy/match.ts";
import { isEnforcing, type Policy } from "../policy/policy.ts";
import type { Logger } from "./log.ts";

/** The name of the reloads among what was turned. */
export const POLICY = "policy";

export interface RecordParts {
  readonly store: Pick<SqliteStore, "setSwitch">;
  readonly log: Logger;
  now(): Instant;
}

export class ReloadRecord {
  readonly #parts: RecordParts;
  #last: string | undefined;

  /** `last`: what the ledger has of the last one. */
  constructor(parts: RecordParts, last: string | undefined) {
    this.#parts = parts;
    this.#last = last;
  }

  /** Of a policy that is in force now; one that is the same as the last is not noted again. */
  note(policy: Policy): void {
    const { store, log, now } = this.#parts;
    const text = reloadText(policy);
    if (text === this.#last) return;
    this.#last = text;
    const refused = (error: unknown) => log.warn({ err: error }, "a reload could not be kept in the ledger");
    store.setSwitch(POLICY, text, "policy file", now()).catch(refused);
  }
}

function reloadText(policy: Policy): string {
  const { digest, budgets } = policy;
  const limits = budgets.map(({ id, limits: all }) => [
    id,
    Object.fromEntries([...all].map(([unit, limit]) => [unit, String(limit)])),
  ]);
  const grounds = groundsOf(policy).filter(({ budget }) => isEnforcing(budget));
  const refusing = grounds.map((ground) => markOf(ground));
  const replaced = grounds.flatMap((ground) => [...ground.replaced].map((value) => markOf(ground, value)));
  return JSON.stringify({ digest, limits: Object.fromEntries(limits), refusing, replaced });
}

/** Short, for there may be thousands: whose limit it is, and of what. */
function markOf({ budget, key }: Ground, value?: string): string {
  return hash("sha256", JSON.stringify([budget.id, key, value])).slice(0, 12);
}

/** Whether that policy had this budget, on the same balance, and it could refuse work of that value. */
export function refusedThen(text: string, ground: Ground, value: string | undefined): boolean {
  // Absent in ledgers of before 2026-11-28.
  const { refusing, replaced = [] } = JSON.parse(text) as Record<string, readonly string[] | undefined>;
  if (value !== undefined && replaced.includes(markOf(ground, value))) return false;
  return refusing === undefined || refusing.includes(markOf(ground));
}

/** Undefined where the policy had no such budget, or none in that unit. */
export function limitThen(text: string, budget: string, unit: string): bigint | undefined {
  const { limits } = JSON.parse(text) as { limits?: Record<string, Record<string, string>> };
  const limit = limits !== undefined && Object.hasOwn(limits, budget) ? limits[budget]?.[unit] : undefined;
  return limit === undefined ? undefined : BigInt(limit);
}
