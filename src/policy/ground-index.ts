// Finds the budgets that may cover a request without looking at all of them: each is filed under one value of
// its `when`, the one that it shares with the fewest others. What it finds must still be asked.

import type { Facts, Ground } from "./match.ts";
import type { Scope } from "./policy.ts";

/** A ground and its place in the policy's order. */
export interface Filed {
  readonly ground: Ground;
  readonly place: number;
}

export class GroundIndex {
  /** About everything, so always asked. */
  readonly #always: Filed[] = [];
  readonly #byScope = new Map<Scope, Map<string, Filed[]>>();

  constructor(all: readonly Filed[]) {
    const shared = new Map<string, number>();
    for (const { ground } of all) {
      for (const [scope, values] of ground.budget.when) {
        for (const value of values) {
          const name = nameOf(scope, value);
          shared.set(name, (shared.get(name) ?? 0) + 1);
        }
      }
    }
    const crowd = (scope: Scope, values: readonly string[]) =>
      values.reduce((sum, value) => sum + (shared.get(nameOf(scope, value)) ?? 0), 0);
    for (const filed of all) {
      let [chosen, least]: [Scope | undefined, number] = [undefined, Number.POSITIVE_INFINITY];
      for (const [scope, values] of filed.ground.budget.when) {
        const others = crowd(scope, values);
        if (others < least) [chosen, least] = [scope, others];
      }
      this.#file(filed, chosen);
    }
  }

  /** In no order. */
  find(facts: Facts): readonly Filed[] {
    const found = [...this.#always];
    for (const [scope, byValue] of this.#byScope) {
      const value = facts[scope];
      const filed = value === undefined ? undefined : byValue.get(value);
      if (filed !== undefined) found.push(...filed);
    }
    return found;
  }

  #file(filed: Filed, scope: Scope | undefined): void {
    if (scope === undefined) {
      this.#always.push(filed);
      return;
    }
    const byValue = this.#byScope.get(scope) ?? new Map<string, Filed[]>();
    this.#byScope.set(scope, byValue);
    for (const value of new Set(filed.ground.budget.when.get(scope))) {
      const there = byValue.get(value);
      if (there === undefined) byValue.set(value, [filed]);
      else there.push(filed);
    }
  }
}

function nameOf(scope: Scope, value: string): string {
  return `${scope}:${value}`;
}
