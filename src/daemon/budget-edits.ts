// Changes budgets by hand, through one function: `set`, `create` and `remove` rewrite the policy file,
// `reset` is an adjustment in the ledger, `raise` lifts a limit for a while. Who did it and why is kept, and
// logged. What lets more pass counts once it is durable, and wakes whoever waits for it in that tick. Edits
// are made one after another.

import { randomUUID } from "node:crypto";
import type { LocalAccounts } from "../ledger/accounts.ts";
import type { SqliteStore } from "../ledger/sqlite.ts";
import { StoreError } from "../ledger/store.ts";
import type { Quantity, Unit } from "../metering/quantity.ts";
import { formatQuantity } from "../metering/quantity-text.ts";
import {
  between,
  DAY,
  type DurationUs,
  formatInstant,
  type Instant,
  later,
  MINUTE,
} from "../metering/time.ts";
import type { Raise } from "../policy/raise.ts";
import { type BudgetReset, type Reset, resetBudget } from "./budget-reset.ts";
import { begunText, EDITED, endText, type FileEdit, fileEditOf, isOfFile, openEdit } from "./edit-record.ts";
import type { InForce } from "./in-force.ts";
import type { Logger } from "./log.ts";
import type { PolicyChange, Rewritten } from "./policy-rewrite.ts";
import { inForceAt, kept, MOST_IN_FORCE, RAISES, raisesText } from "./raises.ts";

export type BudgetEdit =
  /** A budget that is new begins with what it would have counted; one that goes takes no balance along. */
  | PolicyChange
  | BudgetReset
  | {
      readonly kind: "raise";
      readonly budget: string;
      readonly unit: Unit;
      readonly amount: Quantity;
      readonly until: Instant;
    }
  | { readonly kind: "end_raise"; readonly id: string };

export type Edited =
  | Rewritten
  | { readonly kind: "created" | "removed" }
  | Reset
  | { readonly kind: "raised"; readonly raise: Raise }
  | { readonly kind: "raise_ended"; readonly raise: Raise }
  /** Nothing has changed; `why` says what to do about it. */
  | { readonly kind: "refused"; readonly why: string };

export interface EditParts {
  readonly inForce: InForce;
  readonly accounts: Pick<LocalAccounts, "book" | "relimit" | "outbox" | "turns" | "posting" | "containers">;
  readonly store: Pick<SqliteStore, "adjust" | "setSwitch">;
  readonly log: Pick<Logger, "info" | "warn">;
  now(): Instant;
  after(delay: DurationUs, call: () => void): () => void;
  /** Limits or balances have changed: whoever waits decides anew. */
  turn(): void;
  /** Rewrites the policy file and puts it in force; `begin` is told of its new text before it is written. */
  rewrite(change: PolicyChange, begin: (digest: string) => Promise<void>): Promise<Rewritten>;
  /** Of the policy file's text now; undefined where it cannot be read. */
  digest(): string | undefined;
}

/** Clocks step: the end of a raise is looked for at least this often. */
const LONGEST_LOOK = MINUTE;
const LONGEST_RAISE = (366 * DAY) as DurationUs;
const LONGEST_TEXT = 500;

export class BudgetEdits {
  readonly #parts: EditParts;
  #raises: readonly Raise[];
  #work: Promise<unknown> = Promise.resolve();
  #forgetLook: () => void = () => undefined;

  /** `raises`: what the ledger has of them. */
  constructor(parts: EditParts, raises: readonly Raise[]) {
    this.#parts = parts;
    this.#raises = raises;
    this.#lay();
  }

  /** Oldest first, also the latest of those that are over. */
  get raises(): readonly Raise[] {
    return this.#raises;
  }

  edit(change: BudgetEdit, by: string, reason: string): Promise<Edited> {
    const done = this.#work.then(() => this.#edit(change, by.trim(), reason.trim()));
    this.#work = done.catch(() => undefined);
    return done;
  }

  /** The raises stay in force; nobody looks any more. */
  async close(): Promise<void> {
    this.#forgetLook();
    await this.#work;
  }

