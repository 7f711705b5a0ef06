// Looking up a price by key, by kind and by what TechOps call a tier.

import test, { type ExecutionContext } from "ava";
import { hourlyRate } from "../../src/metering/money.ts";
import { type Rate, RateCard, type RateKind, sourceOf } from "../../src/metering/rate-card.ts";

function rate(key: string, kind: RateKind, nanos: bigint): Rate {
  const [provider = ""] = key.split("/");
  return {
    key,
    kind,
    provider,
    gpu: "a10g",
    gpus: 1,
    perHour: hourlyRate(nanos),
    asOf: "2026-07-20",
    source: "a list",
  };
}

const card = new RateCard(
  [
    rate("aws/us-east-1/g5.xlarge", "on_demand", 3n),
    rate("aws/us-east-1/g5.xlarge", "spot", 1n),
    rate("runpod/any/pod", "secure", 4n),
    rate("runpod/any/pod", "community", 2n),
    rate("origin/rtx_3060", "spot", 5n),
  ],
  [{ provider: "aws", tier: "a10g", rate: "aws/us-east-1/g5.xlarge" }],
);

function check(
  t: ExecutionContext,
  key: string,
  kind: RateKind | undefined,
  expected: bigint | undefined,
): void {
  t.is(card.find(key, kind)?.perHour as bigint | undefined, expected, `${key} ${kind}`);
}

test("a kind that is asked for is the one that is found", (t) => {
  check(t, "aws/us-east-1/g5.xlarge", "spot", 1n);
  check(t, "aws/us-east-1/g5.xlarge", "on_demand", 3n);
  check(t, "aws/us-east-1/g5.xlarge", "reserved_1y", undefined);
  check(t, "origin/rtx_3060", "on_demand", undefined);
});

test("without a kind it is on demand, or the only one, never one of several", (t) => {
  check(t, "aws/us-east-1/g5.xlarge", undefined, 3n);
  check(t, "origin/rtx_3060", undefined, 5n);
  check(t, "runpod/any/pod", undefined, undefined);
  check(t, "nowhere/at/all", undefined, undefined);
});

test("a tier is found in any case, at its own provider only", (t) => {
  t.is(card.forTier("aws", "A10G")?.key, "aws/us-east-1/g5.xlarge");
  t.is(card.forTier("azure", "a10g"), undefined);
  t.is(card.forTier("aws", "h100"), undefined);
});

test("the card says what it has", (t) => {
  t.deepEqual(card.keys(), ["aws/us-east-1/g5.xlarge", "runpod/any/pod", "origin/rtx_3060"]);
  t.deepEqual(card.kindsOf("runpod/any/pod"), ["secure", "community"]);
  t.deepEqual(card.kindsOf("nowhere/at/all"), []);
  t.deepEqual(card.tiers(), [{ provider: "aws", tier: "a10g", rate: "aws/us-east-1/g5.xlarge" }]);
});

test("a price from the card carries its key, day and source", (t) => {
  t.deepEqual(sourceOf(rate("aws/us-east-1/g5.xlarge", "on_demand", 3n)), {
    kind: "rate_card",
    rate: "aws/us-east-1/g5.xlarge",
    asOf: "2026-07-20",
    source: "a list",
  });
});
