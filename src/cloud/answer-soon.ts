// For people: an order that its provider is slow to take is under way, and its state says how it goes.

import { type DurationUs, SECOND } from "../metering/time.ts";
import type { Ordered } from "./container-watch.ts";
import type { PollParts } from "./poll.ts";

/** Docker answers a stop once the process has ended, half a minute later at most; commands wait 10 s. */
const PATIENCE = (5 * SECOND) as DurationUs;

export function answerSoon(
  order: Promise<Ordered | undefined>,
  { after }: Pick<PollParts<unknown>, "after">,
): Promise<Ordered | undefined> {
  const slow = Promise.withResolvers<Ordered>();
  const forget = after(PATIENCE, () => slow.resolve({ kind: "ordered" }));
  return Promise.race([order, slow.promise]).finally(forget);
}
