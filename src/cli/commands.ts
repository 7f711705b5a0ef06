// All commands: those of this version, each in a file of its own that is loaded only when it is asked for,
// and the names that are promised for later ones.

import type { DefineCommand } from "./define-command.ts";

export interface Listed {
  readonly name: string;
  readonly alias?: string;
  readonly summary: string;
  readonly load: () => Promise<DefineCommand>;
}

export const COMMANDS: readonly Listed[] = [
  {
    name: "serve",
    alias: "start",
    summary: "run the gateway",
    load: async () => (await import("./serve.ts")).defineServe,
  },
  {
    name: "check",
    summary: "tell every problem of a policy file",
    load: async () => (await import("./check.ts")).defineCheck,
  },
  {
    name: "demo",
    summary: "see it work, with simulated NIMs",
    load: async () => (await import("./demo.ts")).defineDemo,
  },
  {
    name: "status",
    summary: "what is in force now: mode, policy, budgets, upstreams",
    load: async () => (await import("./status.ts")).defineStatus,
  },
  {
    name: "mode",
    summary: "show or switch how upstreams are chosen",
    load: async () => (await import("./mode.ts")).defineMode,
  },
  {
    name: "stop-all",
    summary: "stop all spending: paid work is refused, free work is served",
    load: async () => (await import("./stop-all.ts")).defineStopAll,
  },
  {
    name: "resume",
    summary: "let paid work through again",
    load: async () => (await import("./stop-all.ts")).defineResume,
  },
  {
    name: "usage",
    alias: "get-usage",
    summary: "what was spent in the current period",
    load: async () => (await import("./usage.ts")).defineUsage,
  },
  {
    name: "estimate",
    summary: "what a request would cost, and whether it would pass",
    load: async () => (await import("./estimate.ts")).defineEstimate,
  },
  {
    name: "explain",
    summary: "why a request was decided as it was, or how a budget stands",
    load: async () => (await import("./explain.ts")).defineExplain,
  },
  {
    name: "alerts",
    summary: "what was told, and who has seen to it",
    load: async () => (await import("./alerts.ts")).defineAlerts,
  },
  {
    name: "nodes",
    summary: "containers: what they do and cost, start and stop",
    load: async () => (await import("./nodes.ts")).defineNodes,
  },
  {
    name: "prices",
    summary: "what machines cost an hour, and how far that can be trusted",
    load: async () => (await import("./prices.ts")).definePrices,
  },
  {
    name: "ledger",
    summary: "the record of all money",
    load: async () => (await import("./ledger.ts")).defineLedger,
  },
  {
    name: "import",
    summary: "make policy entries of what other tools have set up",
    load: async () => (await import("./import-techops.ts")).defineImport,
  },
  {
    name: "token",
    summary: "tokens of clients",
    load: async () => (await import("./token.ts")).defineToken,
  },
  {
    name: "version",
    summary: "the version of budgetguard and of its Node",
    load: async () => (await import("./version.ts")).defineVersion,
  },
];

/** Names that are fixed already and whose rooms are not built yet. */
export const LATER: ReadonlySet<string> = new Set([
  ...["statement", "set-limit", "allocate", "calc-cost", "recommend"],
  ...["alerts test", "queue", "jobs", "simulate", "install-service", "uninstall-service"],
  ...["completion", "doctor", "dashboard", "token list", "token revoke"],
  ...["ledger reconcile", "ledger adjust", "ledger backup", "ledger tail"],
]);
