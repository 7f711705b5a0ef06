// What an ended request pays, by the unit that its upstream is priced in (MONEY §3, §9).

import test, { type ExecutionContext } from "ava";
import { chargeOf } from "../../src/ledger/charge.ts";
import { OpenHold } from "../../src/ledger/held.ts";
import type { Part } from "../../src/metering/lease.ts";
import { nanoUsd } from "../../src/metering/money.ts";
import type { Price } from "../../src/metering/price.ts";
import { type DurationUs, FOREVER, type Instant, later, SECOND, seconds } from "../../src/metering/time.ts";
import type { Ending } from "../../src/policy/admission.ts";
import { facts } from "../support/ledger.ts";
import { perHour, perRequest, TEN, usd } from "../support/policies.ts";

const perImage: Price = { kind: "image", amount: usd("0.03"), source: { kind: "policy" } };
const perToken: Price = { kind: "tokens", input: usd("30"), output: usd("60"), source: { kind: "policy" } };

interface Given extends Partial<Ending> {
  readonly price: Price;
  readonly held: string;
  readonly parts?: readonly Part[];
  readonly capped?: boolean;
  readonly horizon?: Instant;
}

function charged({ price, held, parts = [], capped = false, horizon = FOREVER, ...ending }: Given) {
  const hold = new OpenHold(
    {
      ...{ id: "r-1.1", request: "r-1", version: 0, at: TEN, clientRequestId: undefined, facts: facts() },
      ...{ images: 1, price, machine: "flux-aws", amount: usd(held), horizon, claims: [] },
      join: undefined,
    },
    0 as DurationUs,
  );
  hold.began = later(TEN, SECOND);
  hold.stopped = later(TEN, seconds(5));
  hold.parts = parts;
  return chargeOf(hold, { outcome: "relayed", status: 200, tokens: undefined, ...ending }, capped);
}

function check(t: ExecutionContext, given: Given, expected: string): void {
  const charge = charged(given);
  t.is(charge.charged, usd(expected));
  t.is(
    charge.parts.reduce((sum, { amount }) => sum + amount, 0n),
    usd(expected),
  );
}

test("a request price is charged whatever came of the request", (t) => {
  const given = { price: perRequest("0.03"), held: "0.03" };
  for (const status of [200, 500, undefined]) check(t, { ...given, status }, "0.03");
  for (const outcome of ["failed", "aborted", "truncated", "cut"] as const) {
    check(t, { ...given, outcome, status: undefined }, "0.03");
  }
});

test("an image is charged on a 2xx", (t) => {
  check(t, { price: perImage, held: "0.06", status: 200 }, "0.06");
  check(t, { price: perImage, held: "0.06", status: 299 }, "0.06");
});

test("an image that the upstream refused to make is not charged", (t) => {
  for (const status of [300, 422, 500]) check(t, { price: perImage, held: "0.06", status }, "0");
});

test("an image that was asked for and whose fate nobody knows is charged", (t) => {
  check(t, { price: perImage, held: "0.06", status: undefined, outcome: "aborted" }, "0.06");
});

test("tokens are charged by the usage that the reply tells, rounded down", (t) => {
  check(t, { price: perToken, held: "0.1", tokens: { input: 1000, output: 500 } }, "0.06");
  const price: Price = { ...perToken, input: nanoUsd(1n), output: nanoUsd(0n) };
  check(t, { price, held: "0.1", tokens: { input: 1_999_999, output: 0 } }, "0.000000001");
});

test("tokens that nobody counted are charged as held", (t) => {
  check(t, { price: perToken, held: "0.1", tokens: undefined }, "0.1");
});

test("tokens beyond the hold are charged, but not under a budget that cuts", (t) => {
  const tokens = { input: 10_000, output: 0 };
  check(t, { price: perToken, held: "0.1", tokens }, "0.3");
  check(t, { price: perToken, held: "0.1", tokens, capped: true }, "0.1");
});

test("free time is charged nothing, and its length is told all the same", (t) => {
  const charge = charged({ price: perHour("0"), held: "0" });
  t.is(charge.charged, usd("0"));
  t.is(charge.elapsed, seconds(4));
});

const parts: readonly Part[] = [
  { kind: "request", at: TEN, elapsed: seconds(3), amount: usd("0.003") },
  { kind: "request", at: later(TEN, seconds(3)), elapsed: seconds(2), amount: usd("0.002") },
];

test("time is charged as its machine's lease says", (t) => {
  check(t, { price: perHour("3.6"), held: "0.001", parts }, "0.005");
});

test("under a budget that cuts, the first parts are charged up to the hold and the rest is not", (t) => {
  const horizon = later(TEN, seconds(4));
  const charge = charged({ price: perHour("3.6"), held: "0.004", horizon, parts, capped: true });
  t.deepEqual(
    charge.parts.map(({ amount }) => amount),
    [usd("0.003"), usd("0.001")],
  );
  t.is(charge.elapsed, seconds(4));
});

test("a tunnel that was opened is charged as made, whatever its upstream is priced by", (t) => {
  check(t, { price: perImage, held: "0.03", status: 101 }, "0.03");
  check(t, { price: perToken, held: "0.09", status: 101 }, "0.09");
  check(t, { price: perToken, held: "0.09", status: 400 }, "0");
});
