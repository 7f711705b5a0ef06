// How a command is added to the program: each in a file of its own, none of which knows the others.

import type { Command } from "commander";
import type { ExitCode } from "./exit-code.ts";
import type { Terminal } from "./terminal.ts";

/** Gives a command its arguments, options, help and action; `end` takes what the process ends with. */
export type DefineCommand = (command: Command, terminal: Terminal, end: (code: ExitCode) => void) => void;
