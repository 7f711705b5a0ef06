// The shipped price list holds what it promises, and a damaged one says where and what to do.

import { readFileSync } from "node:fs";
import test, { type ExecutionContext } from "ava";
import { formatUsd } from "../../src/metering/money.ts";
import type { RateKind } from "../../src/metering/rate-card.ts";
import { parseRates } from "../../src/policy/schema/rates.ts";

const shipped = readFileSync(new URL("../../config/rates.yaml", import.meta.url), "utf8");
const card = parseRates(shipped);

function check(t: ExecutionContext, key: string, kind: RateKind, expected: string): void {
  const rate = card.find(key, kind);
  t.is(rate && formatUsd(rate.perHour), expected, `${key} ${kind}`);
}

test("every core price stands in the shipped list", (t) => {
  check(t, "aws/us-east-1/g4dn.xlarge", "on_demand", "0.526");
  check(t, "aws/us-east-1/g5.xlarge", "on_demand", "1.006");
  check(t, "aws/us-east-1/g6.xlarge", "on_demand", "0.8048");
  check(t, "aws/us-east-1/g6e.xlarge", "on_demand", "1.861");
  check(t, "aws/us-east-1/p4d.24xlarge", "on_demand", "21.957642");
  check(t, "aws/us-east-1/p4de.24xlarge", "on_demand", "27.44705");
  check(t, "aws/us-east-1/p5.48xlarge", "on_demand", "55.04");
  check(t, "azure/eastus/Standard_NC4as_T4_v3", "on_demand", "0.526");
  check(t, "azure/eastus/Standard_NV36ads_A10_v5", "on_demand", "3.20");
  check(t, "azure/eastus/Standard_ND96asr_v4", "on_demand", "27.197");
  check(t, "azure/eastus/Standard_NC24ads_A100_v4", "on_demand", "3.673");
  check(t, "azure/eastus/Standard_NC40ads_H100_v5", "on_demand", "6.98");
  check(t, "gcp/us-central1/n1-standard-4+nvidia-tesla-t4", "on_demand", "0.539999");
  check(t, "gcp/us-central1/g2-standard-4", "spot", "0.397336");
  check(t, "gcp/us-central1/a2-highgpu-1g", "on_demand", "3.673385");
  check(t, "gcp/us-central1/a2-ultragpu-1g", "on_demand", "5.068798");
  check(t, "gcp/us-central1/a3-highgpu-8g", "spot", "50.609541");
  check(t, "lambda/all/gpu_1x_a10", "on_demand", "1.29");
});

test("one machine may have several prices: RunPod's secure and community pods", (t) => {
  check(t, "runpod/any/pod-H100-SXM", "secure", "3.99");
  check(t, "runpod/any/pod-H100-SXM", "community", "2.69");
  t.deepEqual(card.kindsOf("runpod/any/pod-H100-SXM"), ["secure", "community"]);
  t.is(card.find("runpod/any/pod-H100-SXM"), undefined);
});

test("all 93 rows of the table are there, 20 spot prices beside them and the origin's six", (t) => {
  const prices = card.keys().flatMap((key) => card.kindsOf(key).map((kind) => ({ key, kind })));
  const isOrigin = ({ key }: { key: string }) => key.startsWith("origin/");
  const isSpot = ({ kind }: { kind: RateKind }) => kind === "spot";
  t.is(prices.filter((price) => !isOrigin(price) && !isSpot(price)).length, 93);
  t.is(prices.filter((price) => !isOrigin(price) && isSpot(price)).length, 20);
  t.is(prices.filter(isOrigin).length, 6);
});

test("the origin's six are found by name alone, and say where they come from", (t) => {
  const prices = ["cpu", "local_gpu", "rtx_3060", "rtx_4000_ada", "rtx_4090", "a40"].map((gpu) => {
    const rate = card.find(`origin/${gpu}`);
    return rate && [formatUsd(rate.perHour), rate.source, rate.provider];
  });
  t.deepEqual(
    prices,
    ["0.00", "0.00", "0.10", "0.15", "0.40", "0.50"].map((usd) => [usd, "origin", "origin"]),
  );
});

