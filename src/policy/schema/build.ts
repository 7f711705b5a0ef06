// The policy, from a file in which nothing is wrong any more.

import type { Client, Limits, Model, Policy } from "../policy.ts";
import type { Cloud, ProviderAccess } from "../settings.ts";
import { CLOUDS } from "../settings.ts";
import { buildBudgets } from "./build-budget.ts";
import { buildMachines, buildUpstreams } from "./build-upstream.ts";
import type { PolicyFile } from "./policy-file.ts";
import type { Prices } from "./resolve-price.ts";
import type { PolicyContext } from "./scene.ts";

export function buildPolicy(file: PolicyFile, prices: Prices, context: PolicyContext): Omit<Policy, "notes"> {
  const machines = buildMachines(file, prices, context.rates);
  return {
    version: 1,
    digest: context.digest,
    timezone: file.timezone ?? context.timezone,
    mode: file.mode ?? "manual",
    lowestPrice: {
      includeLocal: file.lowest_price?.include_local ?? false,
      explore: file.lowest_price?.explore ?? true,
    },
    attribution: file.attribution ?? "shared",
    whenLedgerFails: file.when_ledger_fails ?? "refuse",
    identity: file.identity ?? "trusted",
    limits: limitsOf(file),
    hosts: file.hosts ?? [],
    origins: file.origins ?? [],
    metrics: { labels: file.metrics?.labels ?? [] },
    machines,
    upstreams: buildUpstreams(file, prices, machines, context.rates),
    models: modelsOf(file),
    budgets: buildBudgets(file),
    clients: clientsOf(file),
    ...laterRooms(file),
  };
}

function limitsOf({ limits }: PolicyFile): Limits {
  return {
    connections: limits?.connections ?? 1024,
    body: limits?.body ?? 64_000_000,
    waiting: limits?.waiting ?? 256,
    labelValues: limits?.label_values ?? 200,
  };
}

function modelsOf(file: PolicyFile): ReadonlyMap<string, Model> {
  const models = new Map<string, Model>();
  for (const [id, entry] of file.models) {
    models.set(id, {
      id,
      port: entry.port,
      upstreams: entry.upstreams,
      manual: entry.manual,
      estimate: entry.estimate,
      fallbackModel: entry.fallback_model,
    });
  }
  return models;
}

function clientsOf(file: PolicyFile): ReadonlyMap<string, Client> {
  return new Map([...file.clients].map(([id, client]) => [id, { id, ...client }]));
}

/** Sections that are absent from the file are absent here. */
function laterRooms(file: PolicyFile): Partial<Policy> {
  const { providers, techops, comfyui, prices, alerts, defaults } = file;
  return {
    ...(providers && { providers: providersOf(providers) }),
    ...(techops && { techops: { config: techops.config, studioKey: techops.studio_key } }),
    ...(comfyui && { comfyui }),
    ...(prices && { prices }),
    ...(alerts && { alerts }),
    ...(defaults?.session_idle !== undefined && { sessionIdle: defaults.session_idle }),
  };
}

function providersOf(given: NonNullable<PolicyFile["providers"]>): ReadonlyMap<Cloud, ProviderAccess> {
  const providers = new Map<Cloud, ProviderAccess>();
  for (const cloud of CLOUDS) {
    const access = given[cloud];
    if (access) providers.set(cloud, access);
  }
  return providers;
}
