// What a running request may hold further of what it asks for, until a budget says that it has no more.

import type { Balances } from "../policy/admission.ts";
import { claimsOf, type Demand, satisfied } from "../policy/claims.ts";
import type { Claim } from "../policy/decision.ts";
import { balanceOf } from "../policy/judge.ts";

export interface Extension {
  readonly answer: "extended" | "refused" | "unavailable";
  /** The budget with `overrun: cut` that refused it, where one did. */
  readonly cutBy?: string | undefined;
}

export type Further =
  | { readonly claims: readonly Claim[]; readonly cutBy?: undefined }
  | { readonly claims?: undefined; readonly cutBy: string };

/** A budget that lets work finish is passed over; another one on the same balance still holds there. */
export function furtherClaims(demands: readonly Demand[], view: Balances): Further {
  const unmet = demands.filter((demand) => !satisfied(demand, balanceOf(demand, view)));
  const cutting = unmet.find((demand) => demand.coverage.ground.budget.overrun === "cut");
  if (cutting !== undefined) return { cutBy: cutting.coverage.ground.budget.id };
  return { claims: claimsOf(demands.filter((demand) => !unmet.includes(demand))) };
}
