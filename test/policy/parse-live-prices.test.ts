// What a policy is priced by once prices were fetched, and what NVIDIA's licence adds to it.

import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { formatUsd, hourlyRate, nanoUsd } from "../../src/metering/money.ts";
import type { Rate } from "../../src/metering/rate-card.ts";
import { diffPolicies } from "../../src/policy/diff.ts";
import { describePrice } from "../../src/policy/explain.ts";
import { formatNote, parsePolicy } from "../../src/policy/parse.ts";
import { licenceOf } from "../../src/policy/schema/licence.ts";
import { liveRatesText, parseLiveRates } from "../../src/policy/schema/live-rates.ts";
import { context } from "./reading.ts";

function live(key: string, nanos: bigint, over: Partial<Rate> = {}): Rate {
  const [provider = ""] = key.split("/");
  const seen = { asOf: "2026-11-28T10:00:00Z", source: "AWS", live: true } as const;
  const rate = { key, kind: "on_demand", provider, gpu: undefined, gpus: 1 } as const;
  return { ...rate, perHour: hourlyRate(nanos), ...seen, ...over };
}

const LIVE = [
  live("aws/us-east-1/g5.xlarge", 1_200_000_000n),
  live("aws/us-east-1/g5.xlarge", 400_000_000n, { kind: "spot" }),
  live("aws/eu-central-1/p5.48xlarge", 60_000_000_000n, { gpus: 8 }),
  live("azure/eastus/Standard_NC4as_T4_v3", 600_000_000n, { gpus: 0 }),
];

function parsed(upstream: string, prices = "") {
  const text = `version: 1\nprices: {${prices}}\nupstreams:\n  a: {url: http://h, ${upstream}}\n`;
  return parsePolicy(text, { ...context, live: LIVE });
}

function check(t: ExecutionContext, upstream: string, prices: string, expected: string): void {
  const read = parsed(upstream, prices);
  if (read.kind === "problems") {
    t.is(read.problems.map((each) => each.text).join(), expected);
    return;
  }
  const price = read.policy.upstreams.get("a")?.price;
  t.is(price && describePrice(price), expected);
}

const G5 = "provider: aws, price: {rate: aws/us-east-1/g5.xlarge}";
const SHIPPED = "rate card aws/us-east-1/g5.xlarge of 2026-07-20";
const FETCHED = "live aws/us-east-1/g5.xlarge of 2026-11-28T10:00:00Z";

test("a live price counts where the policy names its source, and nowhere else", (t) => {
  check(t, G5, "", `1.006 USD/h, ${SHIPPED}`);
  check(t, G5, "sources: [azure]", `1.006 USD/h, ${SHIPPED}`);
  check(t, G5, "sources: [aws, azure]", `1.20 USD/h, ${FETCHED}`);
  check(t, "provider: aws, gpu_tier: a10g", "sources: [aws]", `1.20 USD/h, ${FETCHED}`);
});

test("kind, share, discount and extras are those of the policy, over the live figure", (t) => {
  const of = (more: string) => `provider: aws, price: {rate: aws/us-east-1/g5.xlarge, ${more}}`;
  const spot = "live aws/us-east-1/g5.xlarge (spot) of 2026-11-28T10:00:00Z";
  check(t, of("kind: spot"), "sources: [aws]", `0.40 USD/h, ${spot}`);
  check(t, of("discount: 0.5, extra_usd_per_hour: 0.02"), "sources: [aws]", `0.62 USD/h, ${FETCHED}`);
});

test("a rate that only a live list has can be used, and says so when the source is taken away", (t) => {
  const rate = "provider: aws, price: {rate: aws/eu-central-1/p5.48xlarge}";
  check(t, rate, "sources: [aws]", "60.00 USD/h, live aws/eu-central-1/p5.48xlarge of 2026-11-28T10:00:00Z");
  const read = parsed(rate, "sources: []");
  t.regex(read.kind === "problems" ? read.problems[0].text : "", /is not in the rate card/);
});

test("the licence is added for each GPU, apart from the machine's price and without its discount", (t) => {
  const both = "sources: [aws], licence_usd_per_gpu_hour: 1";
  check(t, G5, both, `2.20 USD/h (1.00 of it licence), ${FETCHED}`);
  check(t, G5, "licence_usd_per_gpu_hour: 0.5", `1.506 USD/h (0.50 of it licence), ${SHIPPED}`);
  check(t, G5, "licence_usd_per_gpu_hour: 0", `1.006 USD/h, ${SHIPPED}`);
  const eight = 'provider: aws, price: {rate: aws/eu-central-1/p5.48xlarge, share: "1/4", discount: 0.5}';
  const of = "live aws/eu-central-1/p5.48xlarge of 2026-11-28T10:00:00Z";
  check(t, eight, both, `9.50 USD/h (2.00 of it licence), ${of}`);
});

