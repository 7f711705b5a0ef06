// A budget explained, as the admin surface is given it: where the money of each balance went, what took it
// over its limit, and what would pass now.

import type { NanoUsd } from "../metering/money.ts";
import type { Quantity, Unit } from "../metering/quantity.ts";
import type { Instant } from "../metering/time.ts";
import type { Decided } from "../policy/decision.ts";
import type { Raise } from "../policy/raise.ts";
import type { CAUSES } from "../sdk/budgets.ts";
import type { Sums } from "./house.ts";

export interface BudgetExplained {
  /** Of a budget per user: those that are used most. */
  readonly accounts: readonly BudgetAccount[];
  /** What would pass now, asked as whoever the budget is about. */
  readonly passing: readonly Passing[];
  /** Of this period, newest first. */
  readonly adjustments: readonly Adjusted[];
  /** Of its keys in the policy file, newest first. */
  readonly edits: readonly FileEdited[];
  /** Those in force, and those that ended in this period. */
  readonly raises: readonly (Raise & { readonly isInForce: boolean })[];
  readonly allocations: readonly AllocationHeld[];
}

/** Of one of its balances, by hand. */
export interface Adjusted {
  readonly at: Instant;
  readonly value: string | undefined;
  readonly unit: Unit;
  /** Below 0: that much of what it had settled counts no more. */
  readonly amount: Quantity;
  readonly by: string;
  readonly reason: string;
}

/** Through the gateway, not with an editor: nobody says who that was. */
export interface FileEdited {
  readonly at: Instant;
  readonly what: "set" | "create" | "remove";
  /** Keys and values as they were said; "" where it was removed. */
  readonly keys: string;
  readonly by: string;
  readonly reason: string;
}

/** Set aside by hand, and held. */
export interface AllocationHeld {
  readonly id: string;
  readonly at: Instant;
  readonly until: Instant;
  readonly amount: NanoUsd;
  readonly by: string;
  readonly reason: string;
}

export interface BudgetAccount {
  readonly value: string | undefined;
  /** Of all amounts but the sums. */
  readonly unit: Unit;
  readonly by: Readonly<
    Record<"model" | "user" | "upstream", readonly (Sums & { readonly value: string })[]>
  >;
  /** Those that took most. */
  readonly requests: readonly {
    readonly id: string;
    readonly at: Instant;
    readonly user: string;
    readonly upstream: string;
    readonly amount: Quantity;
  }[];
  /** What unused containers would have cost more at their machines' price; below 0 where idle is dearer. */
  readonly idleDiscount: Quantity;
  /** 0 where it is not over its limit. */
  readonly over: Quantity;
  /** Of that, what containers can have added: `overrun: cut` holds requests back, and not these. */
  readonly containerOverdraft: Quantity;
  readonly causes: readonly Cause[];
}

/** Something that cannot be refused, and the most that it can have added (MONEY §1). */
export interface Cause {
  readonly kind: (typeof CAUSES)[number];
  readonly most: Quantity;
  /** How many entries, requests or changes it is. */
  readonly of: number;
  readonly at: Instant | undefined;
}

export interface Passing {
  readonly model: string;
  readonly upstream: string;
  readonly estimate: NanoUsd;
  readonly unit: Unit;
  readonly needed: Quantity;
  /** Whether this budget has it, whatever the others say. */
  readonly fits: boolean;
  readonly isChosen: boolean;
  readonly decision: Decided["kind"];
}
