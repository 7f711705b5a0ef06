// `budgetguard explain BUDGET`: how it stands, where its money went, why it is over, what would pass now.

import type { BudgetAccount, BudgetCause, BudgetExplained, SpentRow } from "../sdk/client.ts";
import { counted } from "./counted.ts";
import { elapsed, moment } from "./moment.ts";
import { budgetTable, uncounted } from "./status.ts";
import { type Cell, table } from "./table.ts";
import { paint, type Terminal } from "./terminal.ts";
import { wordOf } from "./unit-word.ts";
import { inZone } from "./zone.ts";

export function budgetText(found: BudgetExplained, screen: Terminal): string {
  const { budget, balances, accounts } = found;
  const terminal = inZone(screen, found.timezone);
  const about = budget.description === "" ? "" : `: ${budget.description}`;
  const force = budget.enforcing ? "It can refuse work." : "It refuses no work.";
  const scopes = Object.entries(budget.when).map(([scope, values]) => `${scope} ${values.join(" or ")}`);
  const covers = scopes.length === 0 ? "" : ` It covers ${scopes.join(", ")}.`;
  return [
    `Budget ${budget.id}${about}`,
    `${force}${covers}`,
    "",
    balances.length === 0 ? uncounted(budget) : budgetTable(balances, terminal),
    ...accounts.flatMap((account) => accountLines(account, terminal)),
    ...byHandLines(found, terminal),
    ...passingLines(found, terminal),
  ].join("\n");
}

function accountLines(account: BudgetAccount, terminal: Terminal): readonly string[] {
  const { out, timeZone } = terminal;
  const whose = account.value === null ? "" : ` of ${account.value}`;
  if (account.requests.length + account.by_upstream.length === 0) return [];
  return [
    ...excessLines(account, whose, terminal),
    "",
    paint(out, "bold", `Where it went${whose}`),
    spentTable(account, terminal),
    ...(/^[0.]+$/.test(account.idle_discount)
      ? []
      : [`idle_discount: unused containers at their full price: ${account.idle_discount} USD more`]),
    ...(account.requests.length === 0 ? [] : ["", paint(out, "bold", `Dearest requests${whose}`)]),
    ...(account.requests.length === 0
      ? []
      : [
          table(
            out,
            [
              { title: "request", wraps: true },
              { title: "at", wraps: true },
              { title: "user", wraps: true },
              { title: "upstream" },
              { title: wordOf(account.unit), align: "point" },
            ],
            account.requests.map(({ id, at, user, upstream, amount }) => [
              ...[id, moment(at, timeZone), user, upstream, amount],
            ]),
          ),
        ]),
  ];
}

function spentTable(account: BudgetAccount, { out }: Terminal): string {
  const row = (what: string) => (spent: SpentRow) => [
    `${what} ${spent.value === "" ? "(none said)" : spent.value}`,
    String(spent.requests),
    ...(account.unit === "images" ? [String(spent.images)] : []),
    ...(account.unit === "tokens" ? [String(spent.input_tokens + spent.output_tokens)] : []),
    elapsed(spent.elapsed_us),
    spent.amount_usd,
  ];
  return table(
    out,
    [
      { title: "by", wraps: true },
      { title: "requests", align: "right" },
      ...(account.unit === "images" || account.unit === "tokens"
        ? [{ title: account.unit, align: "right" } as const]
        : []),
      { title: "work", align: "right" },
      { title: "USD", align: "point" },
    ],
    [
      ...account.by_model.map(row("model")),
      ...account.by_user.map(row("user")),
      ...account.by_upstream.map(row("upstream")),
    ],
  );
}