  async #edit(change: BudgetEdit, by: string, reason: string): Promise<Edited> {
    if (by === "" || reason === "") return refused("an edit has an author and a reason: say both");
    if (by.length > LONGEST_TEXT || reason.length > LONGEST_TEXT)
      return refused(`author and reason have at most ${LONGEST_TEXT} characters each`);
    try {
      const done = await this.#make(change, by, reason);
      if (["refused", "unwritten", "problems", "read_only"].includes(done.kind)) return done;
      this.#parts.log.info({ by, reason, ...toldOf(change, done) }, "a budget was edited");
      return done;
    } catch (error) {
      if (error instanceof StoreError) return { kind: "unwritten", why: error.message };
      throw error;
    }
  }

  #make(change: BudgetEdit, by: string, reason: string): Promise<Edited> | Edited {
    if (change.kind === "end_raise") return this.#endRaise(change.id, by);
    const { policy } = this.#parts.inForce;
    const budget = policy.budgets.find(({ id }) => id === change.budget);
    if (change.kind === "create") return this.#create(change, budget !== undefined, by, reason);
    if (budget === undefined) {
      const known = policy.budgets.map(({ id }) => id).join(", ");
      return refused(`there is no budget ${change.budget}; there are: ${known === "" ? "none" : known}`);
    }
    if (change.kind === "set") return this.#rewrite(change, by, reason);
    if (change.kind === "remove") return this.#rewrite(change, by, reason, "removed");
    if (!budget.enabled) return refused(`budget ${change.budget} is not enabled: it counts nothing`);
    if (change.kind === "raise") return this.#raise(change, by, reason);
    // A policy that is put in force meanwhile would not know of it.
    return this.#parts.accounts.turns.take(() => resetBudget(this.#parts, change, by, reason));
  }

  #create(
    change: PolicyChange & { kind: "create" },
    isThere: boolean,
    by: string,
    reason: string,
  ): Promise<Edited> | Edited {
    if (isThere) return refused(`there is a budget ${change.budget} already: set its keys`);
    return this.#rewrite(change, by, reason, "created");
  }

  async #rewrite(
    change: PolicyChange,
    by: string,
    reason: string,
    kind: "set" | "created" | "removed" = "set",
  ): Promise<Edited> {
    const { rewrite, store, now } = this.#parts;
    const edit = fileEditOf(change, { at: now(), by, reason });
    let begun: string | undefined;
    const done = await rewrite(change, async (digest) => {
      await store.setSwitch(EDITED, begunText({ ...edit, digest }), by, edit.at);
      begun = digest;
    });
    const isSet = done.kind === "set";
    if (begun !== undefined || isSet) await this.#note(edit, isSet || this.#parts.digest() === begun);
    return isSet ? { kind } : done;
  }

  /** One that a crash left open was made if the file is as it was to become. `value`: what the ledger has. */
  resume(value: string | undefined): void {
    const open = openEdit(value);
    if (open === undefined) return;
    const { digest, ...edit } = open;
    this.#work = this.#work.then(() => this.#note(edit, this.#parts.digest() === digest));
  }

  /** The file says neither who nor why. */
  async #note(edit: FileEdit, isDone: boolean): Promise<void> {
    const { store, log } = this.#parts;
    try {
      await store.setSwitch(EDITED, endText(edit, isDone), edit.by, edit.at);
    } catch (error) {
      log.warn({ err: error }, "whether a budget was edited will be looked for at the next start");
    }
  }

  async #raise(
    { budget, unit, amount, until }: BudgetEdit & { kind: "raise" },
    by: string,
    reason: string,
  ): Promise<Edited> {
    const { inForce, now } = this.#parts;
    const from = now();
    const limits = inForce.policy.budgets.find(({ id }) => id === budget)?.limits;
    if (limits?.has(unit) !== true) return refused(`budget ${budget} has no limit in ${unit} to raise`);
    if (amount <= 0n) return refused("a raise adds to the limit: an amount above 0 (to lower it, set it)");
    if (until <= from) return refused(`the raise would have ended already, at ${formatInstant(until)}`);
    if (until > later(from, LONGEST_RAISE))
      return refused("a raise ends within a year: set the limit instead");
    if (inForceAt(this.#raises, from).length >= MOST_IN_FORCE)
      return refused(`${MOST_IN_FORCE} raises are in force: end some, or set the limits`);
    const raise: Raise = { id: randomUUID(), budget, unit, amount, from, until, by, reason };
    await this.#keep([...this.#raises, raise], by);
    return { kind: "raised", raise };
  }

  async #endRaise(id: string, by: string): Promise<Edited> {
    const until = this.#parts.now();
    const raise = inForceAt(this.#raises, until).find((one) => one.id === id);
    if (raise === undefined) return refused(`no raise ${id} is in force`);
    const ended = { ...raise, until };
    await this.#keep(
      this.#raises.map((one) => (one === raise ? ended : one)),
      by,
    );
    return { kind: "raise_ended", raise: ended };
  }

  /** Durable before it counts: a restart must not undo what an operator was told. */
  async #keep(raises: readonly Raise[], by: string): Promise<void> {
    const at = this.#parts.now();
    const all = kept(raises, at);
    await this.#parts.store.setSwitch(RAISES, raisesText(all), by, at);
    this.#raises = all;
    this.#lay();
  }

  /** Limits turn in one tick, and whoever waits decides anew in it. */
  #lay(): void {
    const { inForce, accounts, turn, log, now } = this.#parts;
    const before = inForce.raises;
    const raises = inForceAt(this.#raises, now());
    this.#planLook(raises);
    if (before.length === raises.length && before.every((one) => raises.includes(one))) return;
    inForce.lay(raises);
    accounts.relimit(inForce.policy);
    turn();
    const ended = this.#raises.filter(
      ({ id, until }) => until <= now() && before.some((one) => one.id === id),
    );
    for (const { budget, unit, amount, id } of ended) {
      log.info({ budget, raise: id, amount: formatQuantity(unit, amount) }, "a raise has ended");
    }
  }

  #planLook(raises: readonly Raise[]): void {
    this.#forgetLook();
    if (raises.length === 0) return;
    const { now, after } = this.#parts;
    const next = Math.min(LONGEST_LOOK, ...raises.map(({ until }) => between(now(), until)));
    this.#forgetLook = after(Math.max(SOONEST, next) as DurationUs, () => this.#lay());
  }
}

/** A timer may be a little early by the ledger's clock. */
const SOONEST = 1000;

/** In words, for the log: amounts are no numbers of JSON. */
function toldOf(change: BudgetEdit, done: Edited): Record<string, unknown> {
  switch (done.kind) {
    case "reset":
      return {
        kind: done.kind,
        budget: done.adjustments[0]?.budget ?? ("budget" in change ? change.budget : ""),
        adjusted: done.adjustments.map(({ value, unit, amount }) => ({
          ...(value !== undefined && { value }),
          amount: formatQuantity(unit, amount),
        })),
      };
    case "raised":
    case "raise_ended": {
      const { id, budget, unit, amount, until } = done.raise;
      const what = { budget, raise: id, amount: formatQuantity(unit, amount), until: formatInstant(until) };
      return { kind: done.kind, ...what };
    }
    default:
      return isOfFile(change) ? change : {};
  }
}

function refused(why: string): Edited {
  return { kind: "refused", why };
}
