// Makes the rows that a request leaves in the ledger, from what it held and how it ended.

import type { Part } from "../metering/lease.ts";
import { formatUsd, type NanoUsd, ZERO_USD } from "../metering/money.ts";
import type { Price } from "../metering/price.ts";
import { type Quantity, quantityOf, type Unit } from "../metering/quantity.ts";
import { type DurationUs, type Instant, quarterHourOf } from "../metering/time.ts";
import type { Outcome, TokenCount } from "../policy/admission.ts";
import type { Decision, Forward } from "../policy/decision.ts";
import { describeSource, licenceText } from "../policy/explain.ts";
import type { Facts } from "../policy/match.ts";
import type { Task } from "../policy/task.ts";
import { type Container, factsOfContainer } from "./container.ts";
import type { OpenHold } from "./held.ts";
import { idlePriceText } from "./idle-discount.ts";
import type { DecisionRow, EndingRow, Entry } from "./store.ts";

const NO_TIME = 0 as DurationUs;
const NO_TOKENS: TokenCount = { input: 0, output: 0 };

/** As an Ending, of which a crash left nothing. */
export interface Ended {
  readonly outcome: Outcome;
  readonly status: number | undefined;
  readonly tokens: TokenCount | undefined;
  readonly images?: number;
}

export function reservedEntry(hold: OpenHold, at: Instant): Entry {
  return entry(hold, { at, kind: "reserved", amount: hold.amount });
}

export function extendedEntry(hold: OpenHold, at: Instant, amount: NanoUsd, price = hold.price): Entry {
  return { ...entry(hold, { at, kind: "extended", amount }), ...pricedAt(price) };
}

/** Of one attempt: the last one says how the request ended, but nothing was sent that a sum could count. */
export function releasedEntry(hold: OpenHold, at: Instant, isLast: boolean): Entry {
  return entry(hold, { at, kind: "released", amount: hold.amount, outcome: "unsent", isLast });
}

/**
 * One entry a part. One of them counts the request and what it made: it lies in the quarter-hour of the
 * admission, for what is counted by the piece belongs to that period (MONEY §3).
 */
export function settledEntries(hold: OpenHold, parts: readonly Part[], ended: Ended): readonly Entry[] {
  const { at } = hold.row;
  const counting = parts.findLastIndex((part) => quarterHourOf(part.at) === quarterHourOf(at));
  const all =
    counting < 0 ? [{ kind: "request", at, elapsed: NO_TIME, amount: ZERO_USD } as const, ...parts] : parts;
  return all.map((part, index) =>
    entry(hold, {
      at: part.at,
      kind: part.kind === "startup" ? "startup" : "settled",
      amount: part.amount,
      elapsed: part.elapsed,
      outcome: ended.outcome,
      ...(index === Math.max(counting, 0) ? { isLast: true, ...countsOf(hold, ended) } : {}),
    }),
  );
}

/** Of a request that runs on: how it ends nobody knows, and nothing of it is counted by the piece yet. */
export function slicedEntries(hold: OpenHold, parts: readonly Part[]): readonly Entry[] {
  return parts.map(({ at, kind, amount, elapsed }) =>
    entry(hold, { at, kind: kind === "startup" ? "startup" : "settled", amount, elapsed }),
  );
}

/** Why an entry is what it is, said beside where its price comes from. */
export type Mark = "unheld" | "assumed" | "exclusive";

/** Of a container's own money; `P` is the machine's price, `unheld` its time beyond a request's hold. */
export function containerEntry(about: Container, part: Part, mark?: Mark): Entry {
  const isIdle = part.kind === "idle" && mark !== "unheld";
  const { idlePrice, idleSource, price } = about;
  const why = mark ?? (part.kind === "gap" ? "assumed" : undefined);
  const source = describeSource(isIdle ? (idleSource ?? price.source) : price.source);
  return {
    at: part.at,
    kind: part.kind === "request" ? "idle" : part.kind,
    request: undefined,
    clientRequestId: undefined,
    facts: factsOfContainer(about),
    amount: part.amount,
    elapsed: part.elapsed,
    outcome: undefined,
    isLast: false,
    images: 0,
    tokens: NO_TOKENS,
    // What is taken back was idle, most of all.
    price:
      isIdle || part.kind === "adjusted"
        ? idlePriceText(formatUsd(idlePrice), formatUsd(price.rate))
        : `${formatUsd(price.rate)}/h`,
    priceSource: why === undefined ? source : `${source} (${why})`,
  };
}

