// Runs a program to its end and says how it went. A failure is an answer here, not an error.

import { type ExecFileException, execFile } from "node:child_process";

export interface Ran {
  /** -1 where it did not start or was killed. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Where {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

const LONGEST_MS = 300_000;
const MOST_BYTES = 16 * 1024 * 1024;

export function run(program: string, args: readonly string[], where: Where = {}): Promise<Ran> {
  const { promise, resolve } = Promise.withResolvers<Ran>();
  const options = { ...where, timeout: LONGEST_MS, maxBuffer: MOST_BYTES };
  execFile(program, args, options, (error: ExecFileException | null, stdout, stderr) => {
    if (error === null) resolve({ code: 0, stdout, stderr });
    else if (typeof error.code === "number") resolve({ code: error.code, stdout, stderr });
    else resolve({ code: -1, stdout, stderr: `${stderr}${error.message}` });
  });
  return promise;
}
