// The whole policy file, version 1: the one place where its top-level keys are listed. Names are a contract.

import type { z } from "zod";
import { MODES, SCOPES } from "../policy.ts";
import { host, origin } from "./addresses.ts";
import { count } from "./amounts.ts";
import { budget } from "./budget.ts";
import { list, mapping, named } from "./collections.ts";
import { size } from "./measures.ts";
import { model } from "./model.ts";
import { prices } from "./price.ts";
import { scalar, textOf } from "./scalar.ts";
import { alerts, client, comfyui, defaults, providers, techops } from "./settings.ts";
import { machine, upstream } from "./upstream.ts";
import { choice, flag, timezone } from "./words.ts";

const version = scalar<1>({
  what: "a version that this gateway reads",
  write: "version: 1",
  json: { enum: [1, "1"] },
  read: (raw) => (textOf(raw) === "1" ? 1 : undefined),
});

const lowestPrice = mapping({
  include_local: flag()
    .optional()
    .describe("Whether local upstreams take part in lowest_price. Default: false."),
  explore: flag()
    .optional()
    .describe("Try an upstream of unknown speed now and then, within the budgets. Default: true."),
});

const limits = mapping({
  connections: count(1, 100_000).optional().describe("Open client connections. Default: 1024."),
  body: size().optional().describe("One request's body. Default: 64MB."),
  waiting: count(0, 100_000).optional().describe("Requests in the waiting room. Default: 256."),
  label_values: count(1, 100_000)
    .optional()
    .describe("Different values of one opt-in metric label; the others become other. Default: 200."),
});

const metrics = mapping({
  labels: list(choice(SCOPES))
    .optional()
    .describe("Further labels, such as user, workflow, project. Default: none."),
});

export const policyFile = mapping({
  // Not required here, so that a file without it has its other problems found too; parse.ts asks for it.
  version: version.optional().describe("The format of this file: 1."),
  timezone: timezone()
    .optional()
    .describe("In which budgets turn, an IANA name such as Europe/Berlin. Default: the machine's."),
  mode: choice(MODES)
    .optional()
    .describe("How an upstream is chosen: manual (the model's own), lowest_price, local. Default: manual."),
  lowest_price: lowestPrice.optional().describe("How mode: lowest_price compares."),
  attribution: choice(["shared", "exclusive"])
    .optional()
    .describe("Requests that run together share the hourly price, or each pays all of it. Default: shared."),
  when_ledger_fails: choice(["refuse", "serve_free", "spool"])
    .optional()
    .describe(
      "When spending cannot be recorded: refuse all, serve what is free, or (fleet) spool. Default: refuse.",
    ),
  identity: choice(["trusted", "token"])
    .optional()
    .describe(
      "Who names the user: X-BudgetGuard-* headers (trusted), or only a client token. Default: trusted.",
    ),
  limits: limits.optional().describe("Bounds of the gateway itself."),
  hosts: list(host()).optional().describe("Further Host names by which it may be called."),
  origins: list(origin()).optional().describe("Further web pages (browser origins) that may call it."),
  metrics: metrics.optional().describe("What /metrics shows besides the fixed names."),
  providers: providers.optional().describe("Access to clouds, for containers and live prices."),
  techops: techops.optional().describe("What TechOps' tools left on this machine."),
  comfyui: comfyui.optional().describe("ComfyUI, to learn whose request it is."),
  prices: prices.optional().describe("Price lists."),
  defaults: defaults.optional().describe("For budgets that do not say."),
  machines: named(machine)
    .optional()
    .describe("Only where several containers run on one machine and bill as one. By name."),
  upstreams: named(upstream).optional().describe("Where requests can go. By name."),
  models: named(model).optional().describe("What clients ask for. By name."),
  budgets: list(budget).optional().describe("Limits on what is spent; all that cover a request must agree."),
  clients: named(client).optional().describe("Client tokens. By the user's name."),
  alerts: alerts.optional().describe("Who is told when."),
});

type Given = z.output<typeof policyFile>;
type Sections = "machines" | "upstreams" | "models" | "budgets" | "clients";

/** The file as it was read, with sections that are absent as empty ones. */
export type PolicyFile = Omit<Given, Sections> & { readonly [K in Sections]-?: NonNullable<Given[K]> };

export function withSections(given: Given): PolicyFile {
  return {
    ...given,
    machines: given.machines ?? new Map(),
    upstreams: given.upstreams ?? new Map(),
    models: given.models ?? new Map(),
    budgets: given.budgets ?? [],
    clients: given.clients ?? new Map(),
  };
}
