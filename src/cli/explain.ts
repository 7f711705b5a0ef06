// `budgetguard explain ID`: the story of one request, from who asked to what it cost; of a budget's id, how
// the budget stands and where its money went (explain-budget.ts).

import type { BudgetGuardClient, RequestDetail } from "../sdk/client.ts";
import { alternativesText, budgetsBefore, candidateTable } from "./candidate-table.ts";
import { addConnectionOptions, ask, type ConnectionOptions, complain, show } from "./connection.ts";
import type { DefineCommand } from "./define-command.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { budgetText } from "./explain-budget.ts";
import { elapsed, moment } from "./moment.ts";
import { table } from "./table.ts";
import { paint, say, type Terminal } from "./terminal.ts";
import { wordOf } from "./unit-word.ts";
import { inZone } from "./zone.ts";

export const defineExplain: DefineCommand = (command, terminal, end) => {
  addConnectionOptions(command)
    .argument("<id>", "of a request (X-BudgetGuard-Request, or your own X-Request-Id), last, or of a budget")
    .addHelpText("after", "\nExample:\n  $ budgetguard explain last")
    .action(async (id: string, options: ConnectionOptions) =>
      end(await ask(terminal, options, "read", (client) => explain(terminal, client, id, options))),
    );
};

async function explain(
  terminal: Terminal,
  client: BudgetGuardClient,
  id: string,
  options: ConnectionOptions,
): Promise<ExitCode> {
  const wanted = id === "last" ? (await client.requests({ limit: 1 })).items[0]?.id : id;
  if (wanted === undefined) {
    say(terminal.err, "there are no requests yet");
    return EXIT.problem;
  }
  const { ApiError } = await import("../sdk/client.ts");
  try {
    show(terminal, options, await client.request(wanted), (found) => requestText(found, terminal));
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
    try {
      const found = await client.explainBudget(wanted);
      show(terminal, options, found, (explained) => budgetText(explained, terminal));
    } catch (other) {
      if (!(other instanceof ApiError && other.status === 404)) throw other;
      const complaint = { status: 404, code: error.body?.code, detail: none(wanted) };
      return complain(terminal, options, EXIT.problem, complaint);
    }
  }
  return EXIT.ok;
}

function none(wanted: string): string {
  return (
    `no request has the id ${wanted}, no client sent it as X-Request-Id, and no budget has that id: ` +
    "budgetguard explain last tells of the newest request, budgetguard status lists the budgets"
  );
}

export function requestText(request: RequestDetail, screen: Terminal): string {
  const terminal = inZone(screen, request.timezone);
  const { out } = terminal;
  const { explanation } = request;
  const policy = explanation.policy_digest.slice(0, 12);
  const bold = (text: string) => paint(out, "bold", text);
  const before = explanation.chosen === null ? "" : `, for ${explanation.chosen}`;
  return [
    asked(request, terminal.timeZone),
    ending(request),
    "",
    `${bold("Rule")}  ${explanation.rule} (mode ${explanation.mode}, policy ${policy})`,
    alternativesText(explanation),
    "",
    candidateTable(explanation, "chosen", terminal),
    "",
    bold(`Budgets before${before}`),
    budgetsBefore(explanation, terminal),
    ...(request.budgets_after.length === 0
      ? []
      : ["", bold("Budgets after"), budgetsAfter(request, terminal)]),
    "",
    `${bold("Cost")}  ${costText(request)}`,
  ].join("\n");
}

function asked({ id, client_request_id, at, model, labels }: RequestDetail, timeZone: string): string {
  const { user, ...others } = labels;
  const known = Object.entries(others).filter(([, value]) => value !== null);
  const more = known.map(([name, value]) => `, ${name} ${value}`).join("");
  const own = client_request_id === null ? "" : ` (the client's ${client_request_id})`;
  return `Request ${id}${own}\n${user} asked for ${model} on ${moment(at, timeZone)}${more}.`;
}

function ending({ outcome, upstream, provider, status, elapsed_us, waiting, budgets_after }: RequestDetail) {
  const place = upstream === null ? "" : `${upstream} (${provider})`;
  const where = place && ` by ${place}`;
  const answered = status === null ? "" : `, which answered ${status}`;
  const after = elapsed_us === null ? "" : `, after ${elapsed(elapsed_us)}`;
  const cutBy = budgets_after.find(({ cut }) => cut)?.budget;
  const cutter = cutBy === undefined ? "" : `: budget ${cutBy} had no money for more time`;
  switch (outcome) {
    case "running":
      if (waiting !== null)
        return `It waits, as number ${waiting.position}, for ${elapsed(waiting.waited_us)}.`;
      return `It is being served${where}.`;
    case "relayed":
      return `It was served${where}${answered}${after}.`;
    default:
      // Not "by": it was the client that left, or a budget that cut.
      return `It ended as ${outcome}${place && ` at ${place}`}${answered}${after}${cutter}.`;
  }
}

function costText({ outcome, charged_usd, estimate_usd, hold_usd, elapsed_us }: RequestDetail): string {
  const held = hold_usd === null ? "" : `, ${hold_usd} USD held`;
  const guess = estimate_usd === null ? "" : `; estimated ${estimate_usd} USD${held}`;
  if (outcome === "running") return `not known while it runs${guess}`;
  if (charged_usd === null) return "nothing was sent, and nothing is charged";
  return `${charged_usd} USD${elapsed_us === null ? "" : ` for ${elapsed(elapsed_us)} of work`}${guess}`;
}

function budgetsAfter({ budgets_after }: RequestDetail, { out }: Terminal): string {
  return table(
    out,
    [
      { title: "budget", wraps: true },
      { title: "limit", align: "point" },
      { title: "unit" },
      { title: "settled", align: "point" },
      { title: "held", align: "point" },
      { title: "left", align: "point" },
    ],
    budgets_after.map(({ budget, unit, limit, settled, held, remaining }) => [
      budget,
      limit,
      wordOf(unit),
      settled,
      held,
      remaining,
    ]),
  );
}
