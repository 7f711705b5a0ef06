// What can be decided about a task, and the explanation that is kept with it. Values only: proxy/reply.ts
// knows about 402, ledger/accounts.ts about holding.

import type { NanoUsd } from "../metering/money.ts";
import type { Quantity, Unit } from "../metering/quantity.ts";
import type { SuccessShare } from "../metering/success-share.ts";
import type { DurationUs, Instant } from "../metering/time.ts";
import type { Demand } from "./claims.ts";
import type { Expected } from "./expect.ts";
import type { Hindrance } from "./hindrance.ts";
import type { Action, Mode, Upstream } from "./policy.ts";
import type { Cold } from "./rank.ts";
import type { SpendingStop } from "./spending.ts";

/** An upstream that could serve, and what this request would cost there. */
export interface Quote extends Expected {
  readonly upstream: Upstream;
  readonly amount: NanoUsd;
  readonly hold: NanoUsd;
  /** 0 where the price does not depend on time. */
  readonly holdTime: DurationUs;
  /** How long it is held for in a budget that counts seconds. */
  readonly span: DurationUs;
  /** Of a language model; none of any other. */
  readonly tokens: { readonly input: number; readonly output: number };
  /** What candidates are compared by: the expected price, or the policy's shadow price. */
  readonly rank: NanoUsd;
  readonly inFlight: number;
  /** Why it cannot run there now; absent where it can. */
  readonly hindrance?: Hindrance | undefined;
  /** Why it can serve nobody until somebody does something; absent where it can. */
  readonly down?: string | undefined;
  /** Absent: it is up. */
  readonly cold?: Cold | undefined;
  /** Where failures are frequent: the rank is the price of a success. */
  readonly success?: SuccessShare | undefined;
  /** Where its price goes by a time that was not learned, while that of like work elsewhere was. */
  readonly untried?: { readonly asFastest: NanoUsd; readonly mayTry: boolean } | undefined;
  /** `tried`: it stands where it does in order to learn its time; `last`: behind those that are known. */
  readonly standing?: "tried" | "last" | undefined;
}

/** Identifies one balance: what a budget covers and how its periods turn, not its id (MONEY §4). */
export type AccountKey = string;

/** What one hold asks of one account in one period. */
export interface Claim {
  readonly account: AccountKey;
  readonly start: Instant;
  readonly end: Instant;
  readonly amount: Quantity;
  /** The lowest limit of an enforcing budget on it; undefined where nothing can refuse. */
  readonly limit: Quantity | undefined;
}

/** What can be decided; the last is said by whoever waited, not by `decide`. */
export type Decision = Decided | TooBusy;
export type Decided = Forward | Refuse | NoUpstream | Wait | Stopped;

export interface Forward {
  readonly kind: "forward";
  readonly quote: Quote;
  /** The model that serves: another one than was asked for where a budget degraded it to that. */
  readonly model: string;
  /** Set where a budget sent it elsewhere than it asked for. */
  readonly degraded: Degraded | undefined;
  readonly claims: readonly Claim[];
  /** Budgets that are over a threshold or, under `warn`, over their limit. */
  readonly warnings: readonly Warning[];
  /** What would cost less, where a soft_limit budget is critical; cheapest first. */
  readonly cheaper: readonly Alternative[];
  readonly explanation: Explanation;
}

/** What `on_limit: degrade` changed. */
export interface Degraded {
  /** Id of the budget that did. */
  readonly budget: string;
  readonly from: Place;
  readonly to: Place;
}

/** What serves a request, and where. */
export interface Place {
  readonly model: string;
  readonly upstream: string;
  readonly gpuTier: string | undefined;
}

export interface Refuse {
  readonly kind: "refuse";
  readonly breach: Breach;
  readonly explanation: Explanation;
}

/** It would cost money, and all spending is stopped. */
export interface Stopped {
  readonly kind: "stopped";
  readonly stop: SpendingStop;
  /** Of the policy: what the moment of the stop is told in. */
  readonly timezone: string;
  /** Free ones that would have passed. */
  readonly alternatives: readonly Alternative[];
  readonly explanation: Explanation;
}

/** No upstream of the model can be chosen: under this mode, or for this request. */
export interface NoUpstream {
  readonly kind: "no_upstream";
  /** A sentence that says why and what to change. */
  readonly reason: string;
  /** What there is to change: what was asked for, or who may serve it. */
  readonly cause: "request" | "upstreams";
  readonly explanation: Explanation;
}

/**
 * Budgets let it through, but every upstream that fits them is at its limit; or a budget queues it. Whoever
 * waits holds nothing; woken, it is decided anew under the policy of that moment.
 */
