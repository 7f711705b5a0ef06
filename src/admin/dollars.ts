// An exact amount as the float that Prometheus wants.

import { formatUsd, type NanoUsd } from "../metering/money.ts";

/** The float nearest to the exact decimal: whoever reads the text gets the same nano-dollars back. */
export function dollars(amount: NanoUsd): number {
  return Number(formatUsd(amount));
}
