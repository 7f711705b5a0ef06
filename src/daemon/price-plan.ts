// When a source of prices is asked next: after `refresh`, spread so that no two gateways ask at once; sooner,
// and then ever later, where it did not answer. Numbers only: the clock and the dice are the caller's.

import { DAY, type DurationUs, type Instant, MINUTE } from "../metering/time.ts";

export interface Plan {
  readonly refresh: DurationUs;
  /** When it last answered; undefined: never. */
  readonly answeredAt: Instant | undefined;
  /** In a row, since then. */
  readonly failures: number;
}

/** Nobody's prices change by the minute. */
const SHORTEST: DurationUs = MINUTE;
/** Timers take no more than 24 days. */
const LONGEST: DurationUs = DAY;
/** Part of a pause by which it is spread, either way. */
const SPREAD = 0.1;

/** `dice`: 0 to 1. */
export function pauseBefore({ refresh, answeredAt, failures }: Plan, at: Instant, dice: number): DurationUs {
  const spread = 1 + SPREAD * (2 * dice - 1);
  const wanted = Math.max(refresh, SHORTEST);
  if (failures > 0) return within(Math.min(wanted, SHORTEST * 2 ** (failures - 1)) * spread);
  if (answeredAt === undefined) return 0 as DurationUs;
  return within(wanted * spread - Math.max(0, at - answeredAt));
}

function within(us: number): DurationUs {
  return Math.round(Math.min(LONGEST, Math.max(0, us))) as DurationUs;
}
