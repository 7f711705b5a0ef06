// Finds what a balance is the balance of, from its name alone: whoever hears that one has moved need not know
// what moved it.

import type { AccountKey } from "./decision.ts";
import { type Coverage, type Ground, groundsOf, isStoodInFor } from "./match.ts";
import type { Policy } from "./policy.ts";

const indexed = new WeakMap<Policy, ReadonlyMap<string, readonly Ground[]>>();

/** The budgets of a policy that judge by this balance; two may look at the same one. */
export function coveragesOf(policy: Policy, account: AccountKey): readonly Coverage[] {
  const grounds = indexOf(policy);
  const found = (grounds.get(account) ?? []).filter(({ per }) => per === undefined);
  // A value of `per` may hold any sign, and so may the values of `when` before it.
  for (let at = account.indexOf("="); at >= 0; at = account.indexOf("=", at + 1)) {
    const [name, value] = [account.slice(0, at), account.slice(at + 1)];
    const named = grounds.get(name) ?? [];
    found.push(...named.filter((one) => one.per !== undefined && !isStoodInFor(one, value)));
  }
  return found.map((ground) => ({ ground, account }));
}

function indexOf(policy: Policy): ReadonlyMap<string, readonly Ground[]> {
  const known = indexed.get(policy);
  if (known !== undefined) return known;
  const made = new Map<string, Ground[]>();
  for (const ground of groundsOf(policy)) made.set(ground.key, [...(made.get(ground.key) ?? []), ground]);
  indexed.set(policy, made);
  return made;
}
