// Holds src/ to the rules of the house, and plants one violation of each to see that the checker would tell.

import { readdir, readFile } from "node:fs/promises";
import { relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { ALL_RULES, formatFinding, inspect, inspectOther, type Rule } from "./support/tidy.ts";

const project = fileURLToPath(new URL("..", import.meta.url));
const HEAD = "// Says what a planted file is for.\n";

test("every file of src/ keeps the rules of the house", async (t) => {
  const files = await sources("src");
  t.true(files.length > 0, "src/ holds no TypeScript: the path is wrong");
  const findings = files.flatMap(({ path, text }) => inspect(path, text));
  t.is(findings.map(formatFinding).join("\n"), "");
});

test("no file of test/, bench/, tools/ and bin/ is longer than 400 lines", async (t) => {
  const files = (await Promise.all(["test", "bench", "tools", "bin"].map(sources))).flat();
  t.is(files.flatMap(({ path, text }) => inspectOther(path, text).map(formatFinding)).join("\n"), "");
  t.is(inspectOther("test/a.test.ts", "export {};\n".repeat(401)).length, 1);
  t.is(inspectOther("test/a.test.ts", "export {};\n".repeat(400)).length, 0);
});

const planted: readonly { rule: Rule; path: string; text: string; line: number }[] = [
  plant("import-direction", "src/proxy/relay.ts", 'import { open } from "../ledger/accounts.ts";\n'),
  plant("import-direction", "src/metering/money.ts", 'import type { Task } from "../policy/task.ts";\n'),
  plant("import-direction", "src/policy/rank.ts", 'export { cost } from "../proxy/cost.ts";\n'),
  plant("import-direction", "src/sdk/client.ts", 'import { cost } from "../metering/money.ts";\n'),
  plant("import-direction", "src/cli/mode.ts", 'const { open } = await import("../ledger/sqlite.ts");\n'),
  plant("import-direction", "src/cli/mode.ts", "const { open } = await import(variable);\n"),
  plant("import-direction", "src/daemon/main.ts", 'import { demo } from "../demo/run.ts";\n'),
  plant("import-direction", "src/admin/api.ts", 'start(new URL("../ledger/worker.ts", import.meta.url));\n'),
  plant("import-direction", "src/admin/compat/ngx.ts", 'import { open } from "../../proxy/relay.ts";\n'),
  plant("import-direction", "src/stray.ts", "export const stray = 1;\n", 1),
  plant("pure-imports", "src/metering/money.ts", 'import { hash } from "node:crypto";\n'),
  plant("pure-imports", "src/policy/decide.ts", 'import { z } from "zod";\n'),
  plant("pure-imports", "src/policy/parse.ts", 'import { LRUCache } from "lru-cache";\n'),
  plant("pure-imports", "src/sdk/client.ts", 'import { request } from "undici";\n'),
  plant("import-extension", "src/proxy/relay.ts", 'import { listen } from "./listener";\n'),
  plant("import-extension", "src/proxy/relay.ts", 'import { listen } from "./listener.js";\n'),
  ...[
    "Date.now()",
    "new Date()",
    "Temporal.Now.instant()",
    "performance.now()",
    "Math.random()",
    "crypto.randomUUID()",
    "process.env",
    "console.log(1)",
    'fetch("http://127.0.0.1")',
    "setTimeout(run, 10)",
    "Date()",
    "(({ now }) => now())(Date)",
    "new Date(...none)",
    "(({ random }) => random())(Math)",
    'Math["random"]()',
    "(({ Now }) => Now.instant())(Temporal)",
    "(({ env }) => env)(process)",
    "globalThis",
    "Intl.DateTimeFormat().resolvedOptions().timeZone",
    "at.toLocaleString()",
    "performance",
    "crypto",
    'new WebSocket("ws://127.0.0.1")',
    "AbortSignal.timeout(10)",
    'import("./rank.ts")',
    "import.meta.url",
  ].map((call) => plant("pure-globals", "src/policy/decide.ts", `export const now = ${call};\n`)),
  plant("file-name", "src/proxy/index.ts", "export const a = 1;\n", 1),
  plant("file-name", "src/proxy/types.ts", "export const a = 1;\n", 1),
  plant("file-name", "src/proxy/header-utils.ts", "export const a = 1;\n", 1),
  plant("file-name", "src/proxy/helpers/head.ts", "export const a = 1;\n", 1),
  plant("file-name", "src/ledger/account-manager.ts", "export const a = 1;\n", 1),
  plant("file-name", "src/ledger/budget-info.ts", "export const a = 1;\n", 1),
  plant("file-name", "src/ledger/spend-data.ts", "export const a = 1;\n", 1),
  plant("file-name", "src/cloud/price-service.ts", "export const a = 1;\n", 1),
  plant("file-name", "src/daemon/run-process.ts", "export const a = 1;\n", 1),
  plant("file-name", "src/proxy/shared/head.ts", "export const a = 1;\n", 1),
  plant("file-name", "src/proxy/constants.ts", "export const a = 1;\n", 1),
  plant("class-name", "src/ledger/book.ts", "export class BookManager {}\n"),
  plant("class-name", "src/ledger/book.ts", "class BookHelper extends Book {}\n"),
  plant("class-name", "src/ledger/book.ts", "export class BookUtils {}\n"),
  plant("file-length", "src/proxy/relay.ts", "export {};\n".repeat(300), 301),
  plant("function-length", "src/proxy/relay.ts", functionOf("function relay(to: string): Promise<void>", 61)),
  plant("function-length", "src/proxy/relay.ts", functionOf("const relay = async (to: string) =>", 61)),
  plant("function-length", "src/proxy/relay.ts", functionOf("function relay(): { a: string; b: 1 }", 61)),
  plant("function-length", "src/proxy/relay.ts", functionOf("function relay(): readonly (A | B)[]", 61)),
  plant("function-length", "src/proxy/relay.ts", functionOf("function relay(a: A): a is { b: 1 }", 61)),
  plant(
    "function-length",
    "src/proxy/relay.ts",
    functionOf("function relay(): Promise<{ a: { b: 1 } }>", 61),
  ),
  plant("function-length", "src/proxy/relay.ts", functionOf("function relay(): () => { a: 1 }", 61)),
  plant("function-length", "src/proxy/relay.ts", `const relay = () =>\n  [\n${"    1,\n".repeat(58)}  ];\n`),
  plant("function-length", "src/proxy/relay.ts", `class A {\n${functionOf("static", 61)}}\n`, 3),
  plant("line-length", "src/proxy/relay.ts", `export const name = "${"a".repeat(89)}";\n`),
  { rule: "opening-sentence", path: "src/proxy/relay.ts", text: "export const a = 1;\n", line: 1 },
  { rule: "opening-sentence", path: "src/proxy/relay.ts", text: "// relay\nexport const a = 1;\n", line: 1 },
  { rule: "opening-sentence", path: "src/proxy/relay.ts", text: "const a = 1;\n// Opens late.\n", line: 1 },
  plant("left-behind", "src/proxy/relay.ts", `// ${"TO" + "DO"}: later\n`),
  plant("silenced", "src/proxy/relay.ts", `// @ts-${"ignore"}\n`),
  plant("no-any", "src/proxy/relay.ts", "export const a = (b: any) => b;\n"),
  plant("no-any", "src/proxy/relay.ts", "export const a = [] as any[];\n"),
  plant("no-any", "src/proxy/relay.ts", "export const a = new Map<string, any>();\n"),
  plant("default-export", "src/proxy/relay.ts", "export default 1;\n"),
];

for (const { rule, path, text, line } of planted) {
  const what = text.replace(HEAD, "").trim().split("\n")[0];
  test(`${rule} is found, once and in its place: ${path}: ${what}`, (t) => {
    const found = inspect(path, text);
    t.deepEqual(
      found.map((finding) => [finding.rule, finding.line]),
      [[rule, line]],
    );
    t.regex(formatFinding(found[0] ?? { path, line, rule, cure: "" }), /^src\/\S+:\d+ [a-z-]+: .{10}/);
  });
}

test("every rule has a planted violation", (t) => {
  t.deepEqual([...new Set(planted.map(({ rule }) => rule))].sort(), [...ALL_RULES].sort());
});

const innocent: readonly { why: string; path: string; text: string }[] = [
  {
    why: "a comment may name Date.now",
    path: "src/policy/decide.ts",
    text: "// It never calls Date.now().\n",
  },
  { why: "a string may name fetch", path: "src/policy/decide.ts", text: 'export const a = "fetch(x)";\n' },
  { why: "a date may be made of a value", path: "src/metering/time.ts", text: "new Date(0);\n" },
  { why: "a sum is pure", path: "src/policy/decide.ts", text: "a = Math.max(Math.abs(b), c);\n" },
  {
    why: "a named zone is a value",
    path: "src/policy/a.ts",
    text: 'b = Intl.DateTimeFormat("en", { timeZone });\n',
  },
  { why: "a time may be typed", path: "src/metering/a.ts", text: "a = (b: Temporal.Instant) => b;\n" },
  { why: "a folder of data is a folder", path: "src/daemon/data-folder.ts", text: "export {};\n" },
  { why: "a plane of data is a plane", path: "src/daemon/data-plane.ts", text: "export {};\n" },
  { why: "a member may be called process", path: "src/policy/decide.ts", text: "a.process.b(c.fetch());\n" },
  { why: "the schema may use zod", path: "src/policy/schema/root.ts", text: 'import { z } from "zod";\n' },
  { why: "the parser may use yaml", path: "src/policy/parse.ts", text: 'import { parse } from "yaml";\n' },
  { why: "the core is everybody's", path: "src/proxy/a.ts", text: 'import "../metering/money.ts";\n' },
  { why: "admin speaks the wire types", path: "src/admin/api.ts", text: 'import "../sdk/wire.ts";\n' },
  { why: "the daemon knows all rooms", path: "src/daemon/main.ts", text: 'import "../proxy/relay.ts";\n' },
  { why: "serve starts the daemon", path: "src/cli/serve.ts", text: 'import "../daemon/main.ts";\n' },
  { why: "check reads policies", path: "src/cli/check.ts", text: 'import "../policy/parse.ts";\n' },
  { why: "a command keeps its name", path: "src/cli/install-service.ts", text: "export {};\n" },
  { why: "60 lines are not too many", path: "src/proxy/a.ts", text: functionOf("function a(): void", 60) },
  { why: "a class is no function", path: "src/proxy/a.ts", text: functionOf("class A extends B<C>", 80) },
  {
    why: "a table is no function",
    path: "src/proxy/a.ts",
    text: functionOf("const a = b.c(", 80, "({", "});"),
  },
  { why: "a loop alone is no function", path: "src/proxy/a.ts", text: functionOf("for (const a of b)", 80) },
  { why: "300 lines are not too many", path: "src/proxy/a.ts", text: "export {};\n".repeat(299) },
  { why: "110 columns are not too many", path: "src/proxy/a.ts", text: `// ${"a".repeat(107)}\n` },
  { why: "a method may be called any", path: "src/proxy/a.ts", text: "AbortSignal.any([a]); f(any(b));\n" },
  {
    why: "a brace in a pattern is no block",
    path: "src/proxy/a.ts",
    text: "a = /[{/]'/.test(b) ? `{$" + "{c}}` : 1;\n",
  },
];

for (const { why, path, text } of innocent) {
  test(`no finding: ${why}`, (t) => {
    t.deepEqual(inspect(path, HEAD + text).map(formatFinding), []);
  });
}

function plant(rule: Rule, path: string, text: string, line = 2) {
  return { rule, path, text: HEAD + text, line };
}

/** A block of so many lines, its head and its closing brace counted. */
function functionOf(head: string, lines: number, open = " {", close = "}"): string {
  return `${head}${open}\n${"  step();\n".repeat(lines - 2)}${close}\n`;
}

async function sources(folder: string): Promise<{ path: string; text: string }[]> {
  const options = { recursive: true, withFileTypes: true } as const;
  const entries = await readdir(new URL(`../${folder}`, import.meta.url), options);
  const files = entries.filter(
    (entry) => entry.isFile() && /\.[jt]s$/.test(entry.name) && !entry.parentPath.includes("node_modules"),
  );
  return Promise.all(
    files.map(async (entry) => {
      const full = `${entry.parentPath}${sep}${entry.name}`;
      return { path: relative(project, full).replaceAll(sep, "/"), text: await readFile(full, "utf8") };
    }),
  );
}
