// Reads the command line, runs one command and says what the process ends with. It knows commander, and
// no command.

import { Command, CommanderError } from "commander";
import { COMMANDS, LATER } from "./commands.ts";
import { EXIT, type ExitCode, UsageError } from "./exit-code.ts";
import { say, type Terminal } from "./terminal.ts";

/** `args` without the program's own name. Throws only for bugs. */
export async function run(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const spelled = withHyphens(asHelpOption(args));
  let code: ExitCode = EXIT.ok;
  const program = await programFor(spelled, terminal, (ended) => {
    code = ended;
  });
  const [first = "", second = ""] = spelled;
  const later = [first, `${first} ${second}`].find((name) => LATER.has(name));
  if (later !== undefined) {
    const within = later === first ? program : program.commands.find((each) => each.name() === first);
    const now = within?.commands.map((each) => each.name()).join(", ");
    const has = within === program ? "this one has" : `of ${first}, this one has`;
    say(terminal.err, `${later} comes with a later version of budgetguard; ${has}: ${now}`);
    return EXIT.usage;
  }
  try {
    await program.parseAsync(spelled, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (!(error instanceof UsageError)) throw error;
    say(terminal.err, `error: ${error.message}`);
    return EXIT.usage;
  }
}

/** `help token create` is `token create --help`: commander's own takes one name, in one spelling. */
function asHelpOption([first, ...rest]: readonly string[]): readonly string[] {
  if (first === undefined) return [];
  return first === "help" && rest.length > 0 ? [...rest, "--help"] : [first, ...rest];
}

/** get_usage is get-usage: the origin systems wrote it so. */
function withHyphens([name, ...rest]: readonly string[]): readonly string[] {
  return name === undefined ? [] : [name.startsWith("-") ? name : name.replaceAll("_", "-"), ...rest];
}

async function programFor(
  args: readonly string[],
  terminal: Terminal,
  end: (code: ExitCode) => void,
): Promise<Command> {
  const { out, err } = terminal;
  const program = new Command("budgetguard")
    .description("A NIM on localhost that routes each request, meters it, and holds every budget.")
    .exitOverride()
    .showHelpAfterError("Add --help to see what is allowed.")
    .configureOutput({
      writeOut: (text) => out.stream.write(text),
      writeErr: (text) => err.stream.write(text),
      getOutHelpWidth: () => helpWidth(out.width),
      getErrHelpWidth: () => helpWidth(err.width),
      getOutHasColors: () => out.hasColour,
      getErrHasColors: () => err.hasColour,
    });
  program.addHelpText(
    "after",
    "\nExit codes: 0 done, 1 refused or a problem, 2 wrong usage, 3 no daemon answers.\n" +
      "Example:\n  $ budgetguard serve",
  );
  const [asked] = args;
  for (const { name, alias, summary, load } of COMMANDS) {
    const command = program.command(name).description(summary);
    if (alias !== undefined) command.alias(alias);
    if (asked !== undefined && [name, alias].includes(asked)) (await load())(command, terminal, end);
  }
  if (asked === "--version" || asked === "-V") {
    const { packageVersion } = await import("./version.ts");
    program.version(packageVersion(), "-V, --version", "print the version");
  } else {
    program.option("-V, --version", "print the version");
  }
  return program;
}

/** Nobody reads lines of a thousand columns, on a wide screen or in a file. */
function helpWidth(width: number): number {
  return Math.min(width, 110);
}
