// Budgets: a limit on a scope in a period, and what happens there.

import type { z } from "zod";
import { PERIODS } from "../../metering/period.ts";
import { ACTIONS, type Action, SCOPES, type Scope } from "../policy.ts";
import { bigCount, count, fraction, priority, usd } from "./amounts.ts";
import { mapping } from "./collections.ts";
import { duration } from "./measures.ts";
import { choice, day, flag, id, text, texts } from "./words.ts";

const HARD_LIMIT = { hard_limit: "block" } as const;
const TAG = { agent: "tag", component: "tag" } as const;

const SCOPE_TEXT: Readonly<Record<Scope, string>> = {
  provider: "Who runs the upstream; a free text, for usage from outside may name others.",
  upstream: "Name of an upstream.",
  machine: "Name of a machine, or of an upstream that is its own.",
  model: "Name of a model.",
  gpu_tier: "GPU class, such as a10g.",
  user: "Who asks: a client token's name, or X-BudgetGuard-User under identity: trusted.",
  workflow: "X-BudgetGuard-Workflow.",
  session: "X-BudgetGuard-Session.",
  task: "X-BudgetGuard-Task.",
  node: "X-BudgetGuard-Node: the node of the ComfyUI graph.",
  project: "X-BudgetGuard-Project.",
  tag: "X-BudgetGuard-Tag.",
};

const scopeKey = (scope: Scope) => texts().optional().describe(SCOPE_TEXT[scope]);
const scopeKeys = Object.fromEntries(SCOPES.map((scope) => [scope, scopeKey(scope)])) as Record<
  Scope,
  ReturnType<typeof scopeKey>
>;

const when = mapping({
  ...scopeKeys,
  agent: texts().optional().describe("Another spelling of tag."),
  component: texts().optional().describe("Another spelling of tag."),
}).transform((given, context): ReadonlyMap<Scope, readonly string[]> => {
  const { agent, component, ...scopes } = given;
  const tags = [scopes.tag, agent, component].filter((each) => each !== undefined);
  if (tags.length > 1) {
    const message = "tag, agent and component are one key: write one of them";
    context.issues.push({ code: "custom", input: given, message });
  }
  const all = { ...scopes, tag: tags[0], gpu_tier: scopes.gpu_tier?.map((tier) => tier.toLowerCase()) };
  return new Map(SCOPES.flatMap((scope) => (all[scope] ? [[scope, all[scope]]] : [])));
});

export const action = () => choice(ACTIONS, HARD_LIMIT);
export const period = () => choice(PERIODS);

const NOT_DEGRADE = ACTIONS.filter((each) => each !== "degrade") as Exclude<Action, "degrade">[];
/** More would not fit the ledger's columns; it is 31 years of seconds. */
const MOST = 1_000_000_000;

const limits = {
  limit_usd: usd().optional().describe("The limit in USD."),
  limit_requests: bigCount(MOST).optional().describe("The limit in requests."),
  limit_images: bigCount(MOST).optional().describe("The limit in images."),
  limit_seconds: bigCount(MOST).optional().describe("The limit in seconds of work."),
  limit_tokens: bigCount(1_000_000_000_000).optional().describe("The limit in tokens, both ways."),
};

const shape = mapping({
  id: id().describe("Its name in refusals, metrics and reports; unique."),
  description: text(500).optional().describe("For people."),
  when: when
    .optional()
    .describe("What it covers: every key must match one of its values. Default: everything."),
  per: choice(SCOPES, TAG)
    .optional()
    .describe("One balance for each value of this key, each with the limit."),
  ...limits,
  period: period()
    .optional()
    .describe("When it starts anew, in the policy's time zone. Default: defaults.period."),
  reset_day: count(1, 28)
    .optional()
    .describe("First day of the period: 1 (Monday) to 7 if weekly, 1 to 28 if monthly. Default: 1."),
  on_limit: action().optional().describe("What happens at the limit. Default: defaults.on_limit."),
  then: choice(NOT_DEGRADE, HARD_LIMIT)
    .optional()
    .describe("What degrade does when nothing cheaper fits. Default: block."),
  max_wait: duration().optional().describe("How long queue lets a request wait. Default: 24h."),
  warn_at: fraction()
    .optional()
    .describe("Share of the limit from which it warns. Default: defaults.warn_at."),
  critical_at: fraction()
    .optional()
    .describe("Share of the limit from which it is critical. Default: defaults.critical_at."),
  priority: priority().optional().describe("Who goes first from the waiting room. Default: medium (5)."),
  overrun: choice(["finish", "cut"])
    .optional()
    .describe("Work that outlasts its money: finish it, or cut it off. Default: finish."),
  include_idle: flag().optional().describe("Whether container money (idle, start-up) counts. Default: true."),
  stop_idle: flag().optional().describe("At the limit, stop what only burns idle money. Default: false."),
  shadow: flag().optional().describe("Count and report, never act. Default: false."),
  enabled: flag().optional().describe("false switches it off. Default: true."),
  from: day().optional().describe("First day on which it applies, in the policy's time zone."),
  until: day().optional().describe("Last day on which it applies, included."),
});

export const budget = shape.transform((given, context) => {
  const { then: otherwise, ...rest } = given;
  const complain = (message: string, key?: string) => {
    const path = key === undefined ? [] : [key];
    context.issues.push({ code: "custom", input: given, message, path });
  };
  if (!Object.keys(limits).some((key) => Object.hasOwn(given, key))) {
    complain(`has no limit: write at least one of ${Object.keys(limits).join(", ")}`);
  }
  if (given.from !== undefined && given.until !== undefined && given.from > given.until) {
    complain(`ends before it begins on ${given.from}: write a later day, or an earlier from`, "until");
  }
  if ((given.warn_at ?? 0) > (given.critical_at ?? 1)) {
    complain("is above critical_at: a warning comes first", "warn_at");
  }
  return { ...rest, otherwise };
});
export type BudgetEntry = z.output<typeof budget>;
