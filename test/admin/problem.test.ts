// What a caller is told of a request that is not right: what is allowed, in words.

import test from "ava";
import fc from "fast-check";
import { Problem } from "../../src/sdk/problem.ts";
import { houseOf, openAdmin } from "./house-of-functions.ts";

type Sent = readonly [method: string, path: string, body?: unknown];

async function asker() {
  const { admin, baseUrl } = await openAdmin(houseOf());
  const ask = async ([method, path, body]: Sent) => {
    const headers = { authorization: "Bearer admin-token", "content-type": "application/json" };
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const reply = await fetch(baseUrl + path, { method, headers, ...sent });
    return { status: reply.status, text: await reply.text() };
  };
  return { admin, ask };
}

const ESTIMATE = ["POST", "/api/v1/estimate"] as const;
const LONG = "x".repeat(129);

const table: readonly (readonly [Sent, string])[] = [
  [["GET", "/api/v1/usage?user="], "query.user: must not be empty"],
  [["GET", `/api/v1/usage?user=${LONG}`], "query.user: may have at most 128 characters"],
  [["GET", "/api/v1/requests?limit=0"], "query.limit: must be at least 1"],
  [["GET", "/api/v1/requests?limit=101"], "query.limit: must be at most 100"],
  [["GET", "/api/v1/requests?limit=many"], "query.limit: must be a number"],
  [["GET", "/api/v1/requests?limit=1.5"], "query.limit: must be a whole number"],
  [
    ["GET", "/api/v1/spend?by=day"],
    "query.by: must be one of total, provider, model, user, workflow, upstream, tag",
  ],
  [["GET", "/api/v1/spend?form=daily"], "query: form: not known here; known are period, by"],
  [[...ESTIMATE, {}], "json.model: is missing: it must be a text"],
  [[...ESTIMATE, { model: 7 }], "json.model: must be a text"],
  [[...ESTIMATE, { model: "flux-dev", steps: "20" }], "json.steps: must be a number"],
  [[...ESTIMATE, { model: "flux-dev", steps: 1.5 }], "json.steps: must be a whole number"],
  [[...ESTIMATE, []], "json: must be a JSON object"],
  [["PUT", "/api/v1/mode", { mode: "cheap" }], "json.mode: must be one of manual, lowest_price, local"],
  [["PUT", "/api/v1/mode", { mode: "local", a: 1, b: 2 }], "json: a, b: not known here; known are mode"],
  [
    ["POST", "/api/v1/tokens", { id: "No Good" }],
    "json.id: must have 1 to 40 of a-z, 0-9 and . _ -, and begin with a letter or digit",
  ],
];

test("each mistake is told with what is allowed", async (t) => {
  const { admin, ask } = await asker();
  t.teardown(() => admin.close());
  for (const [sent, detail] of table) {
    const { status, text } = await ask(sent);
    t.is(status, 400, text);
    t.is(Problem.parse(JSON.parse(text)).detail, detail);
  }
});

test("no value brings out words that are for programmers", async (t) => {
  const { admin, ask } = await asker();
  t.teardown(() => admin.close());
  const keys = fc.constantFrom("model", "width", "images", "user", "max_tokens", "constructor", "x");
  const body = fc.oneof(fc.jsonValue(), fc.dictionary(keys, fc.jsonValue()));
  const property = fc.asyncProperty(body, async (value) => {
    const { text } = await ask([...ESTIMATE, value]);
    // What was sent is said back, and may be anything.
    const said = JSON.parse(text).errors?.map((error: { text: string }) =>
      error.text.replace(/^.*: not known/, ""),
    );
    return !/expected|received|Invalid|Too |Unrecognized/.test(JSON.stringify(said ?? []));
  });
  await t.notThrowsAsync(fc.assert(property, { numRuns: 200 }));
});