test("nothing of the policy's own, and nothing local, pays a licence", (t) => {
  const licence = "licence_usd_per_gpu_hour: 1";
  check(t, "provider: local", licence, "0.00 USD/h, from the policy");
  check(t, "provider: other, price: {usd_per_hour: 2}", licence, "2.00 USD/h, from the policy");
});

test("check says to which prices no licence is added, and which source has no key", (t) => {
  const notes = (upstream: string, prices: string) => {
    const read = parsed(upstream, prices);
    return read.kind === "policy"
      ? read.policy.notes.map((each) => formatNote("", each).replace(/^\S+ /, ""))
      : [];
  };
  const told = (all: readonly string[]) => all.filter((each) => !each.startsWith("models:"));
  const own = "upstreams.a.price: is the policy's own: no licence is added to it, so count it in";
  t.deepEqual(told(notes("provider: other, price: {usd_per_hour: 2}", "licence_usd_per_gpu_hour: 1")), [own]);
  t.deepEqual(told(notes("provider: other, price: {usd_per_hour: 2}", "licence_usd_per_gpu_hour: 0")), []);
  const azure = "provider: azure, price: {rate: azure/eastus/Standard_NC4as_T4_v3}";
  t.deepEqual(told(notes(azure, "sources: [azure], licence_usd_per_gpu_hour: 1")), [
    "upstreams.a.price: how many GPUs it has is not known, so no licence is added to it",
  ]);
  t.deepEqual(told(notes("provider: local", "sources: [gcp, lambda], access: {lambda: {key: {env: A}}}")), [
    "prices.sources: gcp needs a key: write prices.access.gcp.key",
  ]);
});

test("the licence of all shares of a machine is never below that of the whole", (t) => {
  const nanos = fc.bigInt({ min: 0n, max: 10n ** 12n });
  fc.assert(
    fc.property(nanos, fc.nat(16), fc.integer({ min: 1, max: 64 }), (perGpu, gpus, parts) => {
      const part = licenceOf({ gpus }, { over: 1n, under: BigInt(parts) }, nanoUsd(perGpu));
      const whole = perGpu * BigInt(gpus);
      t.true(part * BigInt(parts) >= whole);
      t.true(part * BigInt(parts) < whole + BigInt(parts), "rounded up by less than a nano-dollar");
    }),
    { seed: 20261128, numRuns: 300 },
  );
  t.is(
    formatUsd(licenceOf({ gpus: 0.166667 }, { over: 1n, under: 1n }, nanoUsd(1_000_000_000n))),
    "0.166667",
  );
});

test("a change of the access to a source, and of a price, is a change that a reload tells", (t) => {
  const read = (prices: string) => {
    const found = parsed(G5, prices);
    if (found.kind === "problems") throw new Error(found.problems[0].text);
    return found.policy;
  };
  const changes = diffPolicies(read(""), read("sources: [aws], access: {aws: {regions: [us-east-1]}}")).join(
    "\n",
  );
  t.regex(changes, /prices\.access\.aws\.regions.*us-east-1/);
  t.regex(changes, /1\.006 USD\/h .*1\.20 USD\/h \(live aws\/us-east-1\/g5\.xlarge, 2026-11-28T10:00:00Z\)/);
});

test("prices survive the disk exactly, and a file that is none is none", (t) => {
  const believed = new Map(LIVE.map((rate) => [`${rate.key} ${rate.kind}`, rate]));
  const rate = live("aws/us-east-1/g5.xlarge", 9_000_000_001n, { gpu: "a10g", effective: "2026-07-01" });
  const suspects = new Map([["aws/us-east-1/g5.xlarge on_demand", { rate, before: hourlyRate(1n) }]]);
  const kept = { believed, suspects, answered: new Map([["aws" as const, "2026-11-28T10:00:00Z"]]) };
  t.deepEqual(parseLiveRates(liveRatesText(kept)), kept);
  const text = liveRatesText(kept);
  for (const wrong of ["", "{}", text.slice(1), text.replace("1.20", "1.2x"), text.replace(":1,", ":2,")]) {
    t.is(parseLiveRates(wrong), undefined, wrong.slice(0, 40));
  }
});
