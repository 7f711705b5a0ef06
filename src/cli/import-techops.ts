// `budgetguard import techops`: what TechOps' tools have set up, as entries of a policy: printed to look at,
// or added to the policy. What is odd or has to be filled in goes to standard error.

import { basename, resolve } from "node:path";
import { type ConfigFile, OWNERS, readConfig } from "../cloud/techops/config-file.ts";
import { type CredentialReport, judgeCredentials } from "../cloud/techops/credential-status.ts";
import { type Entry, type Fragment, makeFragment, SECTIONS } from "../cloud/techops/fragment.ts";
import { fragmentText } from "../cloud/techops/fragment-text.ts";
import { readJsonFile } from "../cloud/techops/json-file.ts";
import { existsFile } from "../cloud/techops/key-file.ts";
import { complain } from "./connection.ts";
import { counted } from "./counted.ts";
import type { DefineCommand } from "./define-command.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { mergeInto, openPolicy, type Written } from "./import-policy.ts";
import { printable, printableDeep } from "./printable.ts";
import { say, sayJson, type Terminal } from "./terminal.ts";

export const defineImport: DefineCommand = (command, terminal, end) => {
  const example = "$ budgetguard import techops budgetguard_backend_config.json";
  command
    .addHelpText("after", `\nExample:\n  ${example}`)
    .command("techops")
    .description("print TechOps' endpoints as entries of a policy, or add them to one")
    .argument("<files...>", "what TechOps' tools wrote: backend or artists configuration, endpoints.json")
    .option("--write", "add the entries to the policy; what is there stays as it is")
    .option("--policy <file>", "the policy (BUDGETGUARD_POLICY; policy.yaml in this folder)")
    .option("--studio-key-file <file>", "holds the key that the credentials were installed with")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExits with 1 if a file cannot be used, or an entry of the policy says something else and stays.\n" +
        `Example:\n  ${example} --write`,
    )
    .action(async (files: string[], options: ImportOptions) =>
      end(await importTechops(terminal, files, options)),
    );
};

export interface ImportOptions {
  readonly write?: true;
  readonly policy?: string;
  readonly studioKeyFile?: string;
  readonly json?: true;
}

async function importTechops(
  terminal: Terminal,
  names: readonly string[],
  options: ImportOptions,
): Promise<ExitCode> {
  const problem = (code: string, detail: string) =>
    complain(terminal, options.json ? { json: true } : {}, EXIT.problem, { code, detail });
  const files: ConfigFile[] = [];
  for (const name of names) {
    const read = readJsonFile(resolve(terminal.cwd, name));
    if (read.kind === "unusable") return problem("file_unusable", `${name} ${read.why}`);
    files.push(readConfig(read.value));
  }
  const own = openPolicy(terminal, options);
  if (own.kind === "refused") return problem("policy_unusable", own.why);
  const fragment = makeFragment({
    endpoints: files.flatMap(({ endpoints }) => endpoints),
    deployments: files.flatMap(({ deployments }) => deployments),
    ...own.surroundings,
  });
  if (fragment.upstreams.length === 0) {
    const cure = "deploy with TechOps and export again (export.py), or name another file";
    return problem("no_endpoints", `${names.join(", ")}: there is no endpoint that can be used: ${cure}`);
  }
  const credentials = await credentialsIn(files, own.studioKey);
  const notes = [...files.flatMap((file) => file.notes), ...(credentials?.notes ?? []), ...own.notes];
  const found: Found = { names, fragment, credentials, notes: [...new Set([...notes, ...fragment.notes])] };
  const written = options.write ? await mergeInto(own, fragment) : undefined;
  tell(terminal, found, written, options);
  return written === undefined || (written.kind === "written" && written.kept.length === 0)
    ? EXIT.ok
    : EXIT.problem;
}

interface Found {
  readonly names: readonly string[];
  readonly fragment: Fragment;
  readonly credentials: CredentialReport | undefined;
  readonly notes: readonly string[];
}

/** Of the first file that has any; undefined where none has, or the key cannot be had. */
async function credentialsIn(
  files: readonly ConfigFile[],
  studioKey: Parameters<typeof judgeCredentials>[1]["studioKey"] | undefined,
): Promise<CredentialReport | undefined> {
  const file = files.find((each) => each.credentials.kind !== "none");
  if (file === undefined || studioKey === undefined) return undefined;
  return judgeCredentials(file, { studioKey, exists: existsFile });
}

function tell(
  { out, err }: Terminal,
  found: Found,
  written: Written | undefined,
  { json }: ImportOptions,
): void {
  const { fragment, credentials, notes } = found;
  if (json) sayJson(out, jsonOf(found, written));
  else if (written?.kind === "written") say(out, printable(writtenText(written)));
  else if (written === undefined)
    out.stream.write(`${printableLines(headOf(found))}\n${fragmentText(fragment)}`);
  if (credentials !== undefined) {
    const all = OWNERS.map((owner) => `${owner} ${credentials.status[owner].status}`);
    say(err, `credentials: ${all.join(", ")}`);
  }
  for (const note of notes) say(err, printable(`note: ${note}`));
  if (written?.kind === "written") {
    for (const { name, instead } of written.kept) {
      const why = "is in the policy already, and says something else: it stays";
      say(err, printable(`${name} ${why}; TechOps' files say: ${instead}`));
    }
  }
  if (written?.kind === "refused") for (const line of written.lines) say(err, printable(line));
}

function printableLines(lines: readonly string[]): string {
  return lines.map((line) => printable(line)).join("\n");
}

function headOf({ names, fragment }: Found): readonly string[] {
  const files = names.map((name) => basename(name)).join(", ");
  return [
    `# From TechOps: ${counted(fragment.upstreams.length, "endpoint")} of ${files}.`,
    "# A part of a policy: copy what you need, or add all of it with --write.",
  ];
}

function writtenText({ path, added, unchanged, kept }: Extract<Written, { kind: "written" }>): string {
  const parts = SECTIONS.map((section) => {
    const count = added.filter((name) => name.startsWith(`${section}.`)).length;
    return counted(count, section.slice(0, -1));
  });
  const rest = `${unchanged.length} were there already, ${kept.length} say something else and stay`;
  return `${path}: added ${parts.join(", ")}; ${rest}`;
}

function jsonOf({ names, fragment, credentials, notes }: Found, written: Written | undefined): unknown {
  const usable = (entries: readonly Entry[]) =>
    Object.fromEntries(entries.filter(({ lacks }) => lacks.length === 0).map(({ id, value }) => [id, value]));
  const sections = SECTIONS.map((section) => [section, usable(fragment[section])] as const);
  const incomplete = SECTIONS.flatMap((section) =>
    fragment[section]
      .filter(({ lacks }) => lacks.length > 0)
      .map(({ id, value, lacks }) => ({ section, id, value, lacks })),
  );
  return printableDeep({
    files: names,
    fragment: Object.fromEntries(sections),
    incomplete,
    credentials: credentials?.status ?? null,
    notes,
    ...(written && { written }),
  });
}
