// The ledger room, opened: accounts over SQLite, with a heartbeat, and a death that is told when what is
// on disk can no longer be trusted.

import type { Metrics } from "../admin/metrics.ts";
import { LocalAccounts } from "../ledger/accounts.ts";
import type { LedgerClock } from "../ledger/clock.ts";
import { openStored } from "../ledger/open.ts";
import { LedgerReader } from "../ledger/reader.ts";
import { Retention } from "../ledger/retention.ts";
import { SqliteStore } from "../ledger/sqlite.ts";
import type { Stored } from "../ledger/sqlite-read.ts";
import { StoreError } from "../ledger/store.ts";
import type { Lesson } from "../metering/learned-times.ts";
import type { StartupTimes } from "../metering/startup-times.ts";
import { seconds } from "../metering/time.ts";
import type { Learning } from "../policy/learning.ts";
import type { Policy } from "../policy/policy.ts";
import type { Sessions } from "../policy/sessions.ts";
import { systemClock } from "./clock.ts";
import type { Logger } from "./log.ts";
import { counted } from "./posted.ts";
import { remembered } from "./restore.ts";

const HEARTBEAT_MS = 1000;

export interface Books {
  readonly accounts: LocalAccounts;
  readonly clock: LedgerClock;
  readonly store: SqliteStore;
  readonly reader: LedgerReader;
  readonly stored: Stored;
  readonly learning: Learning;
  readonly sessions: Sessions;
  readonly startups: StartupTimes;
  readonly hooks: BookHooks;
  /** Resolves when it must not go on. */
  readonly died: Promise<unknown>;
  close(): Promise<void>;
}

/** Set by the room that wants to know, once it is open. */
export interface BookHooks {
  /** The first write of an outage was refused. */
  onOutage?: () => void;
  /** With each heartbeat. */
  onBeat?: () => void;
}

/** Throws with a sentence when the ledger cannot be opened. */
export async function openBooks(
  folder: string,
  policy: Policy,
  metrics: Metrics,
  log: Logger,
): Promise<Books> {
  const opened = openStored(folder, systemClock, policy);
  const { clock, owner, stored, recovered, learning, sessions, startups } = opened;
  if (recovered > 0) log.warn({ recovered }, "requests that the last run left open were settled as unknown");
  const death = Promise.withResolvers<unknown>();
  const hooks: BookHooks = {};
  let refused = 0;
  const onTrouble = (error: unknown) => {
    metrics.ledgerError();
    refused += 1;
    // One line an outage: the disk that is full may be the one that the log goes to.
    if (refused === 1) {
      log.error({ err: error }, "the ledger cannot be written");
      hooks.onOutage?.();
    }
    if (error instanceof StoreError && error.fatal) death.resolve(error);
  };
  const store = await SqliteStore.open(folder, { committed: (elapsed) => metrics.commit(seconds(elapsed)) });
  const { balances, tracked, gaps, containers, ends, used, holds: allocations } = stored;
  const restored = { balances, allocations, tracked, gaps, containers, ends, used };
  const told = { store: counted(store, metrics), onTrouble, learn: (one: Lesson) => learning.learn(one) };
  const accounts = new LocalAccounts({ ...told, ...restored, clock, owner, policy });
  const retention = new Retention({ store, accounts, onTrouble });
  const reader = new LedgerReader(folder, () => accounts.outbox.settled());
  try {
    const adopt = await accounts.prepare(policy);
    adopt();
    metrics.restore(await remembered(reader));
  } catch (error) {
    // Their threads would keep a process alive that has refused to start.
    await reader.close();
    await store.close();
    throw error;
  }
  const healed = () => {
    if (refused > 0) log.info({ refused }, "the ledger can be written again");
    refused = 0;
  };
  const beat = setInterval(() => {
    // What failed is kept, told by onTrouble, and tried again with the next beat.
    accounts.heartbeat().then(healed, () => undefined);
    void retention.look();
    hooks.onBeat?.();
  }, HEARTBEAT_MS);
  const close = async () => {
    clearInterval(beat);
    await accounts.heartbeat().catch(() => undefined);
    await retention.close();
    await reader.close();
    await store.close();
  };
  const known = { stored, learning, sessions, startups };
  return { accounts, clock, store, reader, ...known, hooks, died: death.promise, close };
}
