// `budgetguard alerts list` and `acknowledge`: what was told, newest first, and the note that somebody has
// seen to it.

import { Option } from "commander";
import type { AlertPage } from "../sdk/client.ts";
import { ALERT_SEVERITIES } from "../sdk/vocabulary.ts";
import { addConnectionOptions, ask, type ConnectionOptions, show } from "./connection.ts";
import type { DefineCommand } from "./define-command.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { moment } from "./moment.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

export const defineAlerts: DefineCommand = (command, terminal, end) => {
  command.addHelpText("after", "\nExample:\n  $ budgetguard alerts list");
  addConnectionOptions(command.command("list").description("alerts, newest first"))
    .addOption(new Option("--severity <severity>", "only these").choices(ALERT_SEVERITIES))
    .option("--open", "only those that nobody has acknowledged")
    .option("--before <id>", "only older ones than this")
    .addHelpText("after", "\nExample:\n  $ budgetguard alerts list --open")
    .action(async (options: ListOptions) => end(await list(terminal, options)));
  addConnectionOptions(command.command("acknowledge").description("note that you have seen to an alert"))
    .argument("<id>", "as the list has it")
    .addHelpText("after", "\nExample:\n  $ budgetguard alerts acknowledge a-5d41402abc4b2a76b9719d911017c592")
    .action(async (id: string, options: ConnectionOptions) => end(await acknowledge(terminal, id, options)));
};

interface ListOptions extends ConnectionOptions {
  readonly severity?: (typeof ALERT_SEVERITIES)[number];
  readonly open?: true;
  readonly before?: string;
}

function list(terminal: Terminal, options: ListOptions): Promise<ExitCode> {
  const { severity, open, before } = options;
  return ask(terminal, options, "read", async (client) => {
    const page = await client.alerts({
      ...(severity !== undefined && { severity }),
      ...(open && { acknowledged: "false" as const }),
      ...(before !== undefined && { before }),
    });
    show(terminal, options, page, (found) => pageText(found, terminal));
    return EXIT.ok;
  });
}

function pageText({ items, next }: AlertPage, { out }: Terminal): string {
  if (items.length === 0) return "no alerts";
  const rows = items.map((alert) => [
    moment(alert.at, alert.period.timezone),
    alert.event,
    [alert.text, ...(alert.advice === null ? [] : [alert.advice])].join("; "),
    alert.acknowledged?.by ?? "",
    alert.id,
  ]);
  const columns = [
    { title: "at" },
    { title: "event" },
    { title: "what", wraps: true },
    { title: "seen to by" },
    { title: "id" },
  ] as const;
  const more = next === null ? "" : `\nolder ones: budgetguard alerts list --before ${next}`;
  return table(out, columns, rows) + more;
}

function acknowledge(terminal: Terminal, id: string, options: ConnectionOptions): Promise<ExitCode> {
  return ask(terminal, options, "write", async (client) => {
    const alert = await client.acknowledgeAlert(id);
    show(terminal, options, alert, ({ acknowledged, period, text }) => {
      const when = acknowledged === null ? "" : `, ${moment(acknowledged.at, period.timezone)}`;
      return `acknowledged by ${acknowledged?.by ?? "nobody"}${when}: ${text}`;
    });
    return EXIT.ok;
  });
}
