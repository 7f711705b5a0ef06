// What adding a budget to a policy file, and taking one out, does to its text: that, and nothing else.

import test from "ava";
import { parseDocument } from "yaml";
import { addBudgetText, removeBudgetText } from "../../src/policy/schema/budget-list.ts";
import { randomOf } from "../support/busy-ledger.ts";

const NEW = "{ id: new, limit_usd: 5 }";
const added: readonly [string, string, string | RegExp][] = [
  [
    "a list in lines gets a line",
    "budgets:\n  - { id: day } # ours\n",
    `budgets:\n  - { id: day } # ours\n  - ${NEW}\n`,
  ],
  [
    "one whose last budget has lines of its own, before what follows",
    "budgets:\n- id: day\n  when:\n    user:\n      - ann # she\nmodels: {}\n",
    `budgets:\n- id: day\n  when:\n    user:\n      - ann # she\n- ${NEW}\nmodels: {}\n`,
  ],
  [
    "one that ends in a block of text",
    "budgets:\n  - id: day\n    description: |\n      two\n      lines\nmodels: {}\n",
    `budgets:\n  - id: day\n    description: |\n      two\n      lines\n  - ${NEW}\nmodels: {}\n`,
  ],
  ["a list in brackets", "budgets: [{ id: day }] # ours\n", `budgets: [{ id: day }, ${NEW}] # ours\n`],
  ["an empty list", "budgets: [ ]\nmodels: {}\n", `budgets: [${NEW} ]\nmodels: {}\n`],
  [
    "a key without a list",
    "budgets: # none yet\nmodels: {}\n",
    `budgets: # none yet\n  - ${NEW}\nmodels: {}\n`,
  ],
  ["a list that is null", "budgets: ~\n", `budgets: [${NEW}]\n`],
  ["a file without the key", "version: 1", `version: 1\nbudgets:\n  - ${NEW}\n`],
  [
    "line ends of Windows",
    "budgets:\r\n  - { id: day }\r\n",
    `budgets:\r\n  - { id: day }\r\n  - ${NEW}\r\n`,
  ],
  ["a file without a last line end", "budgets:\n  - { id: day }", `budgets:\n  - { id: day }\n  - ${NEW}`],
  [
    "a file that is one mapping in braces is left alone",
    "{ version: 1, budgets: [] }\n",
    /^the policy file is written/,
  ],
  [
    "a list that others refer to is left alone",
    "budgets: &all [{ id: day }]\n",
    /^the policy file is written/,
  ],
];
for (const [title, before, expected] of added) {
  test(`added: ${title}`, (t) => {
    const edited = addBudgetText(before, "new", { limit_usd: "5" });
    if (typeof expected === "string") t.deepEqual(edited, { kind: "edited", text: expected });
    else t.regex(edited.kind === "refused" ? edited.why : edited.text, expected);
  });
}

test("values that YAML would take for something else are quoted, and scopes may be lists", (t) => {
  const edited = addBudgetText("budgets: []\n", "new", {
    limit_usd: "5.00",
    when: { user: ["ann", "007", "no"], project: 'a: "b", # c' },
    description: "12",
    enabled: "false",
  });
  t.deepEqual(edited, {
    kind: "edited",
    text:
      'budgets: [{ id: new, limit_usd: 5.00, when: { user: [ann, "007", "no"], ' +
      'project: "a: \\"b\\", # c" }, description: "12", enabled: false }]\n',
  });
});

const removed: readonly [string, string, string | RegExp][] = [
  [
    "a line of a list",
    "budgets:\n  # both\n  - { id: old } # gone\n  - { id: day }\n",
    "budgets:\n  # both\n  - { id: day }\n",
  ],
  [
    "the last of a list",
    "budgets:\n  - { id: day } # ours\n  - id: old\n    limit_usd: 5 # - five\nmodels: {}\n",
    "budgets:\n  - { id: day } # ours\nmodels: {}\n",
  ],
  [
    "one whose sign stands alone",
    "budgets:\n  - # an-old\n    id: old\n  - id: day\n",
    "budgets:\n  - id: day\n",
  ],
  ["the only one", "budgets: # ours\n  - { id: old }\nmodels: {}\n", "budgets: [] # ours\nmodels: {}\n"],
  ["the first in brackets", "budgets: [{ id: old }, { id: day }]\n", "budgets: [{ id: day }]\n"],
  ["the last in brackets", "budgets: [{ id: day }, { id: old }]\n", "budgets: [{ id: day }]\n"],
  ["the only one in brackets", "budgets: [{ id: old }]\n", "budgets: []\n"],
  [
    "at the end of a file without a last line end",
    "budgets:\n  - { id: day }\n  - { id: old }",
    "budgets:\n  - { id: day }\n",
  ],
  [
    "one that ends in a block of text",
    "budgets:\n  - id: old\n    description: >\n      two\n      lines\n  - id: day\n",
    "budgets:\n  - id: day\n",
  ],
  ["none where it does not stand", "budgets: [{ id: day }]\n", /^budget old does not stand in the list/],
  [
    "none that others refer to",
    "budgets:\n  - &one { id: old, limit_usd: &five 5 }\n  - { id: day, limit_usd: *five }\n",
    /^the policy file is written/,
  ],
];
for (const [title, before, expected] of removed) {
  test(`taken out: ${title}`, (t) => {
    const edited = removeBudgetText(before, "old");
    if (typeof expected === "string") t.deepEqual(edited, { kind: "edited", text: expected });
    else t.regex(edited.kind === "refused" ? edited.why : `EDITED ${edited.text}`, expected);
  });
}

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(`a list that was added to and taken from says what is left, and every comment stays, seed ${seed}`, (t) => {
    const random = randomOf(seed);
    const isFlow = seed % 2 === 0;
    let text = isFlow
      ? "a: 1\nbudgets: [] # one\nb: 2 # two\n"
      : "a: 1\nbudgets: # one\n\n# three\nb: 2 # two\n";
    let ids: string[] = [];
    for (let step = 0; step < 60; step += 1) {
      const old = ids[Math.floor(random() * ids.length)];
      const isRemoval = old !== undefined && random() < 0.45;
      const id = `b-${step}`;
      const edited = isRemoval ? removeBudgetText(text, old) : addBudgetText(text, id, { limit_usd: "1" });
      if (edited.kind === "refused") return t.fail(`${edited.why}\n${text}`);
      ids = isRemoval ? ids.filter((one) => one !== old) : [...ids, id];
      text = edited.text;
      const { a, b, budgets } = parseDocument(text).toJS();
      t.deepEqual([a, b, budgets.map((one: { id: string }) => one.id)], [1, 2, ids], text);
    }
    for (const comment of ["# one", "# two", ...(isFlow ? [] : ["# three"])])
      t.true(text.includes(comment), text);
  });
}
