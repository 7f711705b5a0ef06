// `budgetguard ledger`: its commands, and of them `export`: every entry, one a line, straight from the data
// folder; the daemon may run or not. Whoever reads sets the pace, and may stop at any line.

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Option } from "commander";
import { EXPORT_FORMATS, type ExportFormat, exportLines } from "../ledger/export.ts";
import { openLedgerToRead } from "../ledger/sqlite-open.ts";
import { complain } from "./connection.ts";
import { dataFolder } from "./default-paths.ts";
import type { DefineCommand } from "./define-command.ts";
import { EXIT, type ExitCode, UsageError } from "./exit-code.ts";
import { defineClock } from "./ledger-clock.ts";
import { defineVerify } from "./ledger-verify.ts";
import type { Terminal } from "./terminal.ts";

export const defineLedger: DefineCommand = (command, terminal, end) => {
  command
    .addHelpText("after", "\nExample:\n  $ budgetguard ledger export")
    .command("export")
    .description("write every entry to standard output, oldest first")
    .option("--data <folder>", "the daemon's data folder (BUDGETGUARD_DATA)")
    .addOption(new Option("--format <format>", "JSON Lines (the default) or CSV").choices(EXPORT_FORMATS))
    .option("--json", "the same as --format jsonl")
    .addHelpText("after", "\nExample:\n  $ budgetguard ledger export --format csv")
    .action(async (options: ExportOptions) => end(await exportLedger(terminal, options)));
  defineVerify(command, terminal, end);
  defineClock(command, terminal, end);
};

interface ExportOptions {
  readonly data?: string;
  readonly format?: ExportFormat;
  readonly json?: true;
}

/** Characters that are written at once. */
const CHUNK = 65_536;

async function exportLedger(terminal: Terminal, { data, format, json }: ExportOptions): Promise<ExitCode> {
  if (json && format === "csv") throw new UsageError("--json and --format csv exclude each other");
  try {
    const database = openLedgerToRead(dataFolder(terminal, data));
    const chunks = chunksOf(exportLines(database, format ?? "jsonl"));
    await pipeline(Readable.from(chunks), terminal.out.stream, { end: false });
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    // The reader has what it wanted (`… | head`).
    if ("code" in error && (error.code === "EPIPE" || error.code === "ERR_STREAM_PREMATURE_CLOSE")) {
      return EXIT.ok;
    }
    const detail = `the ledger cannot be exported: ${error.message}`;
    return complain(terminal, json ? { json } : {}, EXIT.problem, { code: "ledger_unreadable", detail });
  }
}

function* chunksOf(lines: Iterable<string>): Iterable<string> {
  let chunk = "";
  for (const line of lines) {
    chunk += `${line}\n`;
    if (chunk.length < CHUNK) continue;
    yield chunk;
    chunk = "";
  }
  if (chunk !== "") yield chunk;
}