/** Pictures are made on a 2xx, whoever went away then; tokens that nobody told count as held (MONEY §9). */
function countsOf(
  { row, began }: OpenHold,
  { status, tokens, images = 0 }: Ended,
): Pick<Entry, "images" | "tokens"> {
  if (began === undefined) return { images: 0, tokens: NO_TOKENS };
  const isGood = status !== undefined && status >= 200 && status < 300;
  const isRefused = status !== undefined && !isGood;
  return {
    images: isGood ? Math.max(row.images, images) : 0,
    tokens: isRefused ? NO_TOKENS : (tokens ?? row.tokens ?? NO_TOKENS),
  };
}

/** What an entry adds to a balance of that unit. */
export function countedIn(unit: Unit, { amount, elapsed, kind, isLast, images, tokens }: Entry): Quantity {
  switch (unit) {
    case "usd":
      return amount;
    case "requests":
      return quantityOf(isLast ? 1 : 0);
    case "images":
      return quantityOf(images);
    case "seconds":
      return quantityOf(kind === "settled" ? elapsed : 0);
    case "tokens":
      return quantityOf(tokens.input + tokens.output);
  }
}

export function decisionRow(task: Task, decision: Decision, facts: Facts | undefined): DecisionRow {
  const isForward = decision.kind === "forward";
  return {
    request: task.id,
    at: decision.explanation.at,
    clientRequestId: task.clientRequestId,
    facts: facts ?? factsWithout(task),
    outcome: OUTCOME_OF[decision.kind],
    estimate: isForward ? decision.quote.amount : ZERO_USD,
    hold: isForward ? decision.quote.hold : ZERO_USD,
    work: isForward ? decision.quote.bucket : undefined,
    expected: isForward ? decision.quote.time : undefined,
    tries: isForward && decision.quote.standing === "tried",
    explanation: decision.explanation,
    actions:
      decision.kind === "refuse" ? [{ action: decision.breach.action, budget: decision.breach.budget }] : [],
  };
}

/** Undefined while it runs or waits. */
const OUTCOME_OF = {
  forward: undefined,
  wait: undefined,
  refuse: "refused",
  stopped: "refused",
  no_upstream: "no_upstream",
  too_busy: "unsent",
} as const satisfies Record<Decision["kind"], Outcome | undefined>;

export function warnedBy({ warnings, degraded }: Forward): EndingRow["actions"] {
  const degrades = degraded === undefined ? [] : [{ action: "degrade", budget: degraded.budget }];
  return [...degrades, ...warnings.map(({ action, budget }) => ({ action, budget }))];
}

/** "1.006/h", "0.03/request", "0.01/image", "30.00+60.00/Mtoken": USD, for the export. */
export function priceText(price: Price): string {
  switch (price.kind) {
    case "hour":
      return `${formatUsd(price.rate)}/h${licenceText(price)}`;
    case "request":
      return `${formatUsd(price.amount)}/request`;
    case "image":
      return `${formatUsd(price.amount)}/image`;
    case "tokens":
      return `${formatUsd(price.input)}+${formatUsd(price.output)}/Mtoken`;
  }
}

/** Of an amount set aside by hand: it is no request, and counts as none. */
export function allocationEntry(hold: OpenHold, own: Pick<Entry, "at" | "kind" | "amount">): Entry {
  const { by, reason } = hold.row.allocation ?? { by: "", reason: "" };
  return { ...entry(hold, own), price: ALLOCATION, priceSource: `by ${by}: ${reason}` };
}

export const ALLOCATION = "allocation";

function entry(hold: OpenHold, own: Pick<Entry, "at" | "kind" | "amount"> & Partial<Entry>): Entry {
  const { row } = hold;
  return {
    request: row.request,
    clientRequestId: row.clientRequestId,
    facts: row.facts,
    elapsed: NO_TIME,
    outcome: undefined,
    isLast: false,
    images: 0,
    tokens: NO_TOKENS,
    ...pricedAt(hold.price, hold.isExclusive ? "exclusive" : undefined),
    ...own,
  };
}

function pricedAt(price: Price, mark?: Mark): Pick<Entry, "price" | "priceSource"> {
  const source = describeSource(price.source);
  return { price: priceText(price), priceSource: mark === undefined ? source : `${source} (${mark})` };
}

/** What is known of a request that no upstream was chosen for. */
function factsWithout(task: Task): Facts {
  const { labels } = task;
  return {
    ...labels,
    task: labels.task ?? task.id,
    model: task.model,
    provider: undefined,
    upstream: undefined,
    machine: undefined,
    gpu_tier: undefined,
  };
}
