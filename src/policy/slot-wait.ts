// What a request waits for that fits its budgets but finds every upstream at its limit.

import type { Choice } from "./choose.ts";
import type { Quote, Wait } from "./decision.ts";
import { hindranceText, lastsFor } from "./hindrance.ts";
import { urgencyOf } from "./money-wait.ts";

export function slotWait(
  model: string,
  { all, isLastResort }: Extract<Choice, { kind: "waits" }>,
): Omit<Wait, "explanation"> {
  const lasting = all.map(({ quote }) => quote.hindrance && lastsFor(quote.hindrance));
  const least = (durations: readonly number[]) => Math.min(...durations) as Wait["notBefore"];
  const states = all.map(({ quote }) => stateOf(quote));
  return {
    kind: "wait",
    upstreams: all.map(({ quote }) => quote.upstream.id),
    isLastResort,
    urgency: urgencyOf(all),
    notBefore: least(lasting.map((duration) => duration ?? 0)),
    retryAfter: least(all.map(({ quote }, index) => lasting[index] ?? quote.time)),
    reason: `no upstream of ${model} can take it now: ${states.join("; ")}`,
  };
}

export function stateOf({ upstream, hindrance }: Quote): string {
  return `${upstream.id} is ${hindrance === undefined ? "free" : hindranceText(hindrance)}`;
}
