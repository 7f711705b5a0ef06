// The policy of one simulated run: tight budgets of every reach, over upstreams priced by time and by piece.

import { hourlyRate } from "../../src/metering/money.ts";
import { type DurationUs, SECOND, seconds } from "../../src/metering/time.ts";
import type { Budget, Policy, Upstream } from "../../src/policy/policy.ts";
import { budget, model, perHour, perRequest, policy, upstream } from "../support/policies.ts";
import type { Random } from "./random.ts";

export function simulatedPolicy(random: Random): Policy {
  const overrun = "cut" as const;
  const upstreams = [
    upstream("slow-aws", { provider: "aws", price: perHour("3.6") }),
    upstream("fast-gcp", { provider: "gcp", price: perHour("36.123456789") }),
    upstream("hosted", { provider: "nvidia-hosted", price: perRequest("0.03") }),
    upstream("free", { provider: "local", price: perHour("0") }),
  ].filter(() => random.chance(0.8));
  const budgets = [
    budget("day", { limit_usd: cents(random, 5, 60), overrun }),
    budget("each", { limit_usd: cents(random, 3, 30), per: "user", overrun }),
    budget("alice", { limit_usd: cents(random, 1, 20), when: { user: "alice" }, overrun, period: "hourly" }),
    budget("aws", { limit_usd: cents(random, 1, 20), when: { provider: ["aws", "gcp"] }, overrun }),
    budget("task", { limit_usd: "0.40", period: "per_task", overrun }),
    budget("watch", { limit_usd: "0.01", onLimit: "warn" }),
    budget("hourly-count", { limits: { requests: random.whole(5, 60) }, period: "hourly", overrun }),
    budget("pictures", { limits: { images: random.whole(5, 60) }, per: "user", overrun }),
    budget("time", { limits: { seconds: random.whole(30, 900) }, overrun }),
    budget("bob-time", {
      limits: { seconds: random.whole(10, 300) },
      when: { user: "bob" },
      overrun,
      period: "hourly",
    }),
  ].filter(() => random.chance(0.7));
  return policy({
    upstreams,
    budgets,
    mode: random.pick(["lowest_price", "lowest_price", "manual"]),
    lowestPrice: { includeLocal: random.chance(0.3), explore: true },
  });
}

/** The same policy with slots, rates and a waiting room that may be small. */
export function withSlots(policy: Policy, random: Random): Policy {
  const limited = [...policy.upstreams.values()].map((one): Upstream => {
    const concurrency = random.chance(0.4) ? undefined : random.whole(1, 3);
    return { ...one, concurrency, ...rateOf(random) };
  });
  const limits = { ...policy.limits, waiting: random.pick([0, 4, 256]) };
  return { ...policy, limits, upstreams: new Map(limited.map((one) => [one.id, one])) };
}

/** Some budgets make work wait, or send it somewhere cheaper; and there is a faster model to fall back to. */
export function withActions(given: Policy, random: Random): Policy {
  const budgets = given.budgets.map((one): Budget => {
    if (one.onLimit !== "block" || random.chance(0.4)) return one;
    return {
      ...one,
      onLimit: random.pick(["queue", "queue", "degrade", "soft_limit"]),
      then: random.pick(["block", "queue", "warn"]),
      maxWait: (random.whole(20, 90) * SECOND) as DurationUs,
      priority: random.pick([1, 5, 5, 8]),
    };
  });
  const ids = [...given.upstreams.keys()].filter(() => random.chance(0.7));
  const [flux] = given.models.values();
  if (flux === undefined || random.chance(0.5)) return { ...given, budgets };
  const models = [{ ...flux, fallbackModel: "flux-fast" }, model("flux-fast", ids, { estimate: seconds(4) })];
  return { ...given, budgets, models: new Map(models.map((one) => [one.id, one])) };
}

/** What is paid by the hour runs in containers, of which some bill as one; and not every budget counts them. */
export function withContainers(given: Policy, random: Random): Policy {
  const billsAsOne = random.chance(0.2);
  const upstreams = [...given.upstreams.values()].map((one): Upstream => {
    if (one.price.kind !== "hour" || one.price.rate === 0n) return one;
    const together = billsAsOne ? { machine: "pair", provider: "aws" as const, price: PAIR } : {};
    const price = billsAsOne ? PAIR : one.price;
    const idleRate = hourlyRate((price.rate * BigInt(random.pick([0, 1, 10, 50, 100, 120]))) / 100n);
    return {
      ...one,
      ...together,
      hasContainer: true,
      idleRate,
      minBilled: seconds(random.pick([0, 20, 90])),
    };
  });
  const hourly = upstreams.find(({ hasContainer }) => hasContainer);
  const alike = (one: Upstream) =>
    billsAsOne && hourly !== undefined && one.hasContainer
      ? { ...one, idleRate: hourly.idleRate, minBilled: hourly.minBilled }
      : one;
  const more = [
    budget("boxes", { limit_usd: cents(random, 10, 90), per: "machine", overrun: "cut" }),
    budget("box", { limit_usd: cents(random, 10, 90), when: { upstream: "slow-aws" }, overrun: "cut" }),
  ].filter(() => random.chance(0.4));
  const budgets = [...given.budgets, ...more].map((one) => ({ ...one, includeIdle: random.chance(0.7) }));
  return { ...given, budgets, upstreams: new Map(upstreams.map((one) => [one.id, alike(one)])) };
}

const PAIR = { kind: "hour", rate: hourlyRate(7_123_456_789n), source: { kind: "policy" } } as const;

function rateOf(random: Random): Pick<Upstream, "rateLimit"> {
  if (random.chance(0.75)) return {};
  return { rateLimit: { calls: random.whole(1, 8), per: (random.pick([10, 60]) * SECOND) as DurationUs } };
}

function cents(random: Random, from: number, to: number): string {
  return `${(random.whole(from * 100, to * 100) / 10_000).toFixed(4)}`;
}
