// Puts a new policy in force: what its new budgets would have counted is folded first, then limits, texts
// and routing change in one tick, and the listeners follow. What changed is logged in words.

import type { Containers } from "../cloud/containers.ts";
import type { LocalAccounts } from "../ledger/accounts.ts";
import type { Instant } from "../metering/time.ts";
import { diffPolicies } from "../policy/diff.ts";
import { formatNote } from "../policy/parse.ts";
import type { Note, Policy } from "../policy/policy.ts";
import type { Alerts } from "./alerts.ts";
import { balanceChanges } from "./balance-changes.ts";
import type { DataPlane } from "./data-plane.ts";
import type { InForce } from "./in-force.ts";
import type { Logger } from "./log.ts";
import type { PolicyListener } from "./policy-file.ts";
import type { ReadPolicy } from "./policy-text.ts";
import type { PriceDesk } from "./price-desk.ts";
import type { ReloadRecord } from "./reload-record.ts";

export interface ReloadParts {
  readonly inForce: InForce;
  readonly accounts: Pick<LocalAccounts, "prepare" | "relimit" | "book" | "folding" | "turns">;
  readonly plane: DataPlane;
  readonly containers: Pick<Containers, "follow">;
  readonly log: Logger;
  readonly path: string;
  now(): Instant;
  /** Forgets the stored mode switch: else a restart would bring it back. */
  endSwitch(): Promise<void>;
  readonly record: ReloadRecord;
  readonly alerts: Pick<Alerts, "sweep" | "policyRefused" | "policyHalf">;
  readonly prices: Pick<PriceDesk, "follow">;
}

export class Reload implements PolicyListener {
  readonly #parts: ReloadParts;

  constructor(parts: ReloadParts) {
    this.#parts = parts;
  }

  /** At start too: says what the policy notes, and keeps that it came into force. */
  welcome(policy: Policy): void {
    this.#parts.record.note(policy);
    this.#parts.prices.follow();
    for (const note of policy.notes) this.#parts.log.info(formatNote(this.#parts.path, note));
  }

  async adopt(read: ReadPolicy): Promise<void> {
    const { inForce, accounts, plane, log, now } = this.#parts;
    const before = inForce.file.policy;
    const hasSwitchEnded = await accounts.turns.take(async () => {
      const putInForce = await accounts.prepare(read.policy);
      // Limits and routing turn in the same tick: no request is decided by one and held by the other.
      putInForce();
      const hasEnded = inForce.adopt(read, now());
      accounts.relimit(inForce.policy);
      this.#parts.containers.follow(inForce.policy);
      plane.turn();
      return hasEnded;
    });
    if (hasSwitchEnded) await this.#parts.endSwitch();
    const { book, folding } = accounts;
    const balances = balanceChanges(before, read.policy, book, now(), folding.gaps);
    const changes = [...diffPolicies(before, read.policy), ...balances];
    log.info({ changes }, "the new policy is in force");
    this.welcome(read.policy);
    this.#parts.alerts.sweep();
    const problems = await plane.follow(read.policy);
    for (const text of problems) log.error(text);
    if (problems.length > 0) this.#parts.alerts.policyHalf(problems);
    inForce.refuse(problems.map((text) => ({ line: 1, column: 1, path: "models", text })));
  }

  hasProblems(): boolean {
    return this.#parts.inForce.problems.length > 0;
  }

  refused(problems: readonly Note[]): void {
    const { inForce, log, path } = this.#parts;
    inForce.refuse(problems);
    this.#parts.alerts.policyRefused(problems.length);
    const lines = problems.map((problem) => formatNote(path, problem));
    log.error({ problems: lines }, "the policy file has problems; the last good policy stays in force");
  }
}
