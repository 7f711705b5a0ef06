// A fleet for tests: containers that are told to the ledger by hand.

import type { Container } from "../../src/ledger/container.ts";
import { hourlyRate } from "../../src/metering/money.ts";
import { SECOND, seconds } from "../../src/metering/time.ts";
import { type House, rows } from "./ledger.ts";
import { perHour, TEN, usd } from "./policies.ts";

/** 3.6 USD/h, so 1 s is 0.001 USD; half of that while idle. */
export function container(over: Partial<Container> = {}): Container {
  return {
    ...{ id: "i-0a1", start: TEN, phase: "ready", price: perHour("3.6") as Container["price"] },
    ...{ idlePrice: hourlyRate(usd("1.8")), idleSource: undefined, minBilled: seconds(0) },
    ...{ machine: "aws", provider: "aws", tier: "a10g", upstream: "aws" },
    ...over,
  };
}

/** Second by second, with a heartbeat in each. */
export async function watch(house: House, time: number): Promise<void> {
  for (let second = 0; second < time; second += 1) {
    house.clock.pass(SECOND);
    await house.accounts.heartbeat();
  }
}

/** What was posted, by kind. */
export function kinds(house: House): Record<string, bigint> {
  const sql = `SELECT kind, sum(amount) AS amount FROM entries
    WHERE kind NOT IN ('reserved', 'extended', 'released') GROUP BY kind HAVING sum(amount) <> 0 ORDER BY kind`;
  return Object.fromEntries(rows(house.folder, sql).map(({ kind, amount }) => [kind, amount as bigint]));
}
