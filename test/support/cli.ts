// Runs the command line: in this process with screens of its own, or as the real command in a process of its
// own, where exit codes and signals are what is tested.

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";
import { run as runProgram } from "../../src/cli/program.ts";
import type { Screen, Terminal } from "../../src/cli/terminal.ts";
import { type Ran, run } from "./program.ts";

export const COMMAND = fileURLToPath(new URL("../../bin/budgetguard.js", import.meta.url));

export interface TestScreen extends Screen {
  text(): string;
}

export function screen(width = Number.POSITIVE_INFINITY, hasColour = false): TestScreen {
  let text = "";
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  return { stream, width, hasColour, text: () => text };
}

export interface CliWorld {
  readonly environment?: Record<string, string>;
  readonly cwd?: string;
  readonly width?: number;
  readonly hasColour?: boolean;
}

export function terminal(world: CliWorld = {}): Terminal & { out: TestScreen; err: TestScreen } {
  const { environment = {}, cwd = tmpdir(), width, hasColour } = world;
  const err = screen(width, hasColour);
  return { out: screen(width, hasColour), err, environment, cwd, timeZone: "Europe/Berlin" };
}

/** In this process. */
export async function cli(args: readonly string[], world: CliWorld = {}): Promise<Ran> {
  const at = terminal(world);
  const code = await runProgram(args, at);
  return { code, stdout: at.out.text(), stderr: at.err.text() };
}

export async function temporaryFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "budgetguard-cli-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Without the tester's own settings, whatever they are. */
function plain(environment: Record<string, string>): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^BUDGETGUARD_|_COLOR$/.test(name));
  return { ...Object.fromEntries(kept), ...environment };
}

/** The real command, to its end. */
export function spawned(args: readonly string[], environment: Record<string, string> = {}): Promise<Ran> {
  return run(process.execPath, [COMMAND, ...args], { env: plain(environment) });
}

export interface Started {
  readonly child: ChildProcessWithoutNullStreams;
  /** Resolves with the first match in what it writes, on either stream; rejects if it ends before. */
  said(pattern: RegExp): Promise<RegExpExecArray>;
  /** Everything it has written. */
  text(): string;
  /** Resolves with the exit code; null where a signal ended it. */
  readonly ended: Promise<number | null>;
}

/** The real command, left running; killed with the test at the latest. */
export function startCli(
  t: ExecutionContext,
  args: readonly string[],
  environment: Record<string, string> = {},
): Started {
  const child = spawn(process.execPath, [COMMAND, ...args], { env: plain(environment) });
  t.teardown(() => child.kill("SIGKILL"));
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (piece) => {
      text += piece;
      child.emit("said");
    });
  }
  const ended = once(child, "exit").then(([code]) => code as number | null);
  const said = async (pattern: RegExp) => {
    for (;;) {
      const match = pattern.exec(text);
      if (match) return match;
      const more = await Promise.race([once(child, "said"), ended.then(() => undefined)]);
      if (more === undefined && !pattern.test(text)) throw new Error(`it ended without ${pattern}: ${text}`);
    }
  };
  return { child, said, text: () => text, ended };
}
