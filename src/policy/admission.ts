// The contract that every ledger keeps with the rest of the house (MONEY §5): `admit` decides and holds as
// one step, and the right to send is a value that only a ledger can make.
//
//   Reservation:  held ──begin──► running ──stop──► stopped ──settle──► settled
//                   │  └──wait──► waiting ──begin──► running
//                   │                │                                     ▲
//                   └──release──► released            └──── settle ────────┘
//
// Invariant: settle or release happens exactly once; after that every call throws.

import type { Balance } from "../metering/balance.ts";
import type { NanoUsd } from "../metering/money.ts";
import type { Quantity } from "../metering/quantity.ts";
import type { DurationUs, Instant } from "../metering/time.ts";
import type {
  AccountKey,
  Decision,
  Forward,
  NoUpstream,
  Quote,
  Refuse,
  Stopped,
  TooBusy,
  Wait,
} from "./decision.ts";
import type { Policy } from "./policy.ts";
import type { ReliefOf } from "./relief.ts";
import type { SpendingStop } from "./spending.ts";
import type { Task } from "./task.ts";

/** The live balances, as `decide` sees them. */
export interface Balances {
  readonly at: Instant;
  /** While all spending is stopped: then nothing paid may be decided. */
  readonly stopped?: SpendingStop | undefined;
  balance(account: AccountKey, periodStart: Instant): Balance;
  /** What adjustments have taken off what one budget sees of a balance; absent where there are none. */
  readonly relief?: ReliefOf;
  /** What those who wait and come earlier have a claim to there; absent where nobody waits. */
  claimed?(account: AccountKey, periodStart: Instant): Claimed;
}

export interface Claimed {
  readonly amount: Quantity;
  readonly requests: number;
}

export interface Accounts {
  /**
   * Folds what new budgets would have counted, then resolves to the switch: called, it puts the policy's
   * limits in force in that tick and places open holds in budgets that newly cover them.
   */
  prepare(policy: Policy): Promise<() => void>;
  /**
   * Decides on live balances and, where the decision is to forward, holds what it claims. `decide` must be
   * synchronous, and calling it again must do no harm: an embedded ledger calls it once, a shared one again
   * on conflict. Resolves when the hold is durable. A wait is written down as under way.
   */
  admit(task: Task, decide: (view: Balances) => Decision): Promise<Admission>;
}

export type Admission =
  | { readonly kind: "admitted"; readonly reservation: Reservation; readonly decision: Forward }
  | Refuse
  | Stopped
  | NoUpstream
  | Wait
  | TooBusy
  /** The hold could not be made durable; nothing is held. */
  | { readonly kind: "ledger_unavailable"; readonly cause: unknown };

/** How a request ended. `unknown` is only ever said by recovery. */
export const OUTCOMES = [
  "relayed",
  "failed",
  "aborted",
  "truncated",
  "cut",
  "refused",
  "no_upstream",
  "unsent",
  "unknown",
] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface Ending {
  readonly outcome: "relayed" | "failed" | "aborted" | "truncated" | "cut";
  /** The upstream's status, if it sent one. */
  readonly status: number | undefined;
  /** From an LLM's `usage`; undefined: the whole hold is charged where tokens are priced. */
  readonly tokens: TokenCount | undefined;
  /** Asked for where nobody had looked when it was decided; absent: no more than was held for. */
  readonly images?: number;
}

/** Of an LLM's prompt and of its answer, as the upstream counted them. */
export interface TokenCount {
  readonly input: number;
  readonly output: number;
}

export interface Settlement {
  readonly charged: NanoUsd;
  readonly elapsed: DurationUs;
}

export interface Reservation {
  readonly id: string;
  readonly task: Task;
  readonly quote: Quote;
  /** When the held money ends at the exclusive price; FOREVER where time costs nothing. */
  readonly horizon: Instant;
  /** Whether its first byte has left, or it shares a start-up: then it is settled, never released. */
  readonly begun: boolean;
  /** Whether a budget that covers it ends the work when no further slice can be held. */
  readonly cuts: boolean;
  /** The budget with `overrun: cut` that refused the last slice, where one did. */
  readonly cutBy?: string | undefined;
  /** Nobody watched its machine for a while: the request ended before that, and is to be broken off. */
  readonly isLost?: boolean;
  /** `call` is told in the tick in which the held time comes to end sooner. There is one who listens. */
  onShortened(call: () => void): void;
  /** Its machine is starting: the request shares what that costs; it is settled now, never released. */
  wait(): void;
  /** The first byte is about to leave: the request joins its machine's lease. */
  begin(): void;
  /** The upstream's last byte was read or its socket destroyed: the clock stops, in this tick. */
  stop(): void;
  /** It may stay open for hours: what it uses is posted with each further slice (MONEY §7). */
  bySlice(): void;
  /** Asks for one more slice. Durable before it counts. */
  extend(): Promise<"extended" | "refused" | "unavailable">;
  /**
   * Posts what was used and gives the rest back. Durable when it resolves; rejects when it is not. `retry`:
   * it shared a start-up in vain, nothing of it was sent, and the request is tried elsewhere.
   */
  settle(ending: Ending, then?: "over" | "retry"): Promise<Settlement>;
  /** Gives everything back. Only where no byte was sent; `over`: the request is tried nowhere else. */
  release(then: "retry" | "over"): Promise<void>;
}
