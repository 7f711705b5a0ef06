// What one run is asked, and what it says when nothing was wrong.

import type { LocalAccounts } from "../../src/ledger/accounts.ts";
import type { AccountsOptions } from "../../src/ledger/accounts-options.ts";

export interface Report {
  readonly seed: number;
  readonly requests: number;
  readonly outcomes: ReadonlyMap<string, number>;
  readonly crashes: number;
}

export type MakeAccounts = (options: AccountsOptions) => LocalAccounts;

/**
 * What a seed may meet: a named one that failed before something was there stays the run that it was. `slots`:
 * upstreams have bounds, requests wait and are learned from; `containers`: half of the runs have some; `byHand`:
 * somebody resets, raises and sets aside, some runs are exclusive, and prices move without containers too.
 */
export interface Kind {
  readonly slots: boolean;
  readonly containers: boolean;
  readonly byHand: boolean;
}

export const FULL: Kind = { slots: true, containers: true, byHand: true };
