import test, { type ExecutionContext } from "ava";
import { parseDocument } from "yaml";
import { type Addition, mergeText } from "../../src/policy/schema/merge-text.ts";

const b: Addition = {
  id: "b",
  lines: ["b:", "  url: x   # why"],
  inline: "b: { url: x }",
  value: { url: "x" },
};

function check(t: ExecutionContext, given: string, expected: string) {
  const merged = mergeText(given, [["upstreams", [b]]]);
  if (merged.kind === "refused") return t.fail(merged.why);
  t.is(merged.text, expected);
  t.deepEqual(merged.added, ["upstreams.b"]);
  t.deepEqual(parseDocument(merged.text).toJS().upstreams.b, b.value);
}

test("an entry goes behind the last one, in its column, and every comment stays where it is", (t) => {
  check(
    t,
    "# head\nupstreams:   # all\n    a: {url: y} # mine\n\n    # c: {}\n\n# models\nmodels: {}\n",
    "# head\nupstreams:   # all\n    a: {url: y} # mine\n    b:\n      url: x   # why\n\n    # c: {}\n\n# models\nmodels: {}\n",
  );
  check(t, "upstreams:\n  a:\n    url: y", "upstreams:\n  a:\n    url: y\n  b:\n    url: x   # why");
  check(
    t,
    "upstreams:\n  a:\n    url: |\n      y\n\nm: 1\n",
    "upstreams:\n  a:\n    url: |\n      y\n  b:\n    url: x   # why\n\nm: 1\n",
  );
  check(t, "upstreams:\n  a:\nm: 1\n", "upstreams:\n  a:\n  b:\n    url: x   # why\nm: 1\n");
});

test("line ends stay what they are", (t) => {
  check(
    t,
    "upstreams:\r\n  a: {url: y}\r\nm: 1\r\n",
    "upstreams:\r\n  a: {url: y}\r\n  b:\r\n    url: x   # why\r\nm: 1\r\n",
  );
});

test("a section in braces is added to in braces", (t) => {
  check(t, "upstreams: { a: { url: y } }   # all\n", "upstreams: { a: { url: y }, b: { url: x } }   # all\n");
  check(t, "upstreams: {}\n", "upstreams: { b: { url: x } }\n");
  check(t, "upstreams: {\n  a: { url: y },\n}\n", "upstreams: {\n  a: { url: y }, b: { url: x },\n}\n");
});

test("an absent section comes at the end, an empty one is filled", (t) => {
  check(t, "version: 1 # v\n", "version: 1 # v\n\nupstreams:\n  b:\n    url: x   # why\n");
  check(t, "upstreams: # none\nm: 1\n", "upstreams: # none\n  b:\n    url: x   # why\nm: 1\n");
});

test("what says the same is unchanged, what says something else is kept, and neither is written", (t) => {
  for (const [held, name] of [
    ['{ "url": "x" }', "unchanged"],
    ["{ url: y }", "kept"],
    ["{ url: x, z: 1 }", "kept"],
    ["{}", "kept"],
    ["x", "kept"],
    ["", "kept"],
  ] as const) {
    const text = `# mine\nupstreams:\n  b: ${held} # own\n`;
    const merged = mergeText(text, [["upstreams", [b]]]);
    t.like(merged, { kind: "merged", text, added: [], [name]: ["upstreams.b"] }, held);
  }
});

test("several sections are merged at once, each in its place", (t) => {
  const merged = mergeText("models:\n  m: {}\n", [
    ["upstreams", [b, { ...b, id: "c", lines: ["c: {}"] }]],
    ["models", [b]],
  ]);
  const text =
    "models:\n  m: {}\n  b:\n    url: x   # why\n\nupstreams:\n  b:\n    url: x   # why\n  c: {}\n";
  t.like(merged, { text, added: ["upstreams.b", "upstreams.c", "models.b"] });
});

test("what cannot be added to without guessing is refused", (t) => {
  for (const text of [
    "{ upstreams: {} }",
    "upstreams: &a { x: 1 }",
    "upstreams: 7",
    "upstreams: [a]",
    "upstreams: null",
    "",
    "- a",
  ]) {
    t.is(mergeText(text, [["upstreams", [b]]]).kind, "refused", text);
  }
});
