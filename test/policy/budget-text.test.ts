// What an edit of a budget does to the text of a policy file: the value that was meant, and nothing else.

import test, { type ExecutionContext } from "ava";
import { editBudgetText } from "../../src/policy/schema/budget-text.ts";

function check(
  t: ExecutionContext,
  before: string,
  to: Readonly<Record<string, string>>,
  expected: string | RegExp,
) {
  const edited = editBudgetText(before, "day", to);
  if (typeof expected === "string") t.deepEqual(edited, { kind: "edited", text: expected });
  else t.regex(edited.kind === "refused" ? edited.why : edited.text, expected);
}

const cases: readonly [string, string, Record<string, string>, string | RegExp][] = [
  [
    "a value in braces is replaced, and its neighbours are left alone",
    "budgets:\n  - { id: day, limit_usd:  20.00 , period: daily } # ours\n",
    { limit_usd: "25.5" },
    "budgets:\n  - { id: day, limit_usd:  25.5 , period: daily } # ours\n",
  ],
  [
    "a new key in braces comes last",
    "budgets: [{ id: day, limit_usd: 20 }, { id: month, limit_usd: 9 }]\n",
    { on_limit: "queue" },
    "budgets: [{ id: day, limit_usd: 20, on_limit: queue }, { id: month, limit_usd: 9 }]\n",
  ],
  [
    "a new key in a block stands on its own line, behind the comment of the last one",
    "budgets:\n  - limit_usd: 20\n    id: day # ours\n  - id: month\n",
    { on_limit: "warn" },
    "budgets:\n  - limit_usd: 20\n    id: day # ours\n    on_limit: warn\n  - id: month\n",
  ],
  [
    "line ends of Windows stay",
    "budgets:\r\n  - id: day\r\n    limit_usd: 20\r\n",
    { limit_usd: "30", on_limit: "warn" },
    "budgets:\r\n  - id: day\r\n    limit_usd: 30\r\n    on_limit: warn\r\n",
  ],
  [
    "text that YAML would take for something else is quoted",
    "budgets:\n  - { id: day, description: old }\n",
    { description: 'it: is "new", # really' },
    'budgets:\n  - { id: day, description: "it: is \\"new\\", # really" }\n',
  ],
  [
    "several keys at once",
    "budgets:\n  - { id: day, limit_usd: 20, on_limit: block }\n",
    { on_limit: "queue", limit_usd: "1", max_wait: "2h" },
    "budgets:\n  - { id: day, limit_usd: 1, on_limit: queue, max_wait: 2h }\n",
  ],
  [
    "what decides what is counted cannot be set",
    "budgets:\n  - { id: day, limit_usd: 20 }\n",
    { period: "weekly" },
    /^period cannot be set; these can: limit_usd,/,
  ],
  [
    "a value that others refer to is left to its author",
    "budgets:\n  - { id: day, limit_usd: &most 20 }\n  - { id: month, limit_usd: *most }\n",
    { limit_usd: "25" },
    /^budget day is written in a way that cannot be edited here/,
  ],
  [
    "a budget that is not in the list is not found",
    "budgets:\n  - { id: month, limit_usd: 20 }\n",
    { limit_usd: "25" },
    /^budget day does not stand in the list/,
  ],
];

for (const [title, before, to, expected] of cases) test(title, (t) => check(t, before, to, expected));
