// `budgetguard status`: everything that is in force now, on one screen.

import type { BudgetDefinition, BudgetStatus, Status, UpstreamStatus } from "../sdk/client.ts";
import { addConnectionOptions, ask, type ConnectionOptions, show } from "./connection.ts";
import type { DefineCommand } from "./define-command.ts";
import { EXIT } from "./exit-code.ts";
import { doubtText } from "./ledger-clock.ts";
import { shownAddress, withLocalhost } from "./listeners.ts";
import { moment, turn } from "./moment.ts";
import { spendingText } from "./stop-all.ts";
import { type Cell, table } from "./table.ts";
import { paint, type Style, type Terminal } from "./terminal.ts";
import { wordOf } from "./unit-word.ts";
import { inZone } from "./zone.ts";

export const defineStatus: DefineCommand = (command, terminal, end) => {
  addConnectionOptions(command)
    .addHelpText(
      "after",
      "\nExits with 1 when requests are not served, or the policy file on disk has problems.\n" +
        "Example:\n  $ budgetguard status",
    )
    .action(async (options: ConnectionOptions) =>
      end(
        await ask(terminal, options, "read", async (client) => {
          const status = await client.status();
          show(terminal, options, status, (found) => statusText(found, terminal));
          return status.ready && status.policy.valid ? EXIT.ok : EXIT.problem;
        }),
      ),
    );
};

export function statusText(status: Status, screen: Terminal): string {
  const terminal = inZone(screen, status.policy.timezone);
  const { out, timeZone } = terminal;
  const { policy } = status;
  const ready = status.ready
    ? paint(out, "green", "ready")
    : paint(out, "red", `not ready: ${status.not_ready_because ?? "it does not say why"}`);
  const trouble = policy.valid
    ? ""
    : `; ${paint(out, "red", `the file on disk has problems (${policy.problems})`)}, so the last good one ` +
      `stays in force: budgetguard check ${policy.path}`;
  const listeners = withLocalhost(status.listeners).map((listener) =>
    listener.model ? `${shownAddress(listener)} (${listener.model})` : shownAddress(listener),
  );
  const waiting = status.waiting === 0 ? "" : `, ${status.waiting} of them waiting for a slot or for money`;
  const folding = policy.folding ? "; folding: a new one is being counted, these limits stay until then" : "";
  return [
    `budgetguard ${status.version}, ${ready}, since ${moment(status.started_at, timeZone)}`,
    `mode       ${modeText(status.mode, timeZone)}`,
    ...stoppedLines(status, terminal),
    ...doubtLines(status, terminal),
    `policy     ${policy.path}, loaded ${moment(policy.loaded_at, timeZone)}${trouble}${folding}`,
    ...credentialLines(status, terminal),
    `listening  ${listeners.join(", ") || "nowhere"}`,
    `in flight  ${status.in_flight}${waiting}`,
    "",
    ...budgetLines(status, terminal),
    "",
    ...upstreamLines(status, terminal),
  ].join("\n");
}

/** Nothing while spending goes on. */
function stoppedLines({ spending }: Status, { out, timeZone }: Terminal): readonly string[] {
  return spending.stopped ? [`spending   ${paint(out, "red", spendingText(spending, timeZone))}`] : [];
}

function credentialLines({ credentials }: Status, { out }: Terminal): readonly string[] {
  const { banner, providers, file } = credentials;
  const all = providers.map(({ provider, status }) => `${provider} ${status}`).join(", ");
  const shown = `techops    ${paint(out, banner.level, banner.text)}`;
  if (file === null) return [`${shown} (the policy has no techops)`];
  const whys = new Set(providers.flatMap(({ why }) => why ?? []));
  const told = [...whys].map((why) => {
    const whose = providers.filter((each) => each.why === why).map(({ provider }) => provider);
    return `           ${whose.join(", ")}: ${why}`;
  });
  return [`${shown}; ${all}`, ...told];
}

function doubtLines({ clock }: Status, { out, timeZone }: Terminal): readonly string[] {
  return clock.in_doubt ? [`clock      ${paint(out, "yellow", doubtText(clock, timeZone))}`] : [];
}

function upstreamLines(status: Status, terminal: Terminal): readonly string[] {
  if (status.upstreams.length === 0) return ["no upstreams: nothing can be served"];
  const told = status.upstreams.flatMap(({ id, hindrance }) =>
    hindrance === null ? [] : [`upstream ${id} is ${hindrance}`],
  );
  return [upstreamTable(status, terminal), ...told];
}

