// Series that begin at 0 before anything happens. Prometheus takes a counter's first value for its start: one
// that appeared with its first dollar in it would hide that dollar from every rate. The label sets follow
// from the policy in force alone.

import { ZERO_USD } from "../metering/money.ts";
import { OUTCOMES, type Outcome } from "../policy/admission.ts";
import type { Policy } from "../policy/policy.ts";
import { ALERT_EVENTS } from "../policy/settings.ts";
import {
  addCost,
  addCount,
  type Counts,
  countDecision,
  isGeneration,
  type Series,
  seriesOf,
} from "./counts.ts";

/** Most series, and most budgets, that are begun so: a scrape has a limit, whatever a policy asks for. */
const MOST_PRIMED = 200;

const SENT = OUTCOMES.filter(isGeneration);
const UNSENT = OUTCOMES.filter((outcome) => !isGeneration(outcome));

/** What is counted already stays as it is. */
export function prime(counts: Counts, policy: Policy): void {
  for (const model of policy.models.values()) {
    if (counts.series.size >= MOST_PRIMED) break;
    begin(seriesOf(counts, { model: model.id, provider: "none", upstream: "none" }), UNSENT);
    for (const id of model.upstreams.slice(0, MOST_PRIMED - counts.series.size)) {
      const provider = policy.upstreams.get(id)?.provider ?? "none";
      const series = seriesOf(counts, { model: model.id, provider, upstream: id });
      begin(series, SENT);
      addCost(series, "request", ZERO_USD);
    }
    addCount(counts.generations.succeeded, model.id, 0);
    addCount(counts.generations.failed, model.id, 0);
  }
  for (const event of ALERT_EVENTS) addCount(counts.alerts.raised, event, 0);
  for (const outcome of ["delivered", "failed"] as const) addCount(counts.alerts.deliveries, outcome, 0);
  for (const { id, onLimit } of policy.budgets.slice(0, MOST_PRIMED)) {
    for (const action of [onLimit, "warn"] as const) countDecision(counts, action, id, 0);
  }
}

function begin({ outcomes }: Series, which: readonly Outcome[]): void {
  for (const outcome of which) addCount(outcomes, outcome, 0);
}