function excessLines(
  { over, container_overdraft: overdraft, unit, causes }: BudgetAccount,
  whose: string,
  terminal: Terminal,
): readonly string[] {
  if (/^[0.]+$/.test(over)) return [];
  const { out, timeZone } = terminal;
  const head = paint(out, "red", `The balance${whose} is ${over} ${wordOf(unit)} over its limit.`);
  if (causes.length === 0)
    return ["", `${head} Nothing in the ledger says why: run budgetguard ledger verify`];
  const lines = causes.map(
    (cause) => `  ${causeText(cause, timeZone)}, at most ${cause.at_most} ${wordOf(unit)}`,
  );
  const apart = /^[0.]+$/.test(overdraft)
    ? []
    : [`  Of it container_overdraft, which no \`overrun\` holds back: at most ${overdraft} ${wordOf(unit)}`];
  return ["", `${head} What cannot be refused and came to it:`, ...lines, ...apart];
}

function causeText({ cause, count, at }: BudgetCause, timeZone: string): string {
  switch (cause) {
    case "idle":
      return "containers that were up and unused";
    case "startup":
      return "containers that started while nobody waited";
    case "minimum":
      return "the least that a provider bills for a start";
    case "gap":
      return "time in which the gateway did not run and containers did";
    case "adjustment":
      return `${counted(count, "correction")} of the ledger`;
    case "limit_lowered": {
      const raise = at === null ? "" : `: a raise ended on ${moment(at, timeZone)}`;
      return `the limit was lowered in this period${raise}`;
    }
    case "reload":
      return `the budget came or changed${at === null ? "" : ` on ${moment(at, timeZone)}`}, with this spent`;
    case "finish_overrun":
      return `${counted(count, "request")} took more than was held, and overrun: finish lets them end`;
    case "late_count":
      return `${counted(count, "request")} made more than was held, which is counted with the reply`;
    case "not_enforced":
      return "this budget refuses no work now";
  }
}

/** What people did to it: adjustments, raises, and amounts that they set aside. */
function byHandLines({ adjustments, edits, raises, allocations }: BudgetExplained, terminal: Terminal) {
  const { out, timeZone } = terminal;
  const lines = [
    ...adjustments.map(({ at, value, unit, amount, by, reason }) => {
      const whose = value === null ? "" : ` of ${value}`;
      return `  adjusted${whose} by ${amount} ${wordOf(unit)} on ${moment(at, timeZone)} by ${by}: ${reason}`;
    }),
    ...edits.map(({ at, what, keys, by, reason }) => {
      const done = `${DONE[what]}${keys === "" ? "" : ` ${keys}`}`;
      return `  ${done} on ${moment(at, timeZone)} by ${by}: ${reason}`;
    }),
    ...raises.map(({ unit, amount, until, in_force, by, reason }) => {
      const end = `${in_force ? "until" : "ended"} ${moment(until, timeZone)}`;
      return `  raised by ${amount} ${wordOf(unit)} ${end} by ${by}: ${reason}`;
    }),
    ...allocations.map(({ id, amount_usd, until, by, reason }) => {
      return `  ${amount_usd} USD set aside until ${moment(until, timeZone)} by ${by}: ${reason} (${id})`;
    }),
  ];
  return lines.length === 0 ? [] : ["", paint(out, "bold", "By hand"), ...lines];
}

const DONE = { set: "set", create: "created with", remove: "removed" } as const;

function passingLines({ passing }: BudgetExplained, { out }: Terminal): readonly string[] {
  if (passing.length === 0) return [];
  const rows = passing.map((one): readonly Cell[] => [
    one.model,
    one.upstream,
    `${one.needed} ${wordOf(one.unit)}`,
    one.fits ? { text: "fits", style: "green" } : { text: "does not fit", style: "red" },
    one.chosen
      ? "would be served here"
      : one.decision === "forward"
        ? "served elsewhere"
        : `would be: ${one.decision}`,
  ]);
  return [
    "",
    paint(out, "bold", "What would pass now"),
    table(
      out,
      [
        { title: "model", wraps: true },
        { title: "upstream" },
        { title: "needs", align: "right" },
        { title: "this budget" },
        { title: "all budgets and the mode", wraps: true },
      ],
      rows,
    ),
  ];
}
