// What the ledger keeps of a policy that came into force: its limits, and for each budget whether it could
// refuse work and by which balance. Short, for there may be thousands; it tells whether a budget was the
// same, not what it was.

import { hash } from "node:crypto";
import type { ChangedGround } from "../policy/balance-diff.ts";
import { type Ground, groundsOf } from "../policy/match.ts";
import { isEnforcing, type Policy, SCOPES, type Scope } from "../policy/policy.ts";
import { readGround } from "./ground-name.ts";

/** The name of these records among what was turned. */
export const POLICY = "policy";

interface PolicyRecord {
  readonly digest: string;
  readonly limits?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Marks of the budgets that can refuse work; absent in ledgers of before 2026-11-27. */
  readonly refusing?: readonly string[];
  /** Of the others; absent in ledgers of before 2026-11-28, as `replaced` is. */
  readonly watching?: readonly string[];
  readonly replaced?: readonly string[];
}

export function recordOf(policy: Policy): string {
  const { digest, budgets } = policy;
  const limits = Object.fromEntries(
    budgets.map(({ id, limits: all }) => [
      id,
      Object.fromEntries([...all].map(([unit, limit]) => [unit, String(limit)])),
    ]),
  );
  const [grounds, others] = [true, false].map((is) =>
    groundsOf(policy).filter(({ budget }) => isEnforcing(budget) === is),
  ) as [Ground[], Ground[]];
  const record: PolicyRecord = {
    digest,
    limits,
    refusing: grounds.map((ground) => markOf(ground)),
    watching: others.map((ground) => markOf(ground)),
    replaced: grounds.flatMap((ground) => [...ground.replaced].map((value) => markOf(ground, value))),
  };
  return JSON.stringify(record);
}

/** Whose limit it is, and of what. */
function markOf({ budget, key }: Pick<Ground, "budget" | "key">, value?: string): string {
  return hash("sha256", JSON.stringify([budget.id, key, value])).slice(0, 12);
}

/**
 * The budgets of `after` whose limit, whose power to refuse or whose balance is not what it was when that
 * record was made. `tracked`: the balances that were complete then.
 */
export function changedSince(
  text: string | undefined,
  tracked: readonly string[],
  after: Policy,
): readonly ChangedGround[] {
  const record: PolicyRecord = text === undefined ? { digest: "" } : (JSON.parse(text) as PolicyRecord);
  const [refusing, watching] = [new Set(record.refusing), new Set(record.watching)];
  return groundsOf(after).flatMap((ground) => {
    const { budget, unit, limit, key, per } = ground;
    const limits = record.limits ?? {};
    const before = Object.hasOwn(limits, budget.id) ? limits[budget.id]?.[unit] : undefined;
    if (before === undefined) return [{ ground, was: undefined }];
    const mark = markOf(ground);
    const isSame = before === String(limit) && (isEnforcing(budget) ? refusing : watching).has(mark);
    if (isSame) return [];
    if (refusing.has(mark) || watching.has(mark)) return [{ ground, was: { key, per } }];
    const was = tracked.find((one) => {
      const its = one.startsWith(`${unit}|`) ? markOf({ budget, key: one }) : "";
      return refusing.has(its) || watching.has(its);
    });
    return [{ ground, was: was === undefined ? undefined : { key: was, per: perIn(was) } }];
  });
}

function perIn(key: string): Scope | undefined {
  const per = readGround(key)?.per;
  return SCOPES.find((scope) => scope === per);
}

/** Whether that policy had this budget, on the same balance, and it could refuse work of that value. */
export function refusedThen(text: string, ground: Ground, value: string | undefined): boolean {
  const { refusing, replaced = [] } = JSON.parse(text) as PolicyRecord;
  if (value !== undefined && replaced.includes(markOf(ground, value))) return false;
  return refusing === undefined || refusing.includes(markOf(ground));
}

/** Undefined where the policy had no such budget, or none in that unit. */
export function limitThen(text: string, budget: string, unit: string): bigint | undefined {
  const { limits } = JSON.parse(text) as PolicyRecord;
  const limit = limits !== undefined && Object.hasOwn(limits, budget) ? limits[budget]?.[unit] : undefined;
  return limit === undefined ? undefined : BigInt(limit);
}
