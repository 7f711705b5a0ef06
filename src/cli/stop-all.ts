// `budgetguard stop-all` and `budgetguard resume`: the one switch that stops all spending.

import type { SpendingChange, SpendingChanged, SpendingState } from "../sdk/client.ts";
import { addConnectionOptions, ask, type ConnectionOptions, show } from "./connection.ts";
import { counted } from "./counted.ts";
import type { DefineCommand } from "./define-command.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { moment } from "./moment.ts";
import type { Terminal } from "./terminal.ts";

export const defineStopAll: DefineCommand = (command, terminal, end) => {
  addConnectionOptions(command)
    .option("--cut", "also end the paid work that runs; the time it used is charged")
    .option("--containers", "also turn off the machines that cost money")
    .addHelpText(
      "after",
      "\nWork that would cost money is refused with 402 until somebody resumes; free work is served. What\n" +
        "runs goes on to its end without --cut. Needs the admin token. It holds over restarts.\n" +
        "Example:\n  $ budgetguard stop-all --cut",
    )
    .action(async ({ cut, containers, ...options }: StopOptions) =>
      end(
        await change(terminal, options, {
          stopped: true,
          cut: cut === true,
          containers: containers === true,
        }),
      ),
    );
};

export const defineResume: DefineCommand = (command, terminal, end) => {
  addConnectionOptions(command)
    .addHelpText("after", "\nNeeds the admin token.\nExample:\n  $ budgetguard resume")
    .action(async (options: ConnectionOptions) => end(await change(terminal, options, { stopped: false })));
};

interface StopOptions extends ConnectionOptions {
  readonly cut?: true;
  readonly containers?: true;
}

function change(terminal: Terminal, options: ConnectionOptions, asked: SpendingChange): Promise<ExitCode> {
  return ask(terminal, options, "write", async (client) => {
    const changed = await client.changeSpending(asked);
    const timeZone = options.json ? terminal.timeZone : (await client.status()).policy.timezone;
    show(terminal, options, changed, (found) => changedText(found, asked, timeZone));
    return EXIT.ok;
  });
}

function changedText(found: SpendingChanged, asked: SpendingChange, timeZone: string): string {
  if (!found.stopped) return "spending goes on: budgets decide again";
  const { cut_requests, stopped_machines } = found;
  const cut = asked.cut
    ? `${counted(cut_requests.length, "paid request")} cut off, charged for the time used`
    : "paid work that runs goes on to its end: --cut ends it";
  const machines = asked.containers ? [machinesText(stopped_machines)] : [];
  return [spendingText(found, timeZone), cut, ...machines].join("\n");
}

function machinesText(machines: readonly string[]): string {
  if (machines.length > 0) return `machines that are being turned off: ${machines.join(", ")}`;
  return "no machines turned off: none that costs money is up, or none is watched (budgetguard nodes list)";
}

/** "stopped by admin since 2026-11-28 01:37:00 Europe/Berlin; …", or that it goes on. */
export function spendingText({ stopped, stopped_by, stopped_at }: SpendingState, timeZone: string): string {
  if (!stopped) return "spending goes on";
  const since = stopped_at === null ? "" : ` since ${moment(stopped_at, timeZone)}`;
  return `all spending is stopped by ${stopped_by}${since}; to go on: budgetguard resume`;
}
