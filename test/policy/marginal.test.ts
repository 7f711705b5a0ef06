// What the studio's own bill grows by where a request runs, beside what the request pays.

import test from "ava";
import { hourlyRate, type NanoUsd } from "../../src/metering/money.ts";
import { seconds } from "../../src/metering/time.ts";
import type { Quote } from "../../src/policy/decision.ts";
import { marginalOf } from "../../src/policy/marginal.ts";
import type { Upstream } from "../../src/policy/policy.ts";
import { quoteOf } from "../../src/policy/rank.ts";
import { model, perHour, perRequest, task, upstream, usd } from "../support/policies.ts";

const idling = (at: string) => ({ hasContainer: true, idleRate: hourlyRate(usd(at)) });
const cold = { startUp: seconds(60), unbilled: seconds(30) };

const cases: readonly (readonly [string, Partial<Upstream>, Partial<Quote>, NanoUsd])[] = [
  ["a price per request is all of it", { price: perRequest("0.03") }, {}, usd("0.03")],
  ["nobody else runs at an hourly price without a container", {}, {}, usd("0.01")],
  ["somebody does: the machine works already", {}, { inFlight: 1 }, usd("0")],
  ["a container idles at its price: nothing is added", idling("3.6"), {}, usd("0")],
  ["a container idles at half its price: the other half is", idling("1.8"), {}, usd("0.005")],
  ["a container idles at half its price and works already", idling("1.8"), { inFlight: 2 }, usd("0")],
  ["a container idles above its price: nothing is taken off", idling("7.2"), {}, usd("0")],
  ["a cold one is started, and billed its minimum", idling("3.6"), { cold }, usd("0.1")],
];

for (const [what, over, quoted, expected] of cases) {
  test(`where ${what}`, (t) => {
    const at = upstream("aws", { price: perHour("3.6"), ...over });
    const flux = model("flux-dev", ["aws"], { estimate: seconds(10) });
    const quote = quoteOf(task(), flux, { upstream: at, inFlight: 0, cold: quoted.cold });
    t.is(marginalOf({ ...quote, ...quoted }), expected);
  });
}
