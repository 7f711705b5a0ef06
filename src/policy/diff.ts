// What a new policy changes, in lines for the reload log and for people. Only what this version acts on or
// stores is compared; order of names and comments of the file are not.

import { formatUsd, nanoUsd } from "../metering/money.ts";
import type { Price, PriceSource } from "../metering/price.ts";
import type { Quantity, Unit } from "../metering/quantity.ts";
import type { DurationUs } from "../metering/time.ts";
import type { Container, MachineGroup } from "./container.ts";
import {
  lifecycleOf,
  type Properties,
  seconds,
  secretText,
  sectionsOf,
  tokensText,
  words,
} from "./diff-sections.ts";
import { licenceText } from "./explain.ts";
import type { Auth, Budget, Machine, Model, Policy, Upstream } from "./policy.ts";

/** One line per added, removed or changed thing; none where the policies act alike. */
export function diffPolicies(before: Policy, after: Policy): readonly string[] {
  return [
    ...changes("", general(before), general(after)),
    ...entries("machine", before.machines, after.machines, ofMachine),
    ...entries("upstream", before.upstreams, after.upstreams, ofUpstream),
    ...entries("model", before.models, after.models, ofModel),
    ...entries("budget", byId(before.budgets), byId(after.budgets), ofBudget),
    ...entries("client", before.clients, after.clients, ({ role, tokenSha256 }) => ({
      role,
      token: tokenSha256.slice(0, 8),
    })),
  ];
}

function entries<T>(
  kind: string,
  before: ReadonlyMap<string, T>,
  after: ReadonlyMap<string, T>,
  propertiesOf: (entry: T) => Properties,
): readonly string[] {
  const lines: string[] = [];
  for (const id of before.keys()) if (!after.has(id)) lines.push(`${kind} ${id} removed`);
  for (const [id, entry] of after) {
    const earlier = before.get(id);
    if (earlier === undefined) lines.push(`${kind} ${id} added: ${summary(propertiesOf(entry))}`);
    else lines.push(...changes(`${kind} ${id}: `, propertiesOf(earlier), propertiesOf(entry)));
  }
  return lines;
}

function changes(label: string, before: Properties, after: Properties): readonly string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) => {
    const [was, is] = [before[key], after[key]];
    return was === is ? [] : [`${label}${key} ${was ?? "none"} → ${is ?? "none"}`];
  });
}

function summary(properties: Properties): string {
  const set = Object.entries(properties).filter(([, value]) => value !== undefined);
  return set.map(([key, value]) => `${key} ${value}`).join(", ");
}

function byId(budgets: readonly Budget[]): ReadonlyMap<string, Budget> {
  return new Map(budgets.map((budget) => [budget.id, budget]));
}

function general(policy: Policy): Properties {
  const { limits, lowestPrice } = policy;
  return {
    timezone: policy.timezone,
    mode: policy.mode,
    "lowest_price.include_local": String(lowestPrice.includeLocal),
    "lowest_price.explore": String(lowestPrice.explore),
    attribution: policy.attribution,
    when_ledger_fails: policy.whenLedgerFails,
    identity: policy.identity,
    "limits.connections": String(limits.connections),
    "limits.body": `${limits.body} bytes`,
    "limits.waiting": String(limits.waiting),
    "limits.label_values": String(limits.labelValues),
    hosts: words(policy.hosts),
    origins: words(policy.origins),
    "metrics.labels": words(policy.metrics.labels),
    ...sectionsOf(policy),
  };
}

function ofMachine(machine: Machine): Properties {
  return {
    price: priceText(machine.price),
    idle: `${formatUsd(machine.idleRate)} USD/h`,
    min_billed: seconds(machine.minBilled),
    group: machine.group && nameText(machine.group),
  };
}

function ofUpstream(upstream: Upstream): Properties {
  const { timeouts, rankPerRequest, rateLimit } = upstream;
  return {
    provider: upstream.provider,
    url: upstream.url ?? "discovered",
    model: upstream.model,
    gpu_tier: upstream.gpuTier,
    price: priceText(upstream.price),
    machine: upstream.machine === upstream.id ? undefined : upstream.machine,
    idle: `${formatUsd(upstream.idleRate)} USD/h`,
    min_billed: seconds(upstream.minBilled),
    concurrency: upstream.concurrency === undefined ? undefined : String(upstream.concurrency),
    rate_limit: rateLimit && `${rateLimit.calls} in ${seconds(rateLimit.per)}`,
    auth: upstream.auth && authText(upstream.auth),
    container: upstream.container && nameText(upstream.container),
    ...(upstream.lifecycle && lifecycleOf(upstream.lifecycle)),
    timeouts: [timeouts.connect, timeouts.firstByte, timeouts.idle, timeouts.total].map(seconds).join("/"),
    rank: rankPerRequest === undefined ? undefined : `${formatUsd(rankPerRequest)} USD/request`,
  };
}

function ofModel(model: Model): Properties {
  return {
    port: model.port === undefined ? undefined : String(model.port),
    upstreams: words(model.upstreams),
    manual: model.manual,
    estimate: model.estimate === undefined ? undefined : seconds(model.estimate),
    fallback_model: model.fallbackModel,
  };
}

function ofBudget(budget: Budget): Properties {
  const when = [...budget.when].map(([scope, values]) => `${scope}=${values.join("|")}`).join(" ");
  return {
    limit: [...budget.limits].map(([unit, limit]) => limitText(unit, limit)).join(" and "),
    period: budget.period,
    reset_day: String(budget.resetDay),
    on_limit: budget.onLimit,
    then: budget.then,
    when: when === "" ? undefined : when,
    per: budget.per,
    max_wait: seconds(budget.maxWait),
    warn_at: String(budget.warnAt),
    critical_at: String(budget.criticalAt),
    priority: String(budget.priority),
    overrun: budget.overrun,
    include_idle: String(budget.includeIdle),
    stop_idle: String(budget.stopIdle),
    shadow: String(budget.shadow),
    enabled: String(budget.enabled),
    from: budget.from,
    until: budget.until,
  };
}

function limitText(unit: Unit, limit: Quantity): string {
  if (unit === "usd") return `${formatUsd(nanoUsd(limit))} USD`;
  return unit === "seconds" ? seconds(Number(limit) as DurationUs) : `${limit} ${unit}`;
}

function priceText(price: Price): string {
  return `${amountText(price)}${sourceText(price.source)}`;
}

function amountText(price: Price): string {
  switch (price.kind) {
    case "hour":
      return `${formatUsd(price.rate)} USD/h${licenceText(price)}`;
    case "request":
    case "image":
      return `${formatUsd(price.amount)} USD/${price.kind}`;
    case "tokens":
      return tokensText(price);
  }
}

/** The file's own figures need no source. */
function sourceText(source: PriceSource): string {
  switch (source.kind) {
    case "policy":
      return "";
    case "live":
      return ` (live ${source.rate}, ${source.asOf})`;
    case "rate_card":
      return ` (${source.rate}, ${source.asOf})`;
    case "estimate":
      return " (an estimate)";
  }
}

function authText(auth: Auth): string {
  return `${auth.kind === "bearer" ? "bearer" : auth.name} from ${secretText(auth.secret)}`;
}

/** How a provider calls it, from the kind down. */
function nameText(called: Container | MachineGroup): string {
  return Object.values(called).join(" ");
}
