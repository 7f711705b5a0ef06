import { readFileSync } from "node:fs";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { formatNote } from "../../src/policy/parse.ts";
import { file, problems, read } from "./reading.ts";

/** On a machine where everything else runs too; what is not bounded takes minutes. */
const PATIENCE_MS = 45_000;

/** Reads `given` in bounded time; its first problem says `expected`. */
function check(t: ExecutionContext, given: string, expected: RegExp) {
  const begun = performance.now();
  const [first = "no problem"] = problems(given);
  const took = performance.now() - begun;
  t.regex(first, expected);
  t.true(took < PATIENCE_MS, `took ${took} ms`);
}

const lines = (count: number, line: (index: number) => string) =>
  Array.from({ length: count }, (_, i) => line(i)).join("\n");
const half = (text: string) => text.repeat(Math.floor(250_000 / text.length));

const HOSTILE: Readonly<Record<string, readonly [string, RegExp]>> = {
  "100 000 brackets": ["[".repeat(100_000), /^1:35: nests too deep: at most 32 levels/],
  "100 000 braces": ["{".repeat(100_000), /nests too deep/],
  "100 000 dashes": ["- ".repeat(100_000), /nests too deep/],
  "100 000 question marks": ["? ".repeat(100_000), /nests too deep/],
  "keys in keys by indentation": [lines(600, (i) => `${" ".repeat(i)}a:`), /nests too deep/],
  "keys in keys, a block of text in each": [
    lines(150, (i) => `${" ".repeat(i)}t: |\n${" ".repeat(i + 3)}x\n${" ".repeat(i)}a:`),
    /nests too deep/,
  ],
  "20 MB": ["a".repeat(20_000_000), /^1:1: is too large: a policy has at most 256 KiB/],
  "20 MB of brackets": ["[".repeat(20_000_000), /is too large/],
  "256 KiB in many bytes a letter": ["é".repeat(135_000), /is too large/],
  "very many keys": [lines(30_000, (i) => `k${i}:`), /has too many keys and values/],
  "very many commas": [`[${half(",")}`, /has too many keys and values/],
  "very many wrong escapes": [`"${half("\\x")}`, /has too many keys and values/],
  "nothing but line ends": [half("\n"), /^1:1: is empty/],
  "nothing but comments": [half("#\n"), /is empty/],
  "as many unknown keys as may be": [
    lines(13_000, (i) => `k${i}: 1`),
    /^1:1 k0: is no key that is known here/,
  ],
  "as many bad budgets as may be": [
    `version: 1\nbudgets:\n${lines(9_000, () => "- {}")}`,
    /budgets\[0\]\.id: is missing/,
  ],
  "as many unknown names as may be": [
    `version: 1\nmodels: {m: {upstreams: [${lines(9_000, (i) => ` nearly-the-same-${i},`)}\n ]}}`,
    /no upstream is named/,
  ],
  "a long chain of fallbacks": [
    `version: 1\nmodels:\n${lines(1_500, (i) => ` m${i}: {upstreams: [a], fallback_model: m${i + 1}}`)}`,
    /no upstream is named "a"/,
  ],
  "an alias bomb": [
    `a: &a [x,x,x,x,x,x,x,x,x]\n${[..."bcdefghi"].map((c, i) => `${c}: &${c} [${`*${"abcdefgh"[i]},`.repeat(9)}]`).join("\n")}`,
    /is no key|grows too large through its aliases/,
  ],
  "an alias within itself": ["version: &a [*a]", /version/],
};

for (const [name, [given, expected]] of Object.entries(HOSTILE)) {
  test(`${name}: one clear problem, in time`, (t) => check(t, given, expected));
}

test("an alias bomb is told as one", (t) => {
  const bomb = `budgets: &a [x,x,x,x,x,x,x,x,x]\n${[..."bcdefghi"].map((c, i) => `${c}: &${c} [${`*${"abcdefgh"[i]},`.repeat(9)}]`).join("\n")}`;
  t.is(problems(bomb).filter((each) => each.includes("grows too large through its aliases")).length, 1);
});

