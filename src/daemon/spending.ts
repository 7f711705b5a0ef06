// The one switch that stops all spending (DESIGN §5): laid over every decision by the accounts, kept in the
// ledger with who turned it and when, and in force again after a restart.
//
// Invariant: a stop counts from the tick in which it is asked for, before it is durable, and a resume only
// once it is durable. What fails on the way leaves spending stopped.

import type { SpendingTurn, StopAsked, StopDone } from "../admin/house.ts";
import type { Machines } from "../cloud/machines.ts";
import type { LocalAccounts } from "../ledger/accounts.ts";
import type { TurnRow } from "../ledger/queries.ts";
import type { SqliteStore } from "../ledger/sqlite.ts";
import { StoreError } from "../ledger/store.ts";
import { isFree } from "../metering/price.ts";
import type { Instant } from "../metering/time.ts";
import type { SpendingStop } from "../policy/spending.ts";
import type { Running } from "../proxy/running.ts";
import type { Logger } from "./log.ts";

export interface SpendingParts {
  readonly accounts: LocalAccounts;
  readonly store: Pick<SqliteStore, "setSwitch">;
  readonly running: Running;
  readonly machines: Machines;
  readonly log: Logger;
  now(): Instant;
  /** Whoever waits decides anew. */
  turn(): void;
}

/** The name of the switch in the ledger. */
export const SPENDING = "spending";

export class Spending {
  readonly #parts: SpendingParts;
  /** How often it was turned: a resume that another turn has overtaken changes nothing. */
  #turns = 0;

  /** `stored`: what the ledger has of it. */
  constructor(parts: SpendingParts, stored: string | undefined) {
    this.#parts = parts;
    parts.accounts.stopped = parseStop(stored);
  }

  get stopped(): SpendingStop | undefined {
    return this.#parts.accounts.stopped;
  }

  /** Said again it keeps who stopped first, and still cuts. */
  async stop({ by, cut, containers }: StopAsked): Promise<StopDone> {
    const { accounts, machines, log, now } = this.#parts;
    const at = now();
    this.#turns += 1;
    const stopped = accounts.stopped ?? { by, at };
    accounts.stopped = stopped;
    this.#parts.turn();
    const ended = cut ? this.#cutPaid(by) : [];
    const value = { stopped: true, by: stopped.by, at: stopped.at, cut, containers };
    const unwritten = await this.#write(value, by, at);
    const off = containers ? await machines.stopAll() : [];
    log.warn({ by, cut: ended.length, machines: off }, "all spending is stopped");
    return { cut: ended, machines: off, unwritten };
  }

  /** Paid work is let through again once it is durable. */
  async resume(by: string): Promise<StopDone> {
    const { accounts, log, now } = this.#parts;
    this.#turns += 1;
    const turn = this.#turns;
    const at = now();
    const unwritten = await this.#write({ stopped: false, by, at }, by, at);
    const done = { cut: [], machines: [], unwritten };
    // Overtaken by another turn, it is that one which counts.
    if (turn !== this.#turns || unwritten !== undefined) return done;
    accounts.stopped = undefined;
    this.#parts.turn();
    log.info({ by }, "spending goes on");
    return done;
  }

  /** Undefined when it is durable. */
  async #write(value: object, by: string, at: Instant): Promise<string | undefined> {
    try {
      await this.#parts.store.setSwitch(SPENDING, JSON.stringify(value), by, at);
      return undefined;
    } catch (error) {
      if (error instanceof StoreError) return error.message;
      throw error;
    }
  }

  #cutPaid(by: string): readonly string[] {
    const { accounts, running } = this.#parts;
    const paid = accounts.openHolds().filter(({ price }) => !isFree(price));
    return paid.map(({ request }) => request).filter((request) => running.cut(request, by));
  }
}

/**
 * What cannot be read keeps spending stopped: a ledger of a later version may say more than this one
 * understands, and to go on spending is the error that costs money.
 */
export function parseStop(text: string | undefined): SpendingStop | undefined {
  if (text === undefined || text === "") return undefined;
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null) return UNREADABLE;
  if ("stopped" in value && value.stopped === false) return undefined;
  if (!("by" in value && "at" in value)) return UNREADABLE;
  return { by: String(value.by), at: Number(value.at) as Instant };
}

/** The switch's turns as the ledger has them. */
export function turnOf({ at, value, by }: TurnRow): SpendingTurn {
  const said = JSON.parse(value) as Partial<SpendingTurn>;
  const { stopped = true, cut = false, containers = false } = said;
  return { at, by, stopped, cut, containers };
}

const UNREADABLE: SpendingStop = { by: "unknown", at: 0 as Instant };
