// `budgetguard mode`: shows how upstreams are chosen; `mode set` switches it until the file's mode changes.

import { Argument } from "commander";
import type { ModeState } from "../sdk/client.ts";
import { MODES } from "../sdk/vocabulary.ts";
import type { DefineCommand } from "./commands.ts";
import { addConnectionOptions, ask, type ConnectionOptions, show } from "./connection.ts";
import { EXIT } from "./exit-code.ts";
import { modeText } from "./status.ts";

export const defineMode: DefineCommand = (command, terminal, end) => {
  const print = (options: ConnectionOptions, state: ModeState) => {
    show(terminal, options, state, (found) => modeText(found, terminal.timeZone));
    return EXIT.ok;
  };
  addConnectionOptions(command)
    .addHelpText("after", "\nExample:\n  $ budgetguard mode")
    .action(async (options: ConnectionOptions) =>
      end(await ask(terminal, options, "read", async (client) => print(options, await client.mode()))),
    );
  const set = command.command("set").description("switch the mode; needs the admin token or an operator's");
  addConnectionOptions(set)
    .addArgument(new Argument("<mode>", "how upstreams are chosen").choices(MODES))
    .addHelpText("after", "\nExample:\n  $ budgetguard mode set lowest_price")
    .action(async (mode: ModeState["mode"]) => {
      const options = set.optsWithGlobals<ConnectionOptions>();
      end(
        await ask(terminal, options, "write", async (client) => print(options, await client.setMode(mode))),
      );
    });
};