const STRANGE: readonly (readonly [string, RegExp])[] = [
  ["", /^1:1: is empty: begin with the line version: 1/],
  ["# nothing\n", /is empty/],
  ["~", /is empty|is no mapping/],
  ["- a\n", /^1:1: is no mapping/],
  ["hello", /is no mapping/],
  ["version: 1\n---\nversion: 1\n", /has a second document/],
  ["%YAML 1.1\n---\nversion: 1\n", /has a %YAML directive/],
  ["version: 1\n\tmode: local\n", /^2:1: /],
  ["version: 1\nmode: local\n  identity: token\n", /^2:7: .*or the next line is indented too far/],
  ["version: 1\nhosts:\n  - a\n    b: c\n", /^3:5: .*or the next line is indented too far/],
  ["version: 1\nmode: \0\n", /^2:7: has a control character/],
  ["version: 1\nhosts: [a\n", /a bracket before it is not closed/],
  ["version: 1\nhosts: *a\n", /refers to an anchor/],
  ["version: !!int 1\n", /^1:16 version: has a tag/],
  ["version: 1\n__proto__: {mode: local}\n", /^2:1: this key is not allowed/],
  ["version: 1\n<<: {mode: local}\n", /^2:1: this key is not allowed/],
  ["version: 1\n? [a]\n: b\n", /this key is not allowed/],
  ["version: 1\nmode: local\nmode: local\n", /^3:1 mode: is written twice/],
  ["version: 1\nlimits: {connections: .inf}\n", /connections: "\.inf" is not a whole number/],
  ["version: 1\nlimits: {connections: 1_000}\n", /connections: "1_000" is not a whole number/],
  ["version: 1\nlimits: {connections: 010}\n", /connections: "010" is not a whole number/],
  ["version: 1\nupstreams: {constructor: 1, tostring: 1}\n", /upstreams\.constructor: must be a mapping/],
  ["version: 1\nupstreams: {__proto__: {provider: local}}\n", /this key is not allowed/],
  [`version: 1\nmode: ${"x".repeat(10_000)}\n`, /^2:7 mode: "x{40}…" is not one of/],
];

for (const [given, expected] of STRANGE) {
  test(`refused: ${JSON.stringify(given.slice(0, 60))}`, (t) => check(t, given, expected));
}

test("a line that is indented too far is one problem", (t) => {
  t.is(problems("version: 1\nmode: local\n  identity: token\n").length, 1);
});

test("a merge or __proto__ key leaves nothing behind", (t) => {
  problems("version: 1\n__proto__: {polluted: true}\n");
  t.is(Reflect.get({}, "polluted"), undefined);
});

test("aliases within bounds are allowed", (t) => {
  const text = file(
    "budgets:\n  - &day {id: a, limit_usd: 1}\ndefaults: {warn_at: &w 0.5, critical_at: *w}\n",
  );
  t.deepEqual(problems(text), []);
});

test("an empty section is an absent one", (t) => {
  t.deepEqual(problems(file("budgets:\nclients:\nhosts:\n")), []);
});

test("a problem never shows more than 40 characters of a value", (t) => {
  const long = "s".repeat(200);
  for (const key of ["mode", "timezone", "hosts", long]) {
    for (const each of problems(file(`${key}: ${long}\n`))) t.false(each.includes("s".repeat(65)), each);
  }
});

const EXAMPLE = readFileSync(new URL("../../config/policy.example.yaml", import.meta.url), "utf8");
const RUNS = Number(process.env.BUDGETGUARD_FUZZ_RUNS ?? 150);

/** Cuts, doubles, or overwrites a part of the example: what editors and half-written files do. */
const mutated = fc
  .array(
    fc.record({
      at: fc.nat(EXAMPLE.length),
      length: fc.nat(60),
      put: fc.oneof(
        fc.string({ maxLength: 20 }),
        fc.constantFrom(
          "\n",
          "  ",
          ": ",
          "- ",
          "[",
          "}",
          "'",
          '"',
          "&a ",
          "*a",
          "!t ",
          "|\n",
          "\t",
          "#",
          "~",
          "1e9",
          "? ",
        ),
      ),
    }),
    { minLength: 1, maxLength: 8 },
  )
  .map((edits) =>
    edits.reduce((text, { at, length, put }) => text.slice(0, at) + put + text.slice(at + length), EXAMPLE),
  );

function neverThrows(t: ExecutionContext, given: fc.Arbitrary<string>) {
  const property = fc.property(given, (text) => {
    const begun = performance.now();
    const parsed = read(text);
    const took = performance.now() - begun;
    const notes = parsed.kind === "policy" ? parsed.policy.notes : parsed.problems;
    const places = notes.every(
      (each) => each.line >= 1 && each.column >= 1 && !formatNote("p", each).includes("\n"),
    );
    return took < PATIENCE_MS && places;
  });
  fc.assert(property, { numRuns: RUNS, verbose: 1 });
  t.pass();
}

test("no mutation of the example throws, hangs, or is told without a place", (t) => neverThrows(t, mutated));

test("no text at all throws, hangs, or is told without a place", (t) => {
  neverThrows(t, fc.oneof(fc.string({ maxLength: 400, unit: "binary" }), fc.string({ maxLength: 400 })));
});

test("no plain value in place of another throws", (t) => {
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 4 }),
    fc.double(),
    fc.constantFrom(".inf", "1e999", "null", "[[]]"),
  );
  const keys = [...EXAMPLE.matchAll(/^(\w+):/gm)].map((match) => match[1] ?? "");
  const pairs = fc.array(fc.tuple(fc.constantFrom(...keys), value), { minLength: 1, maxLength: 6 });
  neverThrows(
    t,
    pairs.map((all) =>
      all
        .map(([key, each]) => `${key}: ${typeof each === "string" ? each : JSON.stringify(each)}`)
        .join("\n"),
    ),
  );
});
