// The policy under which the gateway is measured: 20 rules, of which only the last model and the last five
// budgets are the request's, so that all the others are looked at in vain.

import { MODEL } from "./traffic.ts";

/** `priced`: five budgets that can refuse and a price by time. `free`: the same five only warn, of no price. */
export type Costs = "priced" | "free";

const RULES = 20;
const COVERING = 5;

export function policyText(upstream: string, costs: Costs): string {
  const others = Array.from({ length: RULES - COVERING }, (_, index) => index);
  const price = costs === "priced" ? "usd_per_hour: 3.6" : "usd_per_request: 0";
  const action = costs === "priced" ? "block" : "warn";
  const covering = Array.from({ length: COVERING }, (_, index) => PERIODS[index % PERIODS.length]);
  return `version: 1
timezone: UTC
mode: lowest_price
limits: { connections: 10000 }
upstreams:
${others.map((at) => `  other-${at}: { provider: other, url: "${upstream}", price: { usd_per_hour: 1 } }`).join("\n")}
  up: { provider: other, url: "${upstream}", price: { ${price} } }
models:
${others.map((at) => `  other-${at}: { upstreams: [other-${at}] }`).join("\n")}
  ${MODEL}: { upstreams: [up], estimate: 12s }
budgets:
${others.map((at) => `  - { id: other-${at}, when: { model: other-${at} }, ${LIMIT}, period: daily }`).join("\n")}
${covering.map((period, at) => `  - { id: all-${at}, ${LIMIT}, period: ${period}, on_limit: ${action} }`).join("\n")}
`;
}

/** More than any run of the bench can spend. */
const LIMIT = "limit_usd: 1000000";
const PERIODS = ["hourly", "daily", "weekly", "monthly", "infinite"];
