// What a running request needs of the accounts that hold its money: the seam between one hold and all.

import type { Lesson } from "../metering/learned-times.ts";
import type { Instant } from "../metering/time.ts";
import type { Balances } from "../policy/admission.ts";
import type { Claim } from "../policy/decision.ts";
import type { Coverage, Facts } from "../policy/match.ts";
import type { Attempts } from "./attempts.ts";
import type { BalanceChange, Book } from "./book.ts";
import type { Containers } from "./containers.ts";
import type { OpenHold } from "./held.ts";
import type { Leases } from "./leases.ts";
import type { Outbox } from "./outbox.ts";

export interface Till {
  readonly book: Book;
  readonly leases: Leases;
  readonly attempts: Attempts;
  readonly containers: Containers;
  readonly outbox: Outbox;
  now(): Instant;
  /** Live balances, brought up to now. */
  view(): Balances;
  /** The budgets that cover it under the policy in force. */
  coverage(facts: Facts): readonly Coverage[];
  /** All accounts that count an entry. */
  counting(facts: Facts): readonly Coverage[];
  take(hold: OpenHold, claims: readonly Claim[], view: Balances): readonly BalanceChange[];
  untake(hold: OpenHold, claims: readonly Claim[]): void;
  unhold(hold: OpenHold): readonly BalanceChange[];
  learn(lesson: Lesson | undefined): void;
  /** Tells whoever waits for money what one event has moved. */
  moved(changes: readonly BalanceChange[]): void;
}
