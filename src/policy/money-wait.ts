// What a request waits for that a budget queues: the accounts in which it stands in line, until when, and
// before whom (MONEY §6). It holds nothing meanwhile.

import type { Quantity } from "../metering/quantity.ts";
import { formatQuantity } from "../metering/quantity-text.ts";
import { DAY, type DurationUs, FOREVER, type Instant } from "../metering/time.ts";
import type { Demand } from "./claims.ts";
import type { MoneyWait, Urgency } from "./decision.ts";
import type { Judged } from "./explain.ts";
import { balanceOf, breachOf, fitsOnceFree, isBeyond, type Judge } from "./judge.ts";
import { type Budget, lastAction } from "./policy.ts";

/** Where no budget says another. */
const MEDIUM = 5;
/** So many steps of priority it climbs while it waits as long as it may. */
const STEPS = 8;

/** Undefined where no waiting helps: then it is refused at once. */
export function moneyWait(
  by: Judge,
  candidates: readonly Judged[],
  all: readonly Judged[],
): MoneyWait | undefined {
  const queued = candidates
    .filter(({ unmet }) => unmet.every(({ coverage }) => coverage.ground.budget.onLimit !== "block"))
    .map(({ unmet }) => unmet.filter(isQueue))
    .filter((unmet) => unmet.length > 0 && !unmet.some(isBeyond));
  if (queued.length === 0) return undefined;
  const ready = queued.filter((unmet) => unmet.every((demand) => fitsOnceFree(demand, by.view)));
  const demands = (ready.length > 0 ? ready : queued).flat();
  const [first] = demands;
  if (first === undefined) return undefined;
  return {
    accounts: [...new Set(demands.map(({ coverage }) => coverage.account))],
    isParked: ready.length === 0,
    turnsAt: Math.min(...demands.map(({ period }) => period.end)) as Instant,
    longest: Math.min(...demands.map(({ coverage }) => coverage.ground.budget.maxWait)) as DurationUs,
    breach: breachOf(first, by.view, all),
    reason: reasonOf(by, first, ready.length === 0),
  };
}

/** Of all that cover any of the candidates: the highest priority, and how fast it grows. */
export function urgencyOf(candidates: readonly Judged[]): Urgency {
  let foremost: Budget | undefined;
  for (const { coverage } of candidates.flatMap(({ demands }) => demands)) {
    const { budget } = coverage.ground;
    if (foremost === undefined || budget.priority > foremost.priority) foremost = budget;
  }
  const step = Math.max(1, Math.floor((foremost?.maxWait ?? DAY) / STEPS)) as DurationUs;
  return { priority: foremost?.priority ?? MEDIUM, step };
}

function isQueue({ coverage }: Demand): boolean {
  return lastAction(coverage.ground.budget) === "queue";
}

function reasonOf(by: Judge, demand: Demand, isParked: boolean): string {
  const { budget, unit, limit } = demand.coverage.ground;
  const { settled, held } = balanceOf(demand, by.view);
  const text = (amount: Quantity) => formatQuantity(unit, amount);
  const state = `${text(settled)} settled and ${text(held)} held`;
  const asked = `this needs ${text(demand.amount)} of ${text(limit)}, ${state}`;
  const before = by.claimedBefore(demand.coverage.account);
  const place = before === 0 ? "" : `; ${before} who came earlier ${before === 1 ? "is" : "are"} before it`;
  const turns =
    demand.period.end === FOREVER
      ? "until the limit is raised"
      : "until the period turns or the limit is raised";
  const until = isParked ? turns : "until what is held there is free again";
  return `it waits for budget ${budget.id} ${until}: ${asked}${place}`;
}
