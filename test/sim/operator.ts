// Somebody who changes budgets by hand while the house runs: the daemon's own edits and allocations over the
// simulated ledger, and beside them what each must mean, noted apart. What it notes outlives the daemon.

import { BudgetEdits, type Edited } from "../../src/daemon/budget-edits.ts";
import { InForce } from "../../src/daemon/in-force.ts";
import { ManualAllocations } from "../../src/daemon/manual-allocations.ts";
import { parseRaises, RAISES } from "../../src/daemon/raises.ts";
import type { LocalAccounts } from "../../src/ledger/accounts.ts";
import { nanoUsd } from "../../src/metering/money.ts";
import { quantityOf, type Unit } from "../../src/metering/quantity.ts";
import { type DurationUs, later, SECOND } from "../../src/metering/time.ts";
import type { Budget, Policy } from "../../src/policy/policy.ts";
import type { FakeDisk } from "../support/fake-disk.ts";
import type { Plane } from "./plane.ts";
import { Raised } from "./raised.ts";
import type { Random } from "./random.ts";
import { Resets } from "./resets.ts";
import { SetAside } from "./set-aside.ts";
import type { World } from "./world.ts";

const USERS = ["alice", "bob", "eve"];
const WHO = "an operator";

/** What every life of the daemon must keep. */
export class ByHand {
  readonly resets = new Resets();
  readonly raised = new Raised();
  readonly aside = new SetAside();

  reread(disk: FakeDisk): void {
    this.resets.reread(disk.entries);
    this.aside.reread(disk);
  }

  stalled(): void {
    this.raised.stalled();
    this.aside.stalled();
  }
}

export interface OperatorParts {
  readonly world: World;
  readonly random: Random;
  readonly accounts: LocalAccounts;
  readonly disk: FakeDisk;
  /** As the file says. */
  readonly file: Policy;
  readonly notes: ByHand;
  readonly plane: Plane;
  /** Whether this daemon still runs. */
  isAlive(): boolean;
  /** Limits or balances have changed in this tick: whoever waits decides anew. */
  turned(policy: Policy): void;
  count(what: string): void;
  failed(error: unknown): void;
}

export class Operator {
  readonly #parts: OperatorParts;
  readonly #inForce: InForce;
  readonly #edits: BudgetEdits;
  readonly #allocations: ManualAllocations;
  /** The budget's values that are being reset, one reset after another. */
  #resetting: { readonly value: string | undefined } | undefined;

  constructor(parts: OperatorParts) {
    const { accounts, world, disk, file, notes, plane } = parts;
    this.#parts = parts;
    const now = () => accounts.now();
    const log = { info: () => undefined, warn: () => undefined } as never;
    this.#inForce = new InForce({ policy: file, text: "" }, undefined, now());
    const after = (delay: DurationUs, call: () => void) =>
      world.after(delay, () => parts.isAlive() && call());
    const rewrite = async () => ({ kind: "refused", why: "there is no file" }) as const;
    const turn = () => parts.turned(this.#inForce.policy);
    const store = {
      setSwitch: (name: string, value: string) => disk.setSwitch(name, value),
      adjust: async (adjustments: Parameters<FakeDisk["adjust"]>[0]) => {
        const [{ budget: id, at } = { budget: "", at: now() }] = adjustments;
        const budget = this.policy.budgets.find((one) => one.id === id);
        const kept = budget && notes.resets.begin(budget, this.#resetting?.value, at);
        await disk.adjust(adjustments);
        kept?.();
      },
    };
    this.#edits = new BudgetEdits(
      { inForce: this.#inForce, accounts, store, log, now, after, turn, rewrite, digest: () => undefined },
      parseRaises(disk.switches.get(RAISES)),
    );
    const balances = () => plane.room.seenByNewcomer(accounts.view());
    this.#allocations = new ManualAllocations({ accounts, log, balances });
    const told = accounts.onExpired;
    accounts.onExpired = (rows) => {
      told(rows);
      for (const { id } of rows) notes.aside.ended(id);
      if (rows.length > 0) parts.count("expired");
    };
  }

  get policy(): Policy {
    return this.#inForce.policy;
  }

  /** In the tick in which the file's next policy comes into force: the raises stay over it. */
  adopt(file: Policy): Policy {
    const { accounts } = this.#parts;
    this.#inForce.adopt({ policy: file, text: "" }, accounts.now());
    accounts.relimit(this.policy);
    return this.policy;
  }

  check(): void {
    const { accounts, notes, world } = this.#parts;
    notes.resets.check(accounts, this.policy);
    notes.raised.check(this.#inForce.file.policy, this.policy, accounts.now(), world.monotonic());
    notes.aside.check(accounts, this.policy, world.monotonic());
  }

  reset(): void {
    const { random, notes } = this.#parts;
    const budget = this.#pickBudget();
    if (budget === undefined || this.#resetting !== undefined) return;
    const value = budget.per === "user" && random.chance(0.5) ? random.pick(USERS) : undefined;
    this.#run(async () => {
      this.#resetting = { value };
      const before = notes.resets.count;
      const change = { kind: "reset", budget: budget.id, ...(value !== undefined && { value }) } as const;
      const done = await this.#edits.edit(change, WHO, "a trial");
      this.#resetting = undefined;
      if (done.kind === "reset" && notes.resets.count > before) this.#parts.count("reset");
      return done;
    });
  }

  raise(): void {
    const { random, accounts, notes } = this.#parts;
    const budget = this.#pickBudget();
    const [unit, limit] = [...(budget?.limits ?? [])][0] ?? [];
    if (budget === undefined || unit === undefined || limit === undefined) return;
    const amount = quantityOf((limit * BigInt(random.whole(10, 150))) / 100n + 1n);
    const lasts = (random.whole(2, 100) * SECOND) as DurationUs;
    this.#run(async () => {
      const until = later(accounts.now(), lasts);
      const change = { kind: "raise", budget: budget.id, unit, amount, until } as const;
      const done = await this.#edits.edit(change, WHO, "a trial");
      if (done.kind === "raised") this.#parts.count("raised");
      if (done.kind === "raised") notes.raised.note(done.raise);
      return done;
    });
  }

