// When requests come, and what is counted of how each has ended.

import type { DurationUs } from "../../src/metering/time.ts";
import type { Exchanged } from "../../src/proxy/exchange.ts";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

/** Bursts of one to eight that arrive in the same tick: what races in a real house races here. */
export function planArrivals(
  world: World,
  random: Random,
  requests: number,
  within: number,
  arrive: () => void,
): void {
  for (let left = requests; left > 0; ) {
    const burst = Math.min(left, random.whole(1, 8));
    left -= burst;
    world.after(random.whole(0, within) as DurationUs, () => {
      for (let index = 0; index < burst; index += 1) arrive();
    });
  }
}

export function whatCameOf(exchanged: Exchanged): readonly string[] {
  if (exchanged.kind !== "sent") {
    const inVain = exchanged.kind === "refused" && exchanged.breach.waited !== undefined;
    return inVain ? [exchanged.kind, "waited in vain"] : [exchanged.kind];
  }
  const { ending, waited, decision } = exchanged;
  return [
    ending.outcome,
    ...(waited > 0 ? ["waited"] : []),
    ...(decision.degraded === undefined ? [] : ["degraded"]),
  ];
}
