// Run as a program in a folder: a ledger that admits and settles as fast as it can and prints the id of
// every request whose settlement it was told is durable, until somebody kills it.

import "../../src/daemon/temporal.ts";
import { writeSync } from "node:fs";
import { begun, HandClock, openHouse, RELAYED } from "./ledger.ts";
import { budget, perRequest, policy, task, upstream } from "./policies.ts";

export const DOOMED_POLICY = policy({
  upstreams: [upstream("hosted", { price: perRequest("0.01") })],
  budgets: [budget("day", { limit_usd: "10" })],
});

if (import.meta.main) {
  const house = await openHouse(process.cwd(), new HandClock(), DOOMED_POLICY);
  const live = async () => {
    for (;;) {
      const asked = task();
      const reservation = await begun(house, asked);
      await reservation.settle(RELAYED);
      writeSync(1, `${asked.id}\n`);
    }
  };
  // The budget ends it if nobody does.
  await Promise.allSettled(Array.from({ length: 8 }, live));
}
