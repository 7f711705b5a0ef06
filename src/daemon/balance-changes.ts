// What a reload has done to balances, in lines beside its changes: the old balance and the new one, out of
// the book (policy/balance-diff.ts says of which budgets, and how).

import type { Book } from "../ledger/book.ts";
import { type Gaps, missedBefore, NO_GAPS } from "../ledger/folding.ts";
import type { Period } from "../metering/period.ts";
import type { Instant } from "../metering/time.ts";
import { balanceDiff, balanceLines, changedGrounds, type Sums } from "../policy/balance-diff.ts";
import type { AccountKey } from "../policy/decision.ts";
import { type Ground, periodFor } from "../policy/match.ts";
import type { Policy } from "../policy/policy.ts";
import { perValueOf, relieved } from "../policy/relief.ts";

/** `at`: once the new one is in force. */
export function balanceChanges(
  before: Policy,
  after: Policy,
  book: Book,
  at: Instant,
  gaps: Gaps = NO_GAPS,
): readonly string[] {
  const changed = changedGrounds(before, after);
  const grounds = changed.flatMap(({ ground, was }) => (was === undefined ? [ground] : [ground, was]));
  const split = splitAccounts(grounds, book, at);
  const sums = (ground: Ground) => sumsOf(ground, split, book, at);
  const none: Sums = new Map();
  return changed.flatMap((one) => {
    const diff = balanceDiff(one, one.was === undefined ? none : sums(one.was), sums(one.ground));
    return balanceLines({ ...diff, missedBefore: missedBefore(gaps, one.ground, at) });
  });
}

function sumsOf(
  ground: Ground,
  split: ReadonlyMap<string, readonly AccountKey[]>,
  book: Book,
  at: Instant,
): Sums {
  const period: Period = periodFor(ground, at);
  const accounts = ground.per === undefined ? [ground.key] : (split.get(ground.key) ?? []);
  return new Map(
    accounts.map((account) => {
      const seen = relieved(book.balance(account, period.start), book.relief(ground, account, period));
      return [perValueOf(ground, account) ?? "", seen.settled];
    }),
  );
}

/** By ground: all in one walk, for there may be a hundred thousand, and requests wait meanwhile. */
function splitAccounts(grounds: readonly Ground[], book: Book, at: Instant) {
  const starts = new Map(
    grounds.flatMap((ground) =>
      ground.per === undefined ? [] : [[ground.key, periodFor(ground, at).start] as const],
    ),
  );
  const found = new Map<string, AccountKey[]>([...starts.keys()].map((key) => [key, []]));
  if (starts.size === 0) return found;
  for (const { account, start } of book.all()) {
    // The name of a ground may hold the sign too.
    for (let sign = account.indexOf("="); sign >= 0; sign = account.indexOf("=", sign + 1)) {
      const key = account.slice(0, sign);
      if (starts.get(key) === start) found.get(key)?.push(account);
    }
  }
  return found;
}
