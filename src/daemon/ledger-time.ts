// Ledger time as an operator sees it, and their word that the wall clock is right (MONEY §7).
//
// Invariant: adopting a jump never changes what a request costs: while something is metered the word waits,
// for a minute at most (ledger/clock.ts).

import type { ClockState } from "../admin/house.ts";
import type { LocalAccounts } from "../ledger/accounts.ts";
import type { LedgerClock } from "../ledger/clock.ts";
import type { SqliteStore } from "../ledger/sqlite.ts";

export interface LedgerTimeParts {
  readonly clock: LedgerClock;
  readonly accounts: Pick<LocalAccounts, "open">;
  readonly store: Pick<SqliteStore, "setSwitch">;
}

export function clockState({ clock }: Pick<LedgerTimeParts, "clock">): ClockState {
  const at = clock.now();
  return { at, wall: clock.wall(), doubt: clock.doubt };
}

/** Written down before it counts; rejects where it cannot be. Without a doubt there is nothing to accept. */
export async function acceptClock(parts: LedgerTimeParts, by: string): Promise<ClockState> {
  const { clock, accounts, store } = parts;
  const { at, wall, doubt } = clockState(parts);
  if (doubt === undefined) return clockState(parts);
  await store.setSwitch("clock", JSON.stringify({ from: at, to: wall }), by, at);
  if (accounts.open === 0) clock.accept();
  else clock.believe();
  return clockState(parts);
}
