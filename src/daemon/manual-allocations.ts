// Amounts that somebody sets aside by hand, through one room: asked for with labels, a time and a reason,
// then settled with what was really spent, given back, or over by their time. Each step is logged. It judges
// nothing: the ledger's accounts do.

import { randomUUID } from "node:crypto";
import type { LocalAccounts } from "../ledger/accounts.ts";
import type { Allocated, AllocationEnded } from "../ledger/allocations.ts";
import type { HeldRow } from "../ledger/held.ts";
import { formatUsd, type NanoUsd, ZERO_USD } from "../metering/money.ts";
import { DAY, type DurationUs, formatInstant, later, SECOND } from "../metering/time.ts";
import type { Balances } from "../policy/admission.ts";
import type { Facts } from "../policy/match.ts";
import type { Scope } from "../policy/policy.ts";
import type { Logger } from "./log.ts";

export interface AllocationWish {
  /** What it is for: the budgets of a request that says the same cover it. */
  readonly labels: Readonly<Partial<Record<Scope, string>>>;
  readonly amount: NanoUsd;
  /** Then it is given back, where nobody has ended it. */
  readonly lasts: DurationUs;
  readonly by: string;
  readonly reason: string;
}

export type AllocationRefused = { readonly kind: "refused"; readonly why: string };

export interface AllocationParts {
  readonly accounts: Pick<LocalAccounts, "allocations" | "onExpired">;
  readonly log: Pick<Logger, "info">;
  /** The live ones, beside what those who wait have a claim to. */
  balances(): Balances;
}

const LONGEST = (366 * DAY) as DurationUs;
const MOST_OPEN = 1000;
const LONGEST_TEXT = 500;
const LONGEST_LABEL = 128;

export class ManualAllocations {
  readonly #parts: AllocationParts;

  constructor(parts: AllocationParts) {
    this.#parts = parts;
    parts.accounts.onExpired = (rows) => {
      for (const row of rows) parts.log.info(told(row), "an allocation has expired: it was given back");
    };
  }

  /** Oldest first. */
  list(): readonly HeldRow[] {
    return this.#parts.accounts.allocations.all();
  }

  async allocate(wish: AllocationWish): Promise<Allocated | AllocationRefused> {
    const { accounts, balances, log } = this.#parts;
    const why = faultOf(wish, accounts.allocations.all().length);
    if (why !== undefined) return { kind: "refused", why };
    const { labels, amount, lasts, by, reason } = wish;
    const id = `a-${randomUUID().replaceAll("-", "")}`;
    const view = balances();
    const asked = { id, facts: factsOf(labels, id), amount, until: later(view.at, lasts), by, reason };
    const done = await accounts.allocations.allocate(asked, view);
    if (done.kind === "allocated") log.info(told(done.row), "an amount was allocated");
    return done;
  }

  /** `amount`: what was really spent, at most what was held. */
  async settle(id: string, amount: NanoUsd, by: string): Promise<AllocationEnded | AllocationRefused> {
    if (amount < ZERO_USD) return { kind: "refused", why: "what was spent is no less than 0" };
    const done = await this.#parts.accounts.allocations.settle(id, amount);
    if (done.kind === "ended") {
      const spent = { ended_by: by, settled_usd: formatUsd(amount) };
      this.#parts.log.info({ ...told(done.row), ...spent }, "an allocation was settled");
    }
    return done;
  }

  async release(id: string, by: string): Promise<AllocationEnded> {
    const done = await this.#parts.accounts.allocations.release(id);
    if (done.kind === "ended")
      this.#parts.log.info({ ...told(done.row), ended_by: by }, "an allocation was released");
    return done;
  }
}

function faultOf({ labels, amount, lasts, by, reason }: AllocationWish, open: number): string | undefined {
  if (by.trim() === "" || reason.trim() === "") return "an allocation has an author and a reason: say both";
  if (by.length > LONGEST_TEXT || reason.length > LONGEST_TEXT)
    return `author and reason have at most ${LONGEST_TEXT} characters each`;
  if (amount <= ZERO_USD) return "an allocation sets an amount above 0 aside";
  if (lasts < SECOND || lasts > LONGEST) return "an allocation lasts from a second to a year";
  if (Object.values(labels).some((value) => value.length > LONGEST_LABEL))
    return `a label has at most ${LONGEST_LABEL} characters`;
  return open < MOST_OPEN ? undefined : `${MOST_OPEN} allocations are open: settle or release some`;
}

/** As of a request that says these: one without a task is a task of its own. */
function factsOf(labels: AllocationWish["labels"], id: string): Facts {
  const { provider, upstream, machine, model, gpu_tier, user, workflow, session, task, node, project, tag } =
    labels;
  const place = { provider, upstream, machine, model, gpu_tier };
  return { ...place, user: user ?? "unknown", workflow, session, task: task ?? id, node, project, tag };
}

function told({ id, amount, allocation }: HeldRow): Record<string, unknown> {
  const { by, reason, until } = allocation ?? {};
  const end = until === undefined ? {} : { until: formatInstant(until) };
  return { allocation: id, amount_usd: formatUsd(amount), by, reason, ...end };
}
