// Which writes a later state of a container's lease must not overtake: those that post of containers alone.
// Of idle and start-up a restart finds in the state what no entry says, as long as the lease goes on. Of
// gaps, minimums, corrections and time beyond a hold nothing is left once a later state is written, and of an
// end nothing at all.

import type { Write } from "./store.ts";

/** It has the state of a container's lease. */
export function hasState({ containers = [] }: Write): boolean {
  return containers.length > 0;
}

export function isOwed(write: Write): boolean {
  const { ending, decision, hold, unhold } = write;
  return hasState(write) && [ending, decision, hold, unhold].every((part) => part === undefined);
}

/** As one write: all of it is durable together. */
export function together(owed: readonly Write[], write: Write): Write {
  if (owed.length === 0) return write;
  const all = [...owed, write];
  return {
    ...write,
    entries: all.flatMap(({ entries = [] }) => entries),
    balances: all.flatMap(({ balances = [] }) => balances),
    containers: all.flatMap(({ containers = [] }) => containers),
  };
}
