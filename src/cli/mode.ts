// `budgetguard mode`: shows how upstreams are chosen; `mode set` switches it until the file's mode changes.

import { Argument } from "commander";
import type { BudgetGuardClient, ModeState } from "../sdk/client.ts";
import { MODES } from "../sdk/vocabulary.ts";
import { addConnectionOptions, ask, type ConnectionOptions, show } from "./connection.ts";
import type { DefineCommand } from "./define-command.ts";
import { EXIT } from "./exit-code.ts";
import { modeText } from "./status.ts";

export const defineMode: DefineCommand = (command, terminal, end) => {
  const print = async (client: BudgetGuardClient, options: ConnectionOptions, state: ModeState) => {
    // Only a switch has a time to show, and only people need it in the policy's time zone.
    const isTimed = state.switched_at !== null && !options.json;
    const timeZone = isTimed ? (await client.status()).policy.timezone : terminal.timeZone;
    show(terminal, options, state, (found) => modeText(found, timeZone));
    return EXIT.ok;
  };
  addConnectionOptions(command)
    .addHelpText("after", "\nExample:\n  $ budgetguard mode")
    .action(async (options: ConnectionOptions) =>
      end(
        await ask(terminal, options, "read", async (client) => print(client, options, await client.mode())),
      ),
    );
  const set = command.command("set").description("switch the mode; needs the admin token or an operator's");
  addConnectionOptions(set)
    .addArgument(new Argument("<mode>", "how upstreams are chosen").choices(MODES))
    .addHelpText("after", "\nExample:\n  $ budgetguard mode set lowest_price")
    .action(async (mode: ModeState["mode"]) => {
      const options = set.optsWithGlobals<ConnectionOptions>();
      end(
        await ask(terminal, options, "write", async (client) =>
          print(client, options, await client.setMode(mode)),
        ),
      );
    });
};
