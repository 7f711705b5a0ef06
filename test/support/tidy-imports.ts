// Who may import whom, as one table: imports point down or left in the picture of the house, never up.

import { posix } from "node:path";
import { lineAt, quotedAt, type Source } from "./tidy-source.ts";

export interface Import {
  readonly line: number;
  /** "node:fs", "zod", "../metering/money.ts" */
  readonly specifier: string;
}

/** Static and dynamic imports, re-exports, and files named by `new URL` (how workers are started). */
export function importsOf(source: Source): Import[] {
  const found: Import[] = [];
  for (const match of source.code.matchAll(/(?:\bfrom|\bimport(?:\s*\()?|\bnew\s+URL\s*\()\s*["'`]/g)) {
    const specifier = quotedAt(source, match.index + match[0].length - 1);
    const names = match[0].startsWith("new") ? /^\.\.?\/.*\.[cm]?[jt]s$/.test(specifier) : true;
    if (names) found.push({ line: lineAt(source.code, match.index), specifier });
  }
  return found;
}

interface Permission {
  /** The files that it is given to, by their path below src/. The first that fits decides. */
  readonly to: RegExp;
  /** Folders besides the file's own. */
  readonly folders: readonly string[];
  /** Whether node: and packages may be imported, or which packages alone. */
  readonly packages: "all" | readonly string[];
}

const EVERY_ROOM = ["metering", "policy", "proxy", "ledger", "cloud", "admin", "sdk"] as const;
const CORE = ["metering", "policy"] as const;
/** These must be usable without the rest of the house. */
const LEAVES: readonly string[] = [...CORE, "sdk"];

const PERMISSIONS: readonly Permission[] = [
  { to: /^metering\//, folders: [], packages: [] },
  { to: /^policy\/(?:parse\.ts|schema\/)/, folders: ["metering"], packages: ["yaml", "zod"] },
  { to: /^policy\//, folders: ["metering"], packages: [] },
  { to: /^sdk\//, folders: [], packages: ["zod"] },
  { to: /^(?:proxy|ledger|cloud)\//, folders: CORE, packages: "all" },
  { to: /^admin\//, folders: [...CORE, "sdk"], packages: "all" },
  { to: /^daemon\//, folders: EVERY_ROOM, packages: "all" },
  { to: /^demo\//, folders: [...CORE, "sdk", "daemon"], packages: "all" },
  { to: /^cli\/serve\b/, folders: ["sdk", "daemon"], packages: "all" },
  { to: /^cli\/demo\b/, folders: ["sdk", "daemon", "demo"], packages: "all" },
  { to: /^cli\/import\b/, folders: ["sdk", ...CORE, "cloud", "daemon"], packages: "all" },
  { to: /^cli\/(?:check|ledger|doctor)\b/, folders: ["sdk", ...CORE, "ledger"], packages: "all" },
  { to: /^cli\//, folders: ["sdk"], packages: "all" },
];

export interface Trespass {
  readonly line: number;
  readonly rule: "import-direction" | "pure-imports" | "import-extension";
  readonly cure: string;
}

export function trespassesOf(source: Source): Trespass[] {
  const inside = source.path.replace(/^src\//, "");
  const permission = PERMISSIONS.find((each) => each.to.test(inside));
  if (permission === undefined) {
    return [
      { line: 1, rule: "import-direction", cure: "move it into a folder of the house (ARCHITECTURE.md)" },
    ];
  }
  const unnamed = [...source.code.matchAll(/\bimport\s*\(\s*[^"\s]/g)].map(({ index }): Trespass => {
    const cure = "name the file in quotes: what is imported must be seen here";
    return { line: lineAt(source.code, index), rule: "import-direction", cure };
  });
  const named = importsOf(source).flatMap(({ line, specifier }) => {
    const found = specifier.startsWith(".")
      ? relativeTrespass(inside, specifier, permission)
      : packageTrespass(specifier, permission);
    return found === undefined ? [] : [{ line, ...found }];
  });
  return [...named, ...unnamed];
}

type Found = Omit<Trespass, "line">;

function relativeTrespass(inside: string, specifier: string, permission: Permission): Found | undefined {
  if (!/\.(?:ts|json)$/.test(specifier)) {
    return { rule: "import-extension", cure: `write the file's real name: ${specifier} ends in .ts` };
  }
  const own = inside.split("/")[0] ?? "";
  const target = posix.normalize(posix.join(posix.dirname(inside), specifier)).split("/")[0] ?? "";
  if (target === own || permission.folders.includes(target)) return undefined;
  const allowed = ["itself", ...permission.folders].join(", ");
  const cure = LEAVES.includes(own)
    ? "take the value as an argument, or say it in this folder's own words"
    : "declare the small interface that is needed, and let daemon/ wire it";
  return {
    rule: "import-direction",
    cure: `${own}/ may not import ${target}/ (allowed here: ${allowed}); ${cure}`,
  };
}

function packageTrespass(specifier: string, permission: Permission): Found | undefined {
  if (permission.packages === "all") return undefined;
  const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
  if (permission.packages.includes(name)) return undefined;
  return {
    rule: "pure-imports",
    cure: `${specifier} does not belong here; let the shell do it and pass the value in`,
  };
}