const STATE_STYLE: Record<UpstreamStatus["state"], Style> = { up: "green", unknown: "dim", ejected: "red" };

function budgetLines({ budgets, budget_definitions }: Status, terminal: Terminal): readonly string[] {
  if (budget_definitions.length === 0 && budgets.length === 0) return ["no budgets: nothing is limited"];
  const counted = new Set(budgets.map(({ id }) => id));
  const others = budget_definitions.filter(({ id }) => !counted.has(id));
  const told = others.map((budget) => `budget ${budget.id}: ${uncounted(budget)}`);
  const missed = new Map(budgets.map(({ id, missed_before }) => [id, missed_before]));
  const gone = [...missed].flatMap(([id, before]) => (before === null ? [] : [missedLine(id, before)]));
  return budgets.length === 0 ? told : [budgetTable(budgets, terminal), ...gone, ...told];
}

function missedLine(id: string, before: string): string {
  const day = before.slice(0, 10);
  return `budget ${id}: entries of before ${day} were gone when it was new; it does not count all of them`;
}

/** Why a budget has no balance to show. */
export function uncounted({ enabled, limits, action, period, per }: BudgetDefinition): string {
  if (!enabled) return "disabled";
  const isPassing = period === "per_task" || period === "per_session";
  const what = isPassing ? "nothing under way" : "nothing counted yet";
  const all = limits.map(({ unit, limit }) => `${limit} ${wordOf(unit)}`).join(", ");
  return `${what} (${all} ${period}${per === null ? "" : ` per ${per}`}, at the limit: ${action})`;
}

export function modeText(mode: Status["mode"], timeZone: string): string {
  if (mode.switched_at === null) return mode.mode;
  const when = moment(mode.switched_at, timeZone);
  return `${mode.mode}, switched ${when}; the policy file says ${mode.policy_mode}`;
}

const LEVEL_STYLE: Record<BudgetStatus["level"], Style> = {
  ok: "green",
  warning: "yellow",
  critical: "red",
  spent: "red",
};

export function budgetTable(budgets: readonly BudgetStatus[], { out, timeZone }: Terminal): string {
  return table(
    out,
    [
      { title: "budget", wraps: true },
      { title: "level" },
      { title: "limit", align: "point" },
      { title: "unit" },
      { title: "settled", align: "point" },
      { title: "held", align: "point" },
      { title: "left", align: "point" },
      { title: "at limit" },
      { title: "period" },
      { title: "resets", wraps: true },
    ],
    budgets.map((budget): readonly Cell[] => [
      budget.value === null ? budget.id : `${budget.id} (${scopeOf(budget)} ${budget.value})`,
      { text: budget.level, style: LEVEL_STYLE[budget.level] },
      budget.limit,
      wordOf(budget.unit),
      budget.settled,
      budget.held,
      budget.remaining,
      budget.shadow ? `${budget.action} (shadow)` : budget.action,
      budget.period,
      resetText(budget, timeZone),
    ]),
  );
}

/** A budget of a task or a session begins anew with each: it has no turn, and is not there for ever. */
function resetText({ period, resets_at }: BudgetStatus, timeZone: string): string {
  if (resets_at !== null) return turn(resets_at, timeZone);
  return period === "infinite" ? "never" : "";
}

/** What the balances of a budget are told apart by; its period may say it too. */
function scopeOf({ per, period }: BudgetStatus): string {
  if (period === "per_task") return "task";
  return period === "per_session" ? "session" : (per ?? "of");
}

function upstreamTable({ upstreams }: Status, { out }: Terminal): string {
  return table(
    out,
    [
      { title: "upstream" },
      { title: "provider" },
      { title: "models", wraps: true },
      { title: "state" },
      { title: "in flight", align: "right" },
      { title: "waiting", align: "right" },
      { title: "price", wraps: true },
    ],
    upstreams.map((upstream): readonly Cell[] => [
      upstream.id,
      upstream.provider,
      upstream.models.join(", "),
      { text: upstream.state, style: STATE_STYLE[upstream.state] },
      upstream.concurrency === null
        ? String(upstream.in_flight)
        : `${upstream.in_flight} of ${upstream.concurrency}`,
      String(upstream.waiting),
      upstream.price,
    ]),
  );
}
