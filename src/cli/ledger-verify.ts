// `budgetguard ledger verify`: recounts the ledger of a data folder, whether its gateway runs or not. It
// changes nothing.

import type { Command } from "commander";
import { openLedgerToRead } from "../ledger/sqlite-open.ts";
import type { Checked, Finding, Verified } from "../ledger/verified.ts";
import { verify } from "../ledger/verify.ts";
import { formatUsd, type NanoUsd } from "../metering/money.ts";
import { complain } from "./connection.ts";
import { counted } from "./counted.ts";
import { dataFolder } from "./default-paths.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { elapsed } from "./moment.ts";
import { fitted, printable } from "./printable.ts";
import { table } from "./table.ts";
import { paint, type Screen, say, sayJson, type Terminal } from "./terminal.ts";

export function defineVerify(command: Command, terminal: Terminal, end: (code: ExitCode) => void): void {
  command
    .command("verify")
    .description("recount balances, holds, sums and machines from the entries; changes nothing")
    .option("--data <folder>", "the daemon's data folder (BUDGETGUARD_DATA)")
    .option("--json", "print every check and finding as JSON")
    .addHelpText(
      "after",
      "\nExits with 1 when something does not add up; each finding says what, where, by how much, and what " +
        "to do.\n" +
        "Example:\n  $ budgetguard ledger verify",
    )
    .action((options: VerifyOptions) => end(verifyLedger(terminal, options)));
}

interface VerifyOptions {
  readonly data?: string;
  readonly json?: true;
}

function verifyLedger(terminal: Terminal, { data, json }: VerifyOptions): ExitCode {
  const { out } = terminal;
  let verified: Verified;
  try {
    const database = openLedgerToRead(dataFolder(terminal, data));
    try {
      verified = verify(database);
    } finally {
      database.close();
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const detail = `the ledger cannot be read: ${error.message}`;
    return complain(terminal, json ? { json } : {}, EXIT.problem, { code: "ledger_unreadable", detail });
  }
  if (json) sayJson(out, wireOf(verified));
  else say(out, fitted(textOf(verified, out), out.width));
  return verified.ok ? EXIT.ok : EXIT.problem;
}

/** A ledger that is wrong everywhere is told of by its first lines. */
const MOST_FINDINGS = 20;

function textOf({ ok, checks }: Verified, out: Screen): string {
  const rows = checks.map(({ name, of, counted: number, findings }) => [
    name,
    counted(number, of.replace(/s$/, "")),
    findings.length === 0
      ? { text: "adds up", style: "green" as const }
      : { text: counted(findings.length, "finding"), style: "red" as const },
  ]);
  const columns = [{ title: "check" }, { title: "looked at", align: "right" }, { title: "result" }] as const;
  const findings = checks.flatMap((check) => check.findings);
  const more = findings.length - MOST_FINDINGS;
  return [
    table(out, columns, rows),
    ...checks.flatMap(notesOf),
    ...findings.slice(0, MOST_FINDINGS).map((finding) => `\n${findingText(finding, out)}`),
    ...(more > 0 ? [`\nand ${more} more: --json tells all`] : []),
    "",
    ok ? paint(out, "green", "the ledger adds up") : paint(out, "red", "the ledger does not add up"),
  ].join("\n");
}

function notesOf({ name, notes }: Checked): readonly string[] {
  return notes.map((note) => `${name}: not compared: ${printable(note)}`);
}

function findingText({ check, what, where, unit, expected, found, cure }: Finding, out: Screen): string {
  const figures = `expected ${amount(unit, expected)}, found ${amount(unit, found)}`;
  const by = `by ${amount(unit, found - expected)}`;
  return `${paint(out, "red", check)}: ${what}, ${by}\n  ${printable(where)}\n  ${figures}\n  ${cure}`;
}

function amount(unit: string, value: bigint): string {
  if (unit === "usd") return `${formatUsd(value as NanoUsd)} USD`;
  if (unit !== "seconds") return `${value} ${unit}`;
  return value < 0n ? `-${elapsed(Number(-value))}` : elapsed(Number(value));
}

/** Whole numbers of nano-dollars, microseconds or pieces, as decimal strings: no float holds them all. */
function wireOf({ ok, checks }: Verified) {
  return {
    ok,
    checks: checks.map(({ findings, ...check }) => ({
      ...check,
      findings: findings.map(({ expected, found, unit, ...rest }) => ({
        ...rest,
        unit: RAW[unit] ?? unit,
        expected: String(expected),
        found: String(found),
        difference: String(found - expected),
      })),
    })),
  };
}

const RAW: Readonly<Record<string, string>> = { usd: "nano_usd", seconds: "microseconds" };
