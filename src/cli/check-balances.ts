// The part of `check` that looks at a ledger: of each budget that the policy in force there does not have, or
// has otherwise, the balance it has and the one it would begin with. A ledger that is not there, or cannot be
// read, is no problem of the policy.

import { previewBalances } from "../ledger/balance-preview.ts";
import { openLedgerToRead } from "../ledger/sqlite-open.ts";
import { formatNumber } from "../metering/quantity-text.ts";
import { formatInstant, instantUs } from "../metering/time.ts";
import { type BalanceDiff, balanceLines } from "../policy/balance-diff.ts";
import type { Policy } from "../policy/policy.ts";

export type Preview =
  | { readonly kind: "balances"; readonly folder: string; readonly diffs: readonly BalanceDiff[] }
  | { readonly kind: "unread"; readonly why: string };

export function previewIn(folder: string, policy: Policy): Preview {
  try {
    const database = openLedgerToRead(folder);
    try {
      const now = instantUs(Date.now() * 1000);
      return { kind: "balances", folder, diffs: previewBalances(database, policy, now) };
    } finally {
      database.close();
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { kind: "unread", why: error.message };
  }
}

export function previewLines(preview: Preview): readonly string[] {
  if (preview.kind === "unread") return [`balances are not compared: ${preview.why}`];
  const { folder, diffs } = preview;
  if (diffs.length === 0) return [`no budget is new or changed beside the policy in force in ${folder}`];
  return [`beside the policy in force in ${folder}:`, ...diffs.flatMap(balanceLines)];
}

/** Null where there was no ledger to compare with. */
export function previewJson(preview: Preview): { readonly balances: object | null } {
  if (preview.kind === "unread") return { balances: null };
  return {
    balances: preview.diffs.map(({ budget, unit, rows, more, missedBefore }) => {
      const amount = (one: (typeof rows)[number]["before"]) =>
        one === undefined ? null : formatNumber(unit, one);
      const wire = rows.map(({ of, before, after }) => ({
        scope: of?.scope ?? null,
        value: of?.value ?? null,
        settled_before: amount(before),
        settled_after: amount(after),
      }));
      const missed_before = missedBefore === undefined ? null : formatInstant(missedBefore);
      return { budget, unit, balances: wire, more, missed_before };
    }),
  };
}