test("every price has a day, or says that it is unknown, and names its source", (t) => {
  for (const key of card.keys()) {
    for (const kind of card.kindsOf(key)) {
      const rate = card.find(key, kind);
      t.regex(rate?.asOf ?? "", /^(2025|2026)-\d\d-\d\d$|^unknown$/, key);
      t.true((rate?.source ?? "").length >= "origin".length, key);
    }
  }
});

test("X32: TechOps' three tiers have a machine at each of the three clouds, whatever GPU that is", (t) => {
  const machines = ["aws", "azure", "gcp"].flatMap((provider) =>
    ["t4", "A10G", "a100"].map((tier) => card.forTier(provider, tier)?.key),
  );
  t.deepEqual(machines, [
    "aws/us-east-1/g4dn.xlarge",
    "aws/us-east-1/g5.xlarge",
    "aws/us-east-1/p4d.24xlarge",
    "azure/eastus/Standard_NC6s_v3",
    "azure/eastus/Standard_NC24s_v3",
    "azure/eastus/Standard_ND96asr_v4",
    "gcp/us-central1/n1-standard-4+nvidia-tesla-t4",
    "gcp/us-central1/a2-highgpu-1g",
    "gcp/us-central1/a2-highgpu-4g",
  ]);
  t.true(card.tiers().every(({ provider, tier }) => card.forTier(provider, tier) !== undefined));
});

const SMALL = `\
sources:
  aws: a list
rates:
  - { key: aws/us-east-1/g5.xlarge, kind: on_demand, gpu: a10g, gpus: 1, usd_per_hour: 1.006,
      as_of: 2026-07-20, source: aws }
tiers:
  - { provider: aws, tier: a10g, rate: aws/us-east-1/g5.xlarge }
`;

test("an amount is read from its text: digits that a float would lose are kept", (t) => {
  const read = parseRates(SMALL.replace("1.006", "123456789.123456789"));
  t.is(read.find("aws/us-east-1/g5.xlarge")?.perHour as bigint | undefined, 123_456_789_123_456_789n);
});

for (const [what, from, to, message] of [
  ["an amount with an exponent", "1.006", "1e3", /rates\.yaml:4:\d+ rates\.0\.usd_per_hour is not an amount/],
  ["a missing amount", "usd_per_hour: 1.006,", "", /rates\.yaml:4:\d+ rates\.0\.usd_per_hour/],
  ["an unknown kind", "on_demand", "ondemand", /rates\.yaml:4:\d+ rates\.0\.kind/],
  ["an unknown source", "source: aws", "source: awz", /rates\.yaml:5:\d+ rates\.0\.source is not in sources/],
  [
    "a key with a space",
    "us-east-1/g5.xlarge, kind",
    "us-east-1/g5 xlarge, kind",
    /4:\d+ rates\.0\.key is not a key/,
  ],
  ["an unknown field", "gpus: 1", "gpus: 1, color: red", /rates\.yaml:4:\d+ rates\.0 .*color/],
  [
    "a tier without a rate",
    "rate: aws/us-east-1/g5",
    "rate: aws/us-east-1/g6",
    /rates\.yaml:7:\d+ tiers\.0\.rate/,
  ],
  ["no YAML at all", "rates:", "rates: [", /rates\.yaml:\d+:\d+ /],
] as const) {
  test(`${what} throws with the line and the cure`, (t) => {
    const error = t.throws(() => parseRates(SMALL.replace(from, to)));
    t.regex(error?.message ?? "", message);
    t.regex(error?.message ?? "", /install again/);
  });
}

test("the same price twice throws: one of them would silently win", (t) => {
  const [line = ""] = /^ {2}- \{ key[^}]*\}$/m.exec(SMALL) ?? [];
  t.throws(() => parseRates(SMALL.replace(line, `${line}\n${line}`)), {
    message: /:6:\d+ rates\.1\.key stands here/,
  });
});
