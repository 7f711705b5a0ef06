// What sections around the data path say, in the words of the file: for the diff of two policies. A section
// that is absent has no words.

import { formatUsd } from "../metering/money.ts";
import { type DurationUs, SECOND } from "../metering/time.ts";
import type { Lifecycle, WeeklyWindow } from "./container.ts";
import type { Policy, SecretRef } from "./policy.ts";
import type {
  Alerts,
  Credentials,
  PriceAccess,
  PriceEntry,
  PriceSettings,
  ProviderAccess,
} from "./settings.ts";

/** Name of a property, and its value as it is shown; undefined where it is not set. */
export type Properties = Readonly<Record<string, string | undefined>>;

export function sectionsOf({ providers, techops, comfyui, prices, alerts, sessionIdle }: Policy): Properties {
  return {
    ...Object.assign({}, ...[...(providers ?? [])].map(([cloud, access]) => ofProvider(cloud, access))),
    "techops.config": techops?.config,
    "techops.studio_key": techops?.studioKey && secretText(techops.studioKey),
    comfyui: comfyui?.url,
    ...(prices && ofPrices(prices)),
    ...(alerts && ofAlerts(alerts)),
    "defaults.session_idle": sessionIdle === undefined ? undefined : seconds(sessionIdle),
  };
}

function ofProvider(cloud: string, access: ProviderAccess): Properties {
  return {
    [`providers.${cloud}.credentials`]: access.credentials && secretText(access.credentials),
    [`providers.${cloud}.endpoint`]: access.endpoint,
    [`providers.${cloud}.dry_run`]: String(access.dryRun),
    [`providers.${cloud}.calls_per_minute`]: String(access.callsPerMinute),
  };
}

function ofPrices({ refresh, sources, access, licencePerGpuHour, entries }: PriceSettings): Properties {
  return {
    "prices.refresh": seconds(refresh),
    "prices.sources": words(sources),
    ...Object.assign({}, ...[...access].map(([name, one]) => ofAccess(name, one))),
    "prices.licence_usd_per_gpu_hour": formatUsd(licencePerGpuHour),
    ...Object.fromEntries([...entries].map(([name, entry]) => [`prices.entries.${name}`, entryText(entry)])),
  };
}

function ofAccess(name: string, { key, regions, endpoint }: PriceAccess): Properties {
  return {
    [`prices.access.${name}.key`]: key && secretText(key),
    [`prices.access.${name}.regions`]: regions && words(regions),
    [`prices.access.${name}.endpoint`]: endpoint,
  };
}

function ofAlerts({ webhooks, rules }: Alerts): Properties {
  const hooks = webhooks.map(
    ({ url, format, events }) => `${format} to ${secretText(url)} (${words(events)})`,
  );
  return {
    "alerts.webhooks": hooks.length === 0 ? undefined : hooks.join(", "),
    "alerts.rules.max_usd_per_image":
      rules.maxPerImage === undefined ? undefined : formatUsd(rules.maxPerImage),
    "alerts.rules.min_success_percent": rules.minSuccessPercent?.toString(),
    "alerts.rules.projected_month_usd":
      rules.projectedMonth === undefined ? undefined : formatUsd(rules.projectedMonth),
  };
}

export function lifecycleOf(lifecycle: Lifecycle): Properties {
  const { wake, stopAfterIdle, keepWarm, startupEstimate, startupTimeout } = lifecycle;
  return {
    "lifecycle.wake": wake,
    "lifecycle.stop_after_idle": stopAfterIdle === "never" ? "never" : seconds(stopAfterIdle),
    "lifecycle.keep_warm": keepWarm && windowText(keepWarm),
    "lifecycle.startup_estimate": seconds(startupEstimate),
    "lifecycle.startup_timeout": seconds(startupTimeout),
  };
}

const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

function windowText({ firstDay, lastDay, opens, closes }: WeeklyWindow): string {
  const two = (part: number) => String(part).padStart(2, "0");
  const [from, to] = [opens, closes].map((at) => `${two(Math.floor(at / 60))}:${two(at % 60)}`);
  return `${DAYS[firstDay - 1]}-${DAYS[lastDay - 1]} ${from}-${to}`;
}

function entryText(entry: PriceEntry): string {
  if (entry.kind !== "tokens") return `${formatUsd(entry.amount)} USD/${entry.kind}`;
  return tokensText(entry);
}

export function tokensText({ input, output }: Extract<PriceEntry, { kind: "tokens" }>): string {
  return `${formatUsd(input)} in, ${formatUsd(output)} out USD/million tokens`;
}

/** Where it is read from; nobody here knows the secret. */
export function secretText(ref: SecretRef | Credentials): string {
  if (ref.kind === "techops") return "techops";
  return `${ref.kind} ${ref.kind === "file" ? ref.path : ref.name}`;
}

export function words(all: readonly string[]): string | undefined {
  return all.length === 0 ? undefined : all.join(" ");
}

export function seconds(duration: DurationUs): string {
  return `${duration / SECOND}s`;
}
