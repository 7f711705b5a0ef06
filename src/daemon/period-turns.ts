// Says in the log that a period of budgets has turned: one line for all that turn together. Nothing is reset
// then (a balance belongs to its period), so this only looks at the clock, with each heartbeat.

import { type Period, periodOf } from "../metering/period.ts";
import { FOREVER, formatInstant, type Instant } from "../metering/time.ts";
import type { Budget, Policy } from "../policy/policy.ts";
import type { Logger } from "./log.ts";

export interface TurnParts {
  readonly log: Pick<Logger, "info">;
  policy(): Policy;
  now(): Instant;
}

/** Budgets that a line names; it counts all. */
const MOST_NAMED = 50;

export class PeriodTurns {
  readonly #parts: TurnParts;
  #current = new Map<string, Period>();
  #grouped: { readonly policy: Policy; readonly groups: ReadonlyMap<string, Group> } | undefined;

  constructor(parts: TurnParts) {
    this.#parts = parts;
    this.look();
  }

  look(): void {
    const at = this.#parts.now();
    const policy = this.#parts.policy();
    if (this.#grouped?.policy !== policy) this.#grouped = { policy, groups: groupsOf(policy) };
    const current = new Map<string, Period>();
    for (const [key, group] of this.#grouped.groups) {
      const known = this.#current.get(key);
      const isOver = known !== undefined && at >= known.end;
      const period = known === undefined || isOver ? group.at(at) : known;
      if (isOver) this.#say(group, period);
      if (period.end < FOREVER) current.set(key, period);
    }
    this.#current = current;
  }

  #say({ budgets, kind }: Group, { start, end }: Period): void {
    const named = budgets.slice(0, MOST_NAMED).map(({ id }) => id);
    const turned = { budgets: named, count: budgets.length, period: kind };
    const since = { from: formatInstant(start), until: formatInstant(end) };
    this.#parts.log.info({ ...turned, ...since }, "a period of budgets has turned");
  }
}

/** Budgets that turn at the same moments. */
interface Group {
  readonly kind: Budget["period"];
  readonly budgets: readonly Budget[];
  at(at: Instant): Period;
}

function groupsOf({ timezone, budgets }: Policy): ReadonlyMap<string, Group> {
  const groups = new Map<string, Group & { readonly budgets: Budget[] }>();
  for (const budget of budgets) {
    if (!budget.enabled) continue;
    const { period: kind, resetDay } = budget;
    const key = `${kind}/${resetDay}/${timezone}`;
    const group = groups.get(key);
    if (group !== undefined) group.budgets.push(budget);
    else groups.set(key, { kind, budgets: [budget], at: (at) => periodOf(kind, timezone, resetDay, at) });
  }
  return groups;
}
