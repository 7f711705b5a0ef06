// What is told of a task that has ended: the counters of /metrics and its one access line.

import type { Metrics } from "../admin/metrics.ts";
import { between, type Instant } from "../metering/time.ts";
import type { Outcome } from "../policy/admission.ts";
import type { Exchanged, Unsent } from "../proxy/exchange.ts";
import { chargedFor, overheadOf, type Passed, type TaskEnded } from "../proxy/front.ts";
import { causeOf } from "../proxy/reply.ts";
import type { AccessLog } from "./log.ts";

export interface Observer {
  readonly metrics: Metrics;
  readonly accessLog: AccessLog;
  now(): Instant;
}

export function observeTask({ metrics, accessLog, now }: Observer, event: TaskEnded): void {
  const { task, exchanged } = event;
  const at = now();
  const sent = exchanged.kind === "sent" ? exchanged : undefined;
  const upstream = sent?.decision.quote.upstream;
  const unsent = unsentOf(exchanged);
  const outcome = outcomeOf(event);
  const charged = chargedFor(exchanged);
  const made = outcome === "relayed" ? sent?.ending.status : undefined;
  const succeeded = made !== undefined && (isSuccess(made) || made === SWITCHED);
  if (exchanged.kind === "refused") metrics.decision(exchanged.breach.action, exchanged.breach.budget);
  for (const { action, budget } of sent?.decision.warnings ?? []) metrics.decision(action, budget);
  const degraded = sent?.decision.degraded;
  if (degraded !== undefined) metrics.decision("degrade", degraded.budget);
  const model = degraded?.to.model ?? task.model;
  metrics.cutLabels(event.cutLabels);
  metrics.observe({
    model,
    provider: upstream?.provider,
    upstream: upstream?.id,
    outcome,
    succeeded,
    images: succeeded && made !== SWITCHED ? task.work.images : 0,
    tokens: (succeeded ? sent?.ending.tokens : undefined) ?? NO_TOKENS,
    duration: between(event.at, at),
    overhead: overheadOf(event, at),
  });
  accessLog.line({
    at,
    request: task.id,
    clientRequestId: task.clientRequestId,
    method: event.method,
    path: event.path,
    status: event.status,
    outcome,
    model,
    upstream: upstream?.id ?? unsent?.upstream,
    provider: upstream?.provider,
    user: task.labels.user,
    workflow: task.labels.workflow,
    charged: sent === undefined ? undefined : charged,
    reason: reasonOf(exchanged),
    duration: between(event.at, at),
  });
}

/** What no task was made of: answered by the gateway, passed on unmetered, or turned away. */
export function observePassed({ metrics, accessLog, now }: Observer, event: Passed): void {
  if (event.kind === "unmetered") metrics.unmetered();
  // Health is polled once a second by every waiting client: a line for each would bury the others.
  if (event.kind === "own") return;
  const at = now();
  accessLog.line({
    ...NOBODY,
    at,
    method: event.method,
    path: event.path,
    status: event.status,
    outcome: event.kind,
    duration: between(event.at, at),
  });
}

const NO_TOKENS = { input: 0, output: 0 };

const NOBODY = {
  request: undefined,
  clientRequestId: undefined,
  model: undefined,
  upstream: undefined,
  provider: undefined,
  user: undefined,
  workflow: undefined,
  charged: undefined,
  reason: undefined,
};

function outcomeOf({ exchanged }: TaskEnded): Outcome {
  switch (exchanged.kind) {
    case "sent":
      return exchanged.ending.outcome;
    case "refused":
    case "stopped":
      return "refused";
    case "no_upstream":
      return "no_upstream";
    case "unsent":
    case "too_busy":
    case "ledger_unavailable":
      return "unsent";
  }
}

/** The attempt that could not be made, where it was the last one. */
function unsentOf(exchanged: Exchanged): Unsent | undefined {
  if (exchanged.kind === "no_upstream") return exchanged.last;
  return exchanged.kind === "unsent" ? exchanged : undefined;
}

/** For the log; the budget that refused is in the explanation. */
function reasonOf(exchanged: Exchanged): string | undefined {
  switch (exchanged.kind) {
    case "sent":
      return exchanged.relayed.fault?.reason;
    case "refused":
      return `budget ${exchanged.breach.budget}`;
    case "stopped":
      return `all spending is stopped by ${exchanged.stop.by}`;
    case "no_upstream":
      return exchanged.last === undefined ? exchanged.reason : causeOf(exchanged.last);
    case "unsent":
      return causeOf(exchanged);
    case "too_busy":
      return exchanged.reason;
    case "ledger_unavailable":
      return "the ledger cannot be written";
  }
}

/** Of a tunnel: nobody counts what is made in it. */
const SWITCHED = 101;

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}
