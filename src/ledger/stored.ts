// What the ledger keeps as JSON text, and the way back: explanations and open holds. Amounts stand in it as
// decimal digits, in the places that are named here, because JSON.stringify without a callback is six times
// faster than with one, and every request waits for it.

import type { HourlyRate } from "../metering/money.ts";
import type { Price } from "../metering/price.ts";
import type { Quantity } from "../metering/quantity.ts";
import type {
  Alternative,
  BudgetExplanation,
  CandidateExplanation,
  Claim,
  Explanation,
} from "../policy/decision.ts";
import type { Container } from "./container.ts";
import type { StoredContainer } from "./container-lease.ts";
import type { HeldRow } from "./held.ts";

export function explanationText(explanation: Explanation): string {
  return JSON.stringify({
    ...explanation,
    alternatives: explanation.alternatives.map(alternativeAs(digits)),
    candidates: explanation.candidates.map(candidateAs(digits)),
  });
}

export function explanationOf(text: string): Explanation {
  const stored = parse(text) as Explanation;
  return {
    ...stored,
    alternatives: stored.alternatives.map(alternativeAs(amount)),
    candidates: stored.candidates.map(candidateAs(amount)),
  };
}

export function budgetsText(budgets: readonly BudgetExplanation[]): string {
  return JSON.stringify(budgets.map(budgetAs(digits)));
}

export function budgetsOf(text: string): readonly BudgetExplanation[] {
  return (parse(text) as readonly BudgetExplanation[]).map(budgetAs(amount));
}

export function heldText(row: HeldRow): string {
  return JSON.stringify(heldAs(row, digits));
}

export function heldOf(text: string): HeldRow {
  return heldAs(parse(text) as HeldRow, amount);
}

export function containerText(one: StoredContainer): string {
  const { about, machines, state, lastLeft, rates, unwatched } = one;
  return JSON.stringify({ about: aboutAs(about, digits), machines, state, lastLeft, rates, unwatched });
}

export function containerOf(text: string): StoredContainer {
  const { about, machines, state, lastLeft, rates, unwatched } = parse(text) as StoredContainer;
  const watch = unwatched && { unwatched };
  return { about: aboutAs(about, amount), machines, state, lastLeft, rates, ...watch };
}

function aboutAs(about: Container, turn: Turn): Container {
  return { ...about, price: hourAs(about.price, turn), idlePrice: rateAs(about.idlePrice, turn) };
}

/** One walk for both ways: the types are those of the values, and text has digits where they have amounts. */
type Turn = <Q extends Quantity>(value: Q) => Q;

const digits = ((value: bigint) => value.toString()) as unknown as Turn;
/** Throws SyntaxError for what is no whole number: then the ledger is damaged. */
const amount = ((value: string | bigint) => BigInt(value)) as unknown as Turn;

const alternativeAs = (turn: Turn) => (one: Alternative) => ({ ...one, estimate: turn(one.estimate) });

const candidateAs = (turn: Turn) => (one: CandidateExplanation) => ({
  ...one,
  estimate: turn(one.estimate),
  hold: turn(one.hold),
  rank: turn(one.rank),
  ...(one.marginal !== undefined && { marginal: turn(one.marginal) }),
  ...(one.start && {
    start: { ...one.start, amount: turn(one.start.amount), minimum: turn(one.start.minimum) },
  }),
  budgets: one.budgets.map(budgetAs(turn)),
});

/** Before 2026-11-28 all of them counted money, and said no unit. */
const budgetAs = (turn: Turn) => (one: BudgetExplanation) => ({
  ...one,
  unit: one.unit ?? "usd",
  limit: turn(one.limit),
  settled: turn(one.settled),
  held: turn(one.held),
  needed: turn(one.needed),
});

function heldAs(row: HeldRow, turn: Turn): HeldRow {
  const claims = row.claims.map((claim): Claim => {
    const limit = claim.limit === undefined ? undefined : turn(claim.limit);
    return { ...claim, amount: turn(claim.amount), limit };
  });
  const share = row.rebased?.share.map((one) => ({ ...one, amount: turn(one.amount) }));
  const price = row.rebased?.price && { price: hourAs(row.rebased.price, turn) };
  const rebased = row.rebased && share && { rebased: { ...row.rebased, share, ...price } };
  return { ...row, amount: turn(row.amount), price: priceAs(row.price, turn), claims, ...rebased };
}

function priceAs(price: Price, turn: Turn): Price {
  switch (price.kind) {
    case "hour":
      return hourAs(price, turn);
    case "request":
    case "image":
      return { ...price, amount: turn(price.amount) };
    case "tokens":
      return { ...price, input: turn(price.input), output: turn(price.output) };
  }
}

function hourAs(price: Container["price"], turn: Turn): Container["price"] {
  const { rate, licence } = price;
  const apart = licence === undefined ? {} : { licence: rateAs(licence, turn) };
  return { ...price, rate: rateAs(rate, turn), ...apart };
}

function rateAs(rate: HourlyRate, turn: Turn): HourlyRate {
  return turn(rate as bigint as Quantity) as bigint as HourlyRate;
}

const TAG = "$bigint";

/** Ledgers from before 2026-11-25 have amounts as {"$bigint": "12"}; no text of a client is an object. */
function parse(text: string): unknown {
  if (!text.includes(TAG)) return JSON.parse(text);
  return JSON.parse(text, (_key, inner: unknown) => {
    if (typeof inner !== "object" || inner === null || !(TAG in inner)) return inner;
    return typeof inner[TAG] === "string" ? BigInt(inner[TAG]) : inner;
  });
}