  endRaise(): void {
    const { random, notes } = this.#parts;
    const { raises } = this.#inForce;
    if (raises.length === 0) return;
    const { id } = random.pick(raises);
    this.#run(async () => {
      const done = await this.#edits.edit({ kind: "end_raise", id }, WHO, "a trial");
      if (done.kind === "raise_ended") notes.raised.note(done.raise);
      return done;
    });
  }

  allocate(): void {
    const { random, notes, count } = this.#parts;
    const user = random.pick(USERS);
    const amount = nanoUsd(BigInt(random.whole(1, 40)) * 1_234_567n);
    const wish = {
      ...{ labels: { user }, amount, by: WHO, reason: "a trial" },
      lasts: (random.whole(5, 120) * SECOND) as DurationUs,
    };
    this.#run(async () => {
      const done = await this.#allocations.allocate(wish);
      if (done.kind !== "allocated") return done;
      const { id, at, allocation } = done.row;
      count("set aside");
      notes.aside.allocated({ id, user, amount, at, until: allocation?.until ?? at });
      return done;
    });
  }

  /** Given back, or settled with a part of it. */
  endAllocation(): void {
    const { random, notes } = this.#parts;
    const all = this.#allocations.list();
    if (all.length === 0) return;
    const { id, amount } = random.pick(all);
    const spent = random.chance(0.5) ? nanoUsd((amount * BigInt(random.whole(0, 100))) / 100n) : undefined;
    notes.aside.ended(id);
    this.#run(() =>
      spent === undefined ? this.#allocations.release(id, WHO) : this.#allocations.settle(id, spent, WHO),
    );
  }

  /** The run is over. */
  close(): void {
    for (const { id } of this.#allocations.list()) {
      this.#parts.notes.aside.ended(id);
      this.#run(() => this.#allocations.release(id, WHO));
    }
  }

  #pickBudget(): Budget | undefined {
    const { budgets } = this.policy;
    return budgets.length === 0 ? undefined : this.#parts.random.pick(budgets);
  }

  #run(act: () => Promise<Edited | { readonly kind: string }>): void {
    const { isAlive, failed, count } = this.#parts;
    act().then(
      ({ kind }) => kind === "unwritten" && isAlive() && count("edit unwritten"),
      (error) => failed(error),
    );
  }
}

/** By how much each limit is lower now. */
export function fallen(before: Policy, after: Policy): ReadonlyMap<string, bigint> {
  const falls = new Map<string, bigint>();
  for (const { id, limits } of after.budgets) {
    const known = before.budgets.find((one) => one.id === id)?.limits;
    for (const [unit, limit] of limits) {
      const fall = (known?.get(unit as Unit) ?? limit) - limit;
      if (fall > 0n) falls.set(`${id} ${unit}`, fall);
    }
  }
  return falls;
}