export interface Wait {
  readonly kind: "wait";
  /** Ids of what it waits for, in rank order: whichever is free first. None where it waits for money. */
  readonly upstreams: readonly string[];
  /** All of them are ejected and being tried: it waits to be the next who tries. */
  readonly isLastResort: boolean;
  /** None of them can run it earlier. */
  readonly notBefore: DurationUs;
  /** What it would ask of budgets that make work wait, at each upstream that it may run at. */
  readonly wishes: readonly Wish[];
  /** Undefined where it waits for a slot. */
  readonly money: MoneyWait | undefined;
  /** When a client that does not wait may well try again: a guess. */
  readonly retryAfter: DurationUs;
  /** A sentence that says what it waits for and why. */
  readonly reason: string;
  readonly explanation: Explanation;
}

/** Alternatives: it takes one of them. */
export interface Wish {
  readonly upstream: string;
  /** Each with its limit. */
  readonly claims: readonly Claim[];
  /** Of budgets that do not make work wait: it must fit them too, and keeps nobody out of them. */
  readonly others: readonly Claim[];
}

export interface MoneyWait {
  /** What it is refused with where it waits in vain. */
  readonly breach: Breach;
  /** When it was decided: it would not fit even once holds end. The room judges that anew. */
  readonly isParked: boolean;
  /** The balance that the breach is about. */
  readonly account: AccountKey;
  readonly start: Instant;
  /** What that balance was asked for. */
  readonly by: Demand;
  /** In all. */
  readonly maxWait: DurationUs;
}

/** It waited in vain, or could not even wait. */
export interface TooBusy {
  readonly kind: "too_busy";
  readonly reason: string;
  readonly explanation: Explanation;
}

export interface Warning {
  readonly budget: string;
  /** What is counted: soft_limit once such a budget is critical. */
  readonly action: "warn" | "soft_limit";
  readonly text: string;
}

/** The budget that said no. `resets` is undefined for periods that never turn. */
export interface Breach {
  readonly budget: string;
  readonly action: Action;
  readonly unit: Unit;
  readonly limit: Quantity;
  readonly settled: Quantity;
  readonly held: Quantity;
  readonly needed: Quantity;
  readonly resets: Instant | undefined;
  /** How long it waited for it, in vain. */
  readonly waited?: DurationUs | undefined;
  readonly timezone: string;
  readonly alternatives: readonly Alternative[];
}

/** What would have passed instead. */
export interface Alternative {
  readonly upstream: string;
  readonly provider: string;
  readonly estimate: NanoUsd;
}

/** Everything that led to a decision; stored with the request, shown by `explain`. */
export interface Explanation {
  readonly at: Instant;
  readonly mode: Mode;
  readonly policy: string;
  /** In rank order, those that were left out last. */
  readonly candidates: readonly CandidateExplanation[];
  readonly chosen: string | undefined;
  /** One sentence: the rule that fired. */
  readonly rule: string;
  /** What would have passed: every candidate whose budgets have the money, whatever the mode says. */
  readonly alternatives: readonly Alternative[];
  readonly degraded?: Degraded | undefined;
}

export interface CandidateExplanation {
  readonly upstream: string;
  /** Where it is another one than was asked for: the fallback model. */
  readonly model?: string | undefined;
  readonly provider: string;
  readonly estimate: NanoUsd;
  readonly hold: NanoUsd;
  readonly rank: NanoUsd;
  /** What the studio's own bill grows by; absent in records of earlier versions. */
  readonly marginal?: NanoUsd;
  /** Of one that is to be started first: how long that takes, and what it adds to the rank. */
  readonly start?: StartExplanation | undefined;
  /** Where the rank is divided by it. */
  readonly success?: SuccessShare | undefined;
  readonly time: DurationUs;
  /** "learned from 12 requests"; ledgers of before 2026-12 do not say. */
  readonly timeSource?: string | undefined;
  readonly inFlight: number;
  /** "1.006 USD/h, rate card aws/us-east-1/g5.xlarge of 2026-07-20" */
  readonly price: string;
  /** Why it was not chosen; undefined for the chosen one and for those ranked after it. */
  readonly leftOut: string | undefined;
  readonly budgets: readonly BudgetExplanation[];
}

/** What starting its container costs beside the work. */
export interface StartExplanation {
  readonly time: DurationUs;
  readonly amount: NanoUsd;
  /** What its machine bills at least, beyond start and work. */
  readonly minimum: NanoUsd;
}

/** One covering budget as it stood before the hold, in the period of `at`. */
export interface BudgetExplanation {
  readonly budget: string;
  readonly action: Action;
  readonly unit: Unit;
  readonly limit: Quantity;
  readonly settled: Quantity;
  readonly held: Quantity;
  readonly needed: Quantity;
  readonly fits: boolean;
  readonly shadow: boolean;
  readonly resets: Instant | undefined;
  /** Once the request has ended: it had no money for more time, and `overrun: cut` ended it. */
  readonly hasCut?: boolean;
}
