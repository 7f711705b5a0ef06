// The policy as somebody has edited it: what a reload in mid-flight can bring.

import { hourlyRate } from "../../src/metering/money.ts";
import { quantityOf } from "../../src/metering/quantity.ts";
import type { Budget, Policy, Upstream } from "../../src/policy/policy.ts";
import { firstNameOf, RENAMED } from "./machines.ts";
import type { Random } from "./random.ts";

/** Limits moved, budgets renamed, moved to others, gone and back again. */
export function edited(policy: Policy, first: Policy, random: Random): Policy {
  const byGround = (one: Budget) => `${one.period} ${one.per} ${[...one.limits.keys()]}`;
  const kept = policy.budgets.filter(() => random.chance(0.85)).map((one) => editedBudget(one, random));
  const known = new Set(kept.map(byGround));
  const back = first.budgets.filter((one) => !known.has(byGround(one)) && random.chance(0.3));
  return { ...policy, budgets: [...kept, ...back], digest: `${policy.digest}+` };
}

function editedBudget(one: Budget, random: Random): Budget {
  switch (random.whole(0, 5)) {
    case 0: {
      const percent = BigInt(random.whole(20, 150));
      const limits = [...one.limits].map(
        ([unit, limit]) => [unit, quantityOf((limit * percent) / 100n)] as const,
      );
      return { ...one, limits: new Map(limits) };
    }
    case 1:
      return { ...one, id: one.id.endsWith("-too") ? one.id.slice(0, -4) : `${one.id}-too` };
    case 2: {
      if (!one.when.has("user")) return one;
      return { ...one, when: new Map([["user", [random.pick(["alice", "bob", "eve"])]]]) };
    }
    case 3:
      return { ...one, shadow: random.chance(0.3) };
    default:
      return one;
  }
}

type ContainerEdit = (policy: Policy, first: Policy, random: Random) => Policy;

/** Containers cost something else; budgets count them or not; upstreams are renamed; some go, and come back. */
const CONTAINER_EDITS: readonly ContainerEdit[] = [
  (policy, _first, random) => {
    const [percent, idle] = [BigInt(random.whole(50, 150)), BigInt(random.pick([0, 10, 60, 100]))];
    return withUpstreams(
      policy,
      [...policy.upstreams.values()].map((one) => repriced(one, percent, idle)),
    );
  },
  (policy, _first, random) => {
    const budgets = policy.budgets.map((one) => ({
      ...one,
      includeIdle: random.chance(0.2) !== one.includeIdle,
    }));
    return { ...policy, budgets };
  },
  (policy, _first, random) => {
    const upstreams = [...policy.upstreams.values()];
    return withUpstreams(
      policy,
      upstreams.map((one) => (random.chance(0.5) ? renamed(one) : one)),
    );
  },
  (policy, first, random) => {
    const upstreams = [...policy.upstreams.values()];
    const there = new Set(upstreams.map(({ id }) => firstNameOf(id)));
    const kept = upstreams.filter(({ hasContainer }) => !hasContainer || random.chance(0.5));
    return withUpstreams(policy, [
      ...kept,
      ...[...first.upstreams.values()].filter(({ id }) => !there.has(id)),
    ]);
  },
];

export function withContainersEdited(policy: Policy, first: Policy, random: Random): Policy {
  const next = random.pick(CONTAINER_EDITS)(policy, first, random);
  const ids = [...next.upstreams.keys()];
  const models = [...first.models.values()].map((one) => {
    const upstreams = ids.filter((id) => one.upstreams.includes(firstNameOf(id)));
    return { ...one, upstreams };
  });
  return { ...next, models: new Map(models.map((one) => [one.id, one])), digest: `${policy.digest}+` };
}

/** Of what is paid by the hour without a container: each by its own. */
export function withPricesMoved(policy: Policy, random: Random): Policy {
  const upstreams = [...policy.upstreams.values()].map((one): Upstream => {
    if (one.hasContainer || one.price.kind !== "hour" || one.price.rate === 0n) return one;
    const rate = hourlyRate((one.price.rate * BigInt(random.whole(50, 180))) / 100n);
    return { ...one, price: { ...one.price, rate } };
  });
  return { ...withUpstreams(policy, upstreams), digest: `${policy.digest}+` };
}

export function withAttributionTurned(policy: Policy): Policy {
  const attribution = policy.attribution === "shared" ? "exclusive" : "shared";
  return { ...policy, attribution, digest: `${policy.digest}+` };
}

function repriced(one: Upstream, percent: bigint, idle: bigint): Upstream {
  if (!one.hasContainer || one.price.kind !== "hour") return one;
  const rate = hourlyRate((one.price.rate * percent) / 100n);
  return { ...one, price: { ...one.price, rate }, idleRate: hourlyRate((rate * idle) / 100n) };
}

/** One that bills alone is its own machine; one that bills with another keeps that one's name. */
function renamed(one: Upstream): Upstream {
  if (!one.hasContainer) return one;
  const id = one.id === firstNameOf(one.id) ? `${one.id}${RENAMED}` : firstNameOf(one.id);
  return { ...one, id, machine: one.machine === one.id ? id : one.machine };
}

function withUpstreams(policy: Policy, upstreams: readonly Upstream[]): Policy {
  return { ...policy, upstreams: new Map(upstreams.map((one) => [one.id, one])) };
}
