// `budgetguard token create`: a client's token, on standard output alone and this once, so that a script can
// keep it; what is to be said about it goes to standard error.

import { Option } from "commander";
import { ROLES, type Role } from "../sdk/vocabulary.ts";
import { addConnectionOptions, ask, type ConnectionOptions, show } from "./connection.ts";
import type { DefineCommand } from "./define-command.ts";
import { EXIT, type ExitCode, UsageError } from "./exit-code.ts";
import { say, type Terminal } from "./terminal.ts";

export const defineToken: DefineCommand = (command, terminal, end) => {
  command.addHelpText("after", "\nExample:\n  $ budgetguard token create alice");
  const create = command.command("create").description("make a client's token; needs the admin token");
  addConnectionOptions(create)
    .argument("<name>", "the client, which is the user that budgets see")
    .addOption(new Option("--role <role>", "what it may do").choices(ROLES).default("use"))
    .addHelpText("after", "\nExample:\n  $ budgetguard token create alice --role use")
    .action(async (name: string, options: TokenOptions) => end(await createToken(terminal, name, options)));
};

interface TokenOptions extends ConnectionOptions {
  readonly role: Role;
}

async function createToken(terminal: Terminal, name: string, options: TokenOptions): Promise<ExitCode> {
  const { TokenRequest } = await import("../sdk/tokens.ts");
  if (!TokenRequest.safeParse({ id: name, role: options.role }).success) {
    throw new UsageError(
      `${name} is no name for a client: write small letters, digits, dots, hyphens or underscores, ` +
        "beginning with a letter or digit, at most 40",
    );
  }
  return ask(terminal, options, "write", async (client) => {
    const made = await client.createToken({ id: name, role: options.role });
    show(terminal, options, made, ({ token }) => token);
    if (!options.json) say(terminal.err, `the token of ${made.id}, role ${made.role}; it is not shown again`);
    return EXIT.ok;
  });
}
