// Keeps in the ledger which limits came into force when, so that `explain` can tell later that one was
// lowered. A disk that refuses it costs an explanation, never a reload.

import type { SqliteStore } from "../ledger/sqlite.ts";
import type { Instant } from "../metering/time.ts";
import type { Policy } from "../policy/policy.ts";
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

function reloadText({ digest, budgets }: Policy): string {
  const limits = budgets.map(({ id, limits: all }) => [
    id,
    Object.fromEntries([...all].map(([unit, limit]) => [unit, String(limit)])),
  ]);
  return JSON.stringify({ digest, limits: Object.fromEntries(limits) });
}

/** Undefined where the policy had no such budget, or none in that unit. */
export function limitThen(text: string, budget: string, unit: string): bigint | undefined {
  const { limits } = JSON.parse(text) as { limits?: Record<string, Record<string, string>> };
  const limit = limits !== undefined && Object.hasOwn(limits, budget) ? limits[budget]?.[unit] : undefined;
  return limit === undefined ? undefined : BigInt(limit);
}
