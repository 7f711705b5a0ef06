// `budgetguard ledger clock`: ledger time beside the wall clock; `clock accept` adopts a jump of that.

import type { Command } from "commander";
import type { BudgetGuardClient, ClockState } from "../sdk/client.ts";
import { addConnectionOptions, ask, type ConnectionOptions, show } from "./connection.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { elapsed, moment } from "./moment.ts";
import type { Terminal } from "./terminal.ts";

export function defineClock(command: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  const print = async (client: BudgetGuardClient, options: ConnectionOptions, state: ClockState) => {
    const timeZone = options.json ? terminal.timeZone : (await client.status()).policy.timezone;
    show(terminal, options, state, (found) => clockText(found, timeZone));
    return EXIT.ok;
  };
  const clock = command.command("clock").description("ledger time beside the wall clock, and any doubt");
  addConnectionOptions(clock)
    .addHelpText("after", "\nExample:\n  $ budgetguard ledger clock")
    .action(async (options: ConnectionOptions) =>
      end(
        await ask(terminal, options, "read", async (client) => print(client, options, await client.clock())),
      ),
    );
  const accept = clock
    .command("accept")
    .description("adopt the wall clock as it stands; needs the admin token");
  addConnectionOptions(accept)
    .addHelpText("after", "\nExample:\n  $ budgetguard ledger clock accept")
    .action(async () => {
      const options = accept.optsWithGlobals<ConnectionOptions>();
      end(
        await ask(terminal, options, "write", async (client) =>
          print(client, options, await client.acceptClock()),
        ),
      );
    });
}

function clockText(state: ClockState, timeZone: string): string {
  const times = [
    `ledger time  ${moment(state.ledger_at, timeZone)}`,
    `wall clock   ${moment(state.wall_at, timeZone)}`,
  ];
  return [...times, state.in_doubt ? doubtText(state, timeZone) : untroubled(state)].join("\n");
}

function untroubled({ ledger_at, wall_at }: ClockState): string {
  const isBehind = Date.parse(wall_at) < Date.parse(ledger_at) - 1000;
  if (isBehind) return "the wall clock was set back: ledger time waits for it, no spent period opens again";
  return "in step";
}

/** What is doubted, and both ways out of it. */
export function doubtText(state: ClockState, timeZone: string): string {
  const wall = `the wall clock jumped ahead to ${moment(state.wall_at, timeZone)}`;
  if (state.accepted) return `${wall}; it is accepted, and adopted once no request runs`;
  const stood = elapsed(whole(state.doubted_for_us));
  const left = elapsed(whole(state.believed_in_us));
  return (
    `${wall} ${stood} ago and is not believed yet: set it right, or adopt it with ` +
    `budgetguard ledger clock accept (by itself in ${left}, if it stands)`
  );
}

/** To the second. */
function whole(microseconds: number | null): number {
  return Math.round((microseconds ?? 0) / 1_000_000) * 1_000_000;
}
