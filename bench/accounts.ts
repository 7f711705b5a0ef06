// Accounts whose disk answers at once: what is measured over them is the deciding and holding alone.

import { systemClock } from "../src/daemon/clock.ts";
import { LocalAccounts } from "../src/ledger/accounts.ts";
import { LedgerClock } from "../src/ledger/clock.ts";
import { EPOCH } from "../src/metering/time.ts";
import type { Policy } from "../src/policy/policy.ts";

export async function openAccounts(policy: Policy): Promise<LocalAccounts> {
  const accounts = new LocalAccounts({
    store: {
      write: async () => undefined,
      fold: async () => ({ changes: [], gaps: [] }),
      forgiven: async () => [],
      track: async () => undefined,
    },
    clock: new LedgerClock(systemClock, EPOCH),
    owner: { name: "bench", epoch: 1 },
    policy,
    balances: [],
    tracked: [],
    onTrouble: (error) => {
      throw error;
    },
    learn: () => undefined,
  });
  (await accounts.prepare(policy))();
  return accounts;
}
