// Resets a budget: an adjustment in the ledger for each of its balances, of as much as it sees settled there.
// Holds stay, and so does what was counted: it counts for this budget no more.

import type { LocalAccounts } from "../ledger/accounts.ts";
import type { Adjustment } from "../ledger/adjustments.ts";
import type { SqliteStore } from "../ledger/sqlite.ts";
import { minus, NOTHING } from "../metering/quantity.ts";
import type { Instant } from "../metering/time.ts";
import { groundsOf, periodFor } from "../policy/match.ts";
import { perValueOf, relieved } from "../policy/relief.ts";
import { isOwnTask } from "../policy/task.ts";
import type { InForce } from "./in-force.ts";

/** What it has settled in this period counts no more; of a `per` budget that of one value, or of all. */
export interface BudgetReset {
  readonly kind: "reset";
  readonly budget: string;
  readonly value?: string;
}

export type Reset =
  | { readonly kind: "reset"; readonly adjustments: readonly Adjustment[] }
  /** The disk refused it, and nothing has changed. */
  | { readonly kind: "unwritten"; readonly why: string };

export interface ResetParts {
  readonly inForce: Pick<InForce, "policy">;
  readonly accounts: Pick<LocalAccounts, "book" | "outbox" | "posting" | "containers">;
  readonly store: Pick<SqliteStore, "adjust">;
  now(): Instant;
  /** Balances have changed: whoever waits decides anew. */
  turn(): void;
}

/** Of waiting for tunnels: each posts every few seconds, and a disk that keeps up has a moment between. */
const MOST_ROUNDS = 100;
const BUSY = "the disk does not keep up with the open tunnels: try again";

const REFUSED = "the ledger could not be written a moment ago: reset the budget again once it can";

/** No policy may be put in force meanwhile: it would not know of it. */
export async function resetBudget(
  parts: ResetParts,
  { budget, value }: BudgetReset,
  by: string,
  reason: string,
): Promise<Reset> {
  const { accounts, store, turn } = parts;
  // What is on its way to the disk may be refused there: a reset forgives what is settled.
  await accounts.outbox.settled();
  // An ending that was refused counts, and a restart would find it after the reset.
  if (accounts.outbox.kept > 0) return { kind: "unwritten", why: REFUSED };
  for (let round = 0; accounts.posting !== undefined; round += 1) {
    if (round === MOST_ROUNDS) return { kind: "unwritten", why: BUSY };
    await accounts.posting;
  }
  // In the same tick: what tunnels have posted is on disk now, and no more of it is under way.
  accounts.containers.cut(parts.now());
  const adjustments = settledBy(parts, budget, value).map((what) => ({ ...what, by, reason }));
  if (adjustments.length > 0) await accounts.book.adjusting(adjustments, () => store.adjust(adjustments));
  turn();
  return { kind: "reset", adjustments };
}

function settledBy(
  { accounts: { book }, inForce, now }: ResetParts,
  budget: string,
  value: string | undefined,
): readonly Omit<Adjustment, "by" | "reason">[] {
  const at = now();
  const grounds = groundsOf(inForce.policy).filter((one) => one.budget.id === budget);
  return grounds.flatMap((ground) => {
    const period = periodFor(ground, at);
    return [...book.all()].flatMap(({ account, start, balance }) => {
      const isIts = ground.per === undefined ? account === ground.key : account.startsWith(`${ground.key}=`);
      if (!isIts || start !== period.start) return [];
      const own = perValueOf(ground, account);
      if (value !== undefined && own !== value) return [];
      // A request that is a task of its own is gone with its balance.
      if (ground.per === "task" && isOwnTask(own ?? "")) return [];
      const { settled } = relieved(balance, book.relief(ground, account, period));
      if (settled <= 0n) return [];
      const amount = minus(NOTHING, settled);
      return [{ at, kind: "reset", budget, unit: ground.unit, value: own, account, period, amount }];
    });
  });
}
