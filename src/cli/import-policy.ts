// The policy that an import is for: its ports and its studio key, and entries added to it, all or none. The
// file is judged by the very parser that the gateway uses, before and after.

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { DEFAULT_STUDIO_KEY } from "../cloud/techops/fernet.ts";
import { type Fragment, type FragmentSource, SECTIONS } from "../cloud/techops/fragment.ts";
import { entryLines, flow } from "../cloud/techops/fragment-text.ts";
import { Sealed } from "../cloud/techops/sealed.ts";
import { makeParse, type PolicyRead, readText } from "../daemon/policy-text.ts";
import { replaceFile } from "../daemon/replace-file.ts";
import { readSecret, type Secret } from "../daemon/secrets.ts";
import { formatNote } from "../policy/parse.ts";
import type { Note, Policy } from "../policy/policy.ts";
import { mergeText } from "../policy/schema/merge-text.ts";
import { parseRates } from "../policy/schema/rates.ts";
import { adminAddress, choosePolicy, listenAddress, shippedPath } from "./default-paths.ts";
import { UsageError } from "./exit-code.ts";
import { hostPort } from "./host-port.ts";
import type { ImportOptions } from "./import-techops.ts";
import type { Terminal } from "./terminal.ts";

export type OwnPolicy =
  | {
      readonly kind: "opened";
      readonly path: string;
      readonly text: string;
      readonly surroundings: Pick<FragmentSource, "rates" | "ports" | "taken">;
      /** Undefined: it is somewhere else, and cannot be read here. */
      readonly studioKey: Sealed<string> | undefined;
      readonly notes: readonly string[];
      parse(text: string): PolicyRead;
    }
  | { readonly kind: "refused"; readonly why: string };
export type Opened = Extract<OwnPolicy, { kind: "opened" }>;

/** Only --write needs a sound one: to be printed, entries need none at all. */
export function openPolicy(terminal: Terminal, options: ImportOptions): OwnPolicy {
  const { path } = choosePolicy(terminal, options.policy);
  const isShipped = path === shippedPath("policy.yaml");
  if (isShipped && options.write && options.policy === undefined) {
    throw new UsageError("there is no policy.yaml in this folder to add to: name the policy with --policy");
  }
  const addresses = [
    hostPort(listenAddress(terminal, undefined)),
    hostPort(adminAddress(terminal, undefined)),
  ];
  const listen = addresses.flatMap(({ hosts, port }) => hosts.map((host) => ({ host, port })));
  const parse = makeParse({ path, listen });
  const found = readText(path);
  const read = found.kind === "problems" ? found : parse(found.text);
  const notes: string[] = [];
  if (read.kind === "problems" && (options.write || options.policy !== undefined)) {
    return { kind: "refused", why: linesOf(path, read.problems).join("\n") };
  }
  if (read.kind === "problems") {
    notes.push(`${path} has problems, so its ports and its studio key are not looked at: budgetguard check`);
  }
  const policy = read.kind === "policy" && !isShipped ? read.read.policy : undefined;
  const key = studioKeyOf(terminal, options, policy);
  if (key.kind === "missing" && options.studioKeyFile !== undefined) {
    return { kind: "refused", why: `--studio-key-file: ${key.why}` };
  }
  if (key.kind === "missing") notes.push(`the credentials are not looked at: ${key.why}`);
  return {
    ...{ kind: "opened", path, text: found.kind === "text" ? found.text : "", parse, notes },
    surroundings: {
      rates: parseRates(readFileSync(shippedPath("rates.yaml"), "utf8")),
      ports: portsOf(policy),
      taken: listen.map(({ port }) => port),
    },
    studioKey: key.kind === "secret" ? new Sealed(key.value) : undefined,
  };
}

function studioKeyOf(terminal: Terminal, options: ImportOptions, policy: Policy | undefined): Secret {
  if (options.studioKeyFile !== undefined) {
    return readSecret({ kind: "file", path: resolve(terminal.cwd, options.studioKeyFile) });
  }
  const ref = policy?.techops?.studioKey;
  return ref === undefined ? { kind: "secret", value: DEFAULT_STUDIO_KEY } : readSecret(ref);
}

function portsOf(policy: Policy | undefined): ReadonlyMap<string, number> {
  const models = [...(policy?.models.values() ?? [])];
  return new Map(models.flatMap(({ id, port }) => (port === undefined ? [] : [[id, port] as const])));
}

export type Written =
  | {
      readonly kind: "written";
      readonly path: string;
      readonly added: readonly string[];
      readonly unchanged: readonly string[];
      readonly kept: readonly { readonly name: string; readonly instead: string }[];
    }
  /** Nothing was written. */
  | { readonly kind: "refused"; readonly lines: readonly string[] };

export async function mergeInto(own: Opened, fragment: Fragment): Promise<Written> {
  const { path, text, parse } = own;
  const usable = SECTIONS.map((section) => {
    const entries = fragment[section].filter(({ lacks }) => lacks.length === 0);
    const additions = entries.map((entry) => ({
      ...{ id: entry.id, value: entry.value, lines: entryLines(entry) },
      inline: `${flow(entry.id)}: ${flow(entry.value)}`,
    }));
    return [section, additions] as const;
  });
  const merged = mergeText(text, usable);
  if (merged.kind === "refused") {
    return { kind: "refused", lines: [`${path}: ${merged.why}: print the entries and copy them in`] };
  }
  const read = parse(merged.text);
  if (read.kind === "problems") {
    const head = `${path} is unchanged: with these entries it would have problems; print them and choose`;
    return { kind: "refused", lines: [head, ...linesOf(path, read.problems)] };
  }
  if (merged.added.length > 0) {
    const now = readText(path);
    // An editor may have saved it meanwhile: what it wrote is not ours to undo.
    if (now.kind === "problems" || now.text !== text)
      return { kind: "refused", lines: [`${path} was changed meanwhile: look at it, and try again`] };
    const why = await replaceFile(path, merged.text);
    if (why !== undefined) return { kind: "refused", lines: [why] };
  }
  const all = new Map(
    usable.flatMap(([section, additions]) => additions.map((each) => [`${section}.${each.id}`, each.inline])),
  );
  const kept = merged.kept.map((name) => ({ name, instead: all.get(name) ?? "" }));
  return { kind: "written", path, added: merged.added, unchanged: merged.unchanged, kept };
}

function linesOf(path: string, problems: readonly Note[]): readonly string[] {
  return problems.map((problem) => formatNote(path, problem));
}
