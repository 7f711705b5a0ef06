// `budgetguard check`: every problem of a policy file, one a line, as editors and CI understand it, and what
// it would do to the balances of a ledger. Needs no daemon and changes nothing.

import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Rate } from "../metering/rate-card.ts";
import { formatNote, type ParsedPolicy, type PolicyContext, parsePolicy } from "../policy/parse.ts";
import type { Note, Policy } from "../policy/policy.ts";
import { readPolicyFile } from "../policy/policy-bytes.ts";
import { LIVE_PRICES_FILE, parseLiveRates } from "../policy/schema/live-rates.ts";
import { parseRates } from "../policy/schema/rates.ts";
import { type Preview, previewIn, previewJson, previewLines } from "./check-balances.ts";
import { counted } from "./counted.ts";
import {
  adminAddress,
  choosePolicy,
  DEFAULT_ADMIN,
  DEFAULT_LISTEN,
  dataFolder,
  listenAddress,
  shippedPath,
} from "./default-paths.ts";
import type { DefineCommand } from "./define-command.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { hostPort } from "./host-port.ts";
import { printable } from "./printable.ts";
import { paint, say, sayJson, type Terminal } from "./terminal.ts";

export const defineCheck: DefineCommand = (command, terminal, end) => {
  command
    .argument("[file]", "the policy; without it, the one that serve would use")
    .option("--listen <host:port>", `where clients will come in (BUDGETGUARD_LISTEN; ${DEFAULT_LISTEN})`)
    .option("--admin <host:port>", `where the API will be (BUDGETGUARD_ADMIN; ${DEFAULT_ADMIN})`)
    .option("--data <folder>", "the ledger whose balances it is compared with (BUDGETGUARD_DATA)")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExits with 1 if there is a problem. The ledger is only read; its gateway may run.\n" +
        "Example:\n  $ budgetguard check policy.yaml",
    )
    .action((file: string | undefined, options: CheckOptions) => end(check(terminal, file, options)));
};

interface CheckOptions {
  readonly listen?: string;
  readonly admin?: string;
  readonly data?: string;
  readonly json?: true;
}

function check(terminal: Terminal, named: string | undefined, options: CheckOptions): ExitCode {
  const { path } = choosePolicy(terminal, named);
  const parsed = readPolicy(
    path,
    listenOf(terminal, options),
    fetchedPrices(dataFolder(terminal, options.data)),
  );
  const file = named ?? path;
  if (parsed.kind === "problems") return problems(terminal, options, file, parsed.problems);
  const preview = previewIn(dataFolder(terminal, options.data), parsed.policy);
  if (options.json) sayJson(terminal.out, jsonOf(file, parsed.policy, preview));
  else for (const line of linesOf(terminal, file, parsed.policy, preview)) say(terminal.out, line);
  return EXIT.ok;
}

function problems({ out }: Terminal, { json }: CheckOptions, file: string, found: readonly Note[]): ExitCode {
  if (json) sayJson(out, { file, valid: false, problems: found, notes: [] });
  else for (const one of found) say(out, noteLine(file, one));
  return EXIT.problem;
}

function readPolicy(path: string, listen: PolicyContext["listen"], live: readonly Rate[]): ParsedPolicy {
  const found = readPolicyFile({ stat: () => statSync(path), read: () => readFileSync(path) });
  if (found.kind === "problems") return found;
  const { text } = found;
  return parsePolicy(text, {
    file: path,
    digest: createHash("sha256").update(text).digest("hex"),
    rates: parseRates(readFileSync(shippedPath("rates.yaml"), "utf8")),
    live,
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    listen,
  });
}

/** By the daemon whose data these are, which resolves a policy against them; without one there are none. */
function fetchedPrices(folder: string): readonly Rate[] {
  try {
    const text = readFileSync(join(folder, LIVE_PRICES_FILE), "utf8");
    return [...(parseLiveRates(text)?.believed.values() ?? [])];
  } catch {
    // Nobody has fetched any here, or for another user.
    return [];
  }
}

/** An upstream that is the gateway itself is a problem, so its own addresses must be known. */
function listenOf(terminal: Terminal, { listen, admin }: CheckOptions): PolicyContext["listen"] {
  const all = [hostPort(listenAddress(terminal, listen)), hostPort(adminAddress(terminal, admin))];
  return all.flatMap(({ hosts, port }) => hosts.map((host) => ({ host, port })));
}

function linesOf({ out }: Terminal, file: string, policy: Policy, preview: Preview): readonly string[] {
  return [
    `${printable(file)}: ${paint(out, "green", "ok")}, ${summary(policy)}`,
    ...policy.notes.map((note) => noteLine(file, note)),
    ...previewLines(preview).map(printable),
  ];
}

function noteLine(file: string, note: Note): string {
  return printable(formatNote(file, note));
}

function summary({ models, upstreams, budgets, mode }: Policy): string {
  const parts = [
    counted(models.size, "model"),
    counted(upstreams.size, "upstream"),
    counted(budgets.length, "budget"),
  ];
  return `${parts.join(", ")}, mode ${mode}`;
}

function jsonOf(file: string, policy: Policy, preview: Preview): object {
  const { models, upstreams, budgets, mode, notes } = policy;
  const counts = { models: models.size, upstreams: upstreams.size, budgets: budgets.length };
  return { file, valid: true, problems: [], notes, ...counts, mode, ...previewJson(preview) };
}
