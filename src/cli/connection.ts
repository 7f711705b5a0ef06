// The way from a command to the daemon: address, token, and what each failure means for the exit code.

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { BudgetGuardClient } from "../sdk/client.ts";
import {
  adminAddress,
  adminTokenPath,
  DEFAULT_ADMIN,
  dataFolder,
  given,
  type SaidAddress,
} from "./default-paths.ts";
import { EXIT, type ExitCode, UsageError } from "./exit-code.ts";
import { fitted, printable, printableDeep } from "./printable.ts";
import { say, sayJson, type Terminal } from "./terminal.ts";

export interface ConnectionOptions {
  readonly admin?: string;
  readonly data?: string;
  readonly token?: string;
  readonly json?: true;
}

export function addConnectionOptions(command: Command): Command {
  return command
    .option("--admin <host:port>", `the daemon's admin address (BUDGETGUARD_ADMIN; ${DEFAULT_ADMIN})`)
    .option("--data <folder>", "the daemon's data folder, for its admin token (BUDGETGUARD_DATA)")
    .option("--token <token>", "a client token; BUDGETGUARD_TOKEN is better, others see a command line")
    .option("--json", "print the API's answer as JSON");
}

/** Questions go without the admin token: on this machine they need none. */
export type Purpose = "read" | "write";

/** Runs `use` and turns whatever the daemon may answer instead into a sentence and an exit code. */
export async function ask(
  terminal: Terminal,
  options: ConnectionOptions,
  purpose: Purpose,
  use: (client: BudgetGuardClient) => Promise<ExitCode>,
): Promise<ExitCode> {
  const sdk = await import("../sdk/client.ts");
  const url = baseUrl(adminAddress(terminal, options.admin));
  const token = tokenFor(terminal, options, purpose, url);
  try {
    const connected = (shown: string | undefined) =>
      use(new sdk.BudgetGuardClient({ baseUrl: url.origin, token: shown }));
    try {
      return await connected(token);
    } catch (error) {
      // Behind a proxy the daemon takes nobody for this machine: then a question needs the token as well.
      const isAsked = error instanceof sdk.ApiError && error.body?.code === "token_required";
      const own = isAsked && token === undefined ? tokenFor(terminal, options, "write", url) : undefined;
      if (own === undefined) throw error;
      return await connected(own);
    }
  } catch (error) {
    if (error instanceof sdk.DaemonUnreachable) {
      return complain(terminal, options, EXIT.unreachable, { code: error.code, detail: error.message });
    }
    if (error instanceof sdk.UnexpectedReply || (error instanceof sdk.ApiError && !error.body)) {
      const what = `what answers at ${url.origin} is not the admin API`;
      const detail = `${what} (usually port 7071), or not that of this version`;
      return complain(terminal, options, EXIT.problem, { code: "not_the_api", detail });
    }
    if (!(error instanceof sdk.ApiError)) throw error;
    const found = { status: error.status, code: error.body?.code, detail: error.message };
    const where = "budgetguard reads it from the folder of --data, or takes BUDGETGUARD_TOKEN";
    const detail = error.status === 401 ? `${error.message}; ${where}` : error.message;
    return complain(terminal, options, EXIT.problem, { ...found, detail });
  }
}

interface Complaint {
  readonly status?: number;
  readonly code?: string | undefined;
  readonly detail: string;
}

export function complain(
  { out, err }: Terminal,
  { json }: ConnectionOptions,
  exit: ExitCode,
  complaint: Complaint,
): ExitCode {
  if (json) sayJson(out, { error: complaint });
  say(err, printable(complaint.detail));
  return exit;
}

/** Prints an answer: as it came for programs, or as text, made printable, for people. */
export function show<T>(
  { out }: Terminal,
  { json }: ConnectionOptions,
  answer: T,
  textOf: (answer: T) => string,
): void {
  if (json) sayJson(out, answer);
  else say(out, fitted(textOf(printableDeep(answer)), out.width));
}

function baseUrl({ address: admin, by }: SaidAddress): URL {
  const isUrl = admin.includes("://");
  const url = URL.parse(isUrl ? admin : `http://${admin}`);
  const hasPort = isUrl || /:\d{1,5}$/.test(admin);
  const isAddress = url !== null && hasPort && /^https?:$/.test(url.protocol) && url.pathname === "/";
  if (isAddress && url.username === "" && url.search === "" && url.hash === "") return url;
  throw new UsageError(`${by} ${admin} is no address: write HOST:PORT, such as ${DEFAULT_ADMIN}`);
}

function tokenFor(
  terminal: Terminal,
  options: ConnectionOptions,
  purpose: Purpose,
  url: URL,
): string | undefined {
  const named = given(options.token, terminal.environment.BUDGETGUARD_TOKEN);
  if (named !== undefined) {
    if (/^[\x21-\x7e]+$/.test(named)) return named;
    throw new UsageError("the token holds spaces or other signs that no token has: copy it again");
  }
  if (purpose === "read" || !isLoopback(url.hostname)) return undefined;
  try {
    return readFileSync(adminTokenPath(dataFolder(terminal, options.data)), "utf8").trim() || undefined;
  } catch {
    // Then the daemon says that a token is needed, if there is a daemon at all; both are better answers.
    return undefined;
  }
}

/** This machine's admin token is for this machine's daemon: no other host is shown it. */
function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
