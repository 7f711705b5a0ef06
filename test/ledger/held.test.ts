// A hold ends once; a second ending throws, because it would count money twice.

import test from "ava";
import { OpenHold } from "../../src/ledger/held.ts";
import { type DurationUs, later, SECOND } from "../../src/metering/time.ts";
import type { Claim } from "../../src/policy/decision.ts";
import { facts } from "../support/ledger.ts";
import { perHour, TEN, usd } from "../support/policies.ts";

function claim(account: string, amount: string): Claim {
  return { account, start: TEN, end: later(TEN, SECOND), amount: usd(amount), limit: undefined };
}

function opened(...claims: Claim[]): OpenHold {
  return new OpenHold(
    {
      ...{ id: "r-1.1", request: "r-1", version: 0, at: TEN, clientRequestId: undefined, facts: facts() },
      ...{ images: 1, price: perHour("3.6"), machine: "m", amount: usd("0.01"), horizon: TEN, claims },
      join: undefined,
    },
    SECOND as DurationUs,
  );
}

test("a hold that has ended neither settles nor releases nor begins again", (t) => {
  const hold = opened();
  hold.step(["held"], "ended");
  t.throws(() => hold.step(["stopped"], "ended"), { message: /hold r-1.1 is ended/ });
  t.throws(() => hold.step(["held"], "ended"));
  t.throws(() => hold.step(["held"], "running"));
});

test("a running hold cannot be released", (t) => {
  const hold = opened();
  hold.step(["held"], "running");
  t.throws(() => hold.step(["held"], "ended"), { message: /only from held/ });
});

test("claims of one account in one period add up, and can be taken back", (t) => {
  const hold = opened(claim("day", "0.01"));
  hold.claim(claim("day", "0.02"));
  t.is(hold.claims()[0]?.amount, usd("0.03"));
  hold.unclaim(claim("day", "0.02"));
  t.is(hold.claims()[0]?.amount, usd("0.01"));
  t.is(hold.claims().length, 1);
});

test("each row is a later version than the one before", (t) => {
  const hold = opened();
  const versions = [hold.toRow(), hold.toRow(), hold.toRow()].map(({ version }) => version);
  t.deepEqual(versions, [1, 2, 3]);
});
