// Every route over real HTTP, through the client, and the document that describes them.

import test, { type ExecutionContext } from "ava";
import { z } from "zod";
import { quantityOf } from "../../src/metering/quantity.ts";
import { ApiError, BudgetGuardClient } from "../../src/sdk/client.ts";
import { budget } from "../support/policies.ts";
import { exchanges } from "./exchanges.ts";
import { houseOf, openAdmin, requestOf, studioDay, usd } from "./house-of-functions.ts";

async function opened(t: ExecutionContext, token?: string, house = houseOf()) {
  const { admin, baseUrl, bugs } = await openAdmin(house);
  t.teardown(() => admin.close());
  return { house, baseUrl, bugs, client: new BudgetGuardClient({ baseUrl, token }) };
}

test("status tells budgets to the nano-dollar", async (t) => {
  const { client } = await opened(t);
  const status = await client.status();
  t.is(status.at, "2026-11-22T10:15:00.000001Z");
  t.true(status.policy.valid);
  const [budget] = status.budgets;
  t.is(budget?.settled, "0.003353333");
  t.is(budget?.held, "0.000000001");
  t.is(budget?.remaining, "19.996646666");
  t.is(budget?.level, "ok");
});

test("status tells every budget of the policy, whether it has a balance or not", async (t) => {
  const budgets = [
    studioDay,
    budget("alice", { limit_usd: "5", when: { user: "alice", provider: ["aws", "azure"] }, enabled: false }),
    {
      ...budget("images", { limit_usd: "1", per: "user" }),
      limits: new Map([["images", quantityOf(10)] as const]),
    },
  ];
  const state = houseOf().policy();
  const policy = { ...state.policy, budgets };
  const { client } = await opened(t, undefined, houseOf({ policy: () => ({ ...state, policy }) }));
  const { budget_definitions: told } = await client.status();
  t.deepEqual(
    told.map(({ id, limits, enabled, enforcing }) => [
      id,
      limits[0]?.limit,
      limits[0]?.unit,
      enabled,
      enforcing,
    ]),
    [
      ["studio-day", "20.00", "usd", true, true],
      ["alice", "5.00", "usd", false, false],
      ["images", "10", "images", true, true],
    ],
  );
  t.deepEqual(told[1]?.when, { user: ["alice"], provider: ["aws", "azure"] });
  t.like(told[2], { per: "user", action: "block", period: "daily", shadow: false });
});

test("spend is asked for by period and dimension", async (t) => {
  const { client, house } = await opened(t);
  const spend = await client.spend({ period: "monthly", by: "provider" });
  t.deepEqual(house.heard.spend, [{ period: "monthly", by: "provider", where: {} }]);
  t.is(spend.total.amount_usd, "0.006706666");
  t.is(spend.rows[0]?.value, "aws");
});

test("usage is one total, filtered", async (t) => {
  const { client, house } = await opened(t);
  const usage = await client.usage({ user: "alice", model: "flux-dev" });
  t.deepEqual(house.heard.spend[0]?.where, { user: "alice", model: "flux-dev" });
  t.is(usage.period, "today");
  t.is(usage.amount_usd, "0.006706666");
  t.is(usage.provider, null);
});

test("pages of requests join up without a gap", async (t) => {
  const { client } = await opened(t);
  const first = await client.requests({ limit: 2 });
  t.deepEqual(
    first.items.map(({ id }) => id),
    ["r-3", "r-2"],
  );
  const second = await client.requests({ limit: 2, before: first.next ?? "" });
  t.deepEqual(
    second.items.map(({ id }) => id),
    ["r-1"],
  );
  t.is(second.next, null);
});

test("one request comes with its whole explanation", async (t) => {
  const { client } = await opened(t);
  const detail = await client.request("r-1");
  t.is(detail.charged_usd, "0.003353333");
  t.is(detail.explanation.candidates[0]?.budgets[0]?.settled, "0.000000001");
  t.is(
    detail.explanation.candidates[0]?.price,
    "1.006 USD/h, rate card aws/us-east-1/g5.xlarge of 2026-11-20",
  );
  t.is(detail.budgets_after[0]?.remaining, "19.996646666");
});

test("an unknown request is 404 and says where to look", async (t) => {
  const { client } = await opened(t);
  const error = await t.throwsAsync(client.request("r-9"), { instanceOf: ApiError });
  t.is(error.status, 404);
  t.is(error.body?.code, "not_found");
});

test("a running request can be cancelled once, an ended one not at all", async (t) => {
  const { client, house } = await opened(t, "admin-token");
  t.true((await client.cancel("r-3")).cancelled);
  t.deepEqual(house.heard.cancelled, ["r-3"]);
  const error = await t.throwsAsync(client.cancel("r-1"), { instanceOf: ApiError });
  t.is(error.status, 409);
});

test("an estimate shows what would happen, and needs no token", async (t) => {
  const { client } = await opened(t);
  const estimate = await client.estimate({ model: "flux-dev", width: 1024, height: 1024, steps: 30 });
  t.is(estimate.decision, "no_upstream");
  t.is(estimate.breach, null);
  t.is(estimate.explanation.candidates[0]?.estimate_usd, "0.003353334");
});

test("an estimate that a budget would refuse names the budget and what would pass", async (t) => {
  const breach = {
    budget: "artist-day",
    action: "block" as const,
    unit: "usd" as const,
    limit: usd(5_000_000_000),
    settled: usd(5_000_000_000),
    held: usd(0),
    needed: usd(1),
    resets: undefined,
    timezone: "UTC",
    alternatives: [],
  };
  const house = houseOf({
    estimate: async () => ({ kind: "refuse", breach, explanation: requestOf("r").explanation }),
  });
  const { client } = await opened(t, undefined, house);
  const estimate = await client.estimate({ model: "flux-dev" });
  t.is(estimate.breach?.needed, "0.000000001");
  t.is(estimate.breach?.resets_at, null);
  t.deepEqual(estimate.explanation.alternatives, [
    { upstream: "flux-local", provider: "local", estimate_usd: "0.00" },
  ]);
});

test("who may see only its own estimates as itself, whoever it names; others as whom they name", async (t) => {
  const asked: (string | undefined)[] = [];
  const house = houseOf({
    estimate: async ({ labels }) => {
      asked.push(labels.user);
      return {
        kind: "no_upstream",
        reason: "no upstream is local",
        cause: "upstreams",
        explanation: requestOf("r").explanation,
      };
    },
  });
  for (const token of ["alice-token", "reader-token", undefined]) {
    const { client } = await opened(t, token, house);
    await client.estimate({ model: "flux-dev", user: "bob" });
    await client.estimate({ model: "flux-dev" });
  }
  t.deepEqual(asked, ["alice", "alice", "bob", "unknown", "bob", "unknown"]);
});

test("an estimate for an unknown model lists the models", async (t) => {
  const { client } = await opened(t);
  const error = await t.throwsAsync(client.estimate({ model: "nope" }), { instanceOf: ApiError });
  t.is(error.status, 404);
  t.regex(error.message, /flux-dev/);
});

test("the mode is read by anybody and switched by an operator", async (t) => {
  const { client, house, baseUrl } = await opened(t);
  t.is((await client.mode()).mode, "lowest_price");
  const operator = new BudgetGuardClient({ baseUrl, token: "operator-token" });
  t.is((await operator.setMode("local")).mode, "local");
  t.deepEqual(house.heard.modes, ["local"]);
});

test("the policy is shown with its text, notes and problems", async (t) => {
  const { client } = await opened(t);
  const policy = await client.policy();
  t.is(policy.text, "version: 1\n");
  t.is(policy.notes[0]?.path, "alerts");
});

test("a policy text is checked and all problems come back with their place", async (t) => {
  const { client } = await opened(t);
  t.true((await client.checkPolicy("good")).valid);
  const { valid, problems } = await client.checkPolicy("bad");
  t.false(valid);
  t.deepEqual(problems, [{ line: 1, column: 2, path: "version", text: "what is allowed: 1" }]);
});

test("only an admin makes tokens, and no id twice", async (t) => {
  const { client, baseUrl, house } = await opened(t, "admin-token");
  t.is((await client.createToken({ id: "carol", role: "use" })).token, "bg-secret");
  const taken = await t.throwsAsync(client.createToken({ id: "alice" }), { instanceOf: ApiError });
  t.is(taken.status, 409);
  const operator = new BudgetGuardClient({ baseUrl, token: "operator-token" });
  const error = await t.throwsAsync(operator.createToken({ id: "dave" }), { instanceOf: ApiError });
  t.is(error.status, 403);
  t.deepEqual(house.heard.tokens, ["carol"]);
});

test("a client with role use sees its own requests and nobody else's", async (t) => {
  const { client, house, baseUrl } = await opened(t, "alice-token");
  t.deepEqual(
    (await client.requests()).items.map(({ id }) => id),
    ["r-3", "r-1"],
  );
  t.deepEqual(
    (await client.requests({ user: "bob" })).items.map(({ id }) => id),
    ["r-3", "r-1"],
  );
  await client.usage({ user: "bob" });
  await client.spend({ by: "user" });
  t.deepEqual(
    house.heard.spend.map(({ where }) => where.user),
    ["alice", "alice"],
  );
  const error = await t.throwsAsync(client.request("r-2"), { instanceOf: ApiError });
  t.is(error.status, 404);
  const hidden = await t.throwsAsync(new BudgetGuardClient({ baseUrl, token: "alice-token" }).policy(), {
    instanceOf: ApiError,
  });
  t.is(hidden.status, 403);
  t.true((await client.cancel("r-3")).cancelled);
});

test("health answers, also to HEAD; readiness says what is missing", async (t) => {
  const house = houseOf({ ready: () => ({ ready: false, why: "the ledger cannot be written" }) });
  const { client, baseUrl } = await opened(t, undefined, house);
  t.is((await client.health()).status, "ok");
  t.deepEqual(await client.readiness(), { ready: false, why: "the ledger cannot be written" });
  t.is((await fetch(`${baseUrl}/readyz`)).status, 503);
  const head = await fetch(`${baseUrl}/api/health`, { method: "HEAD" });
  t.is(head.status, 200);
  t.is(await head.text(), "");
});

test("what is not there is 404, what is there for another method 405, both as a problem", async (t) => {
  const { baseUrl } = await opened(t);
  const nothing = await fetch(`${baseUrl}/api/v2/status`);
  t.is(nothing.status, 404);
  t.is(nothing.headers.get("content-type"), "application/problem+json");
  const other = await fetch(`${baseUrl}/api/v1/requests/r-1`, { method: "DELETE" });
  t.is(other.status, 405);
  t.is(other.headers.get("allow"), "GET, HEAD");
});

test("a bug answers 500 without telling what it was, and is reported", async (t) => {
  const house = houseOf({ request: () => Promise.reject(new Error("secret path")) });
  const { client, bugs } = await opened(t, undefined, house);
  const error = await t.throwsAsync(client.request("r-1"), { instanceOf: ApiError });
  t.is(error.status, 500);
  t.notRegex(error.message, /secret/);
  t.is(bugs.length, 1);
});

interface Document {
  openapi: string;
  components: { schemas: Record<string, object> };
  paths: Record<string, Record<string, Operation>>;
}
interface Operation {
  summary: string;
  operationId: string;
  tags: readonly string[];
  security?: readonly object[];
  responses: Record<string, { content: Record<string, { schema: object }> }>;
}

/** The document's own schema of a reply, as a validator; components become definitions. */
function schemaOf(document: Document, operation: Operation, status: string, type: string): z.ZodType {
  const response = operation.responses[status] ?? operation.responses.default;
  const schema = response?.content[type]?.schema;
  const whole = JSON.stringify({ ...schema, $defs: document.components.schemas });
  return z.fromJSONSchema(JSON.parse(whole.replaceAll("#/components/schemas/", "#/$defs/")));
}

async function documentOf(baseUrl: string): Promise<Document> {
  return (await (await fetch(`${baseUrl}/api/openapi.json`)).json()) as Document;
}

test("the document is OpenAPI 3.1 and has every route, each with a summary", async (t) => {
  const { baseUrl } = await opened(t);
  const document = await documentOf(baseUrl);
  t.is(document.openapi, "3.1.0");
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  );
  const tried = [...exchanges.map(([method, path]) => `${method} ${path}`), "get /metrics"];
  t.deepEqual(described.sort(), tried.sort());
  for (const methods of Object.values(document.paths))
    for (const { summary } of Object.values(methods)) t.truthy(summary);
});

test("each operation has a name of its own and one group, and says whether a token opens it", async (t) => {
  const { admin, baseUrl } = await openAdmin(houseOf(), "nobody");
  t.teardown(() => admin.close());
  const headers = { "x-api-key": "admin-token" };
  const { paths } = (await (await fetch(`${baseUrl}/api/openapi.json`, { headers })).json()) as Document;
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const names = all.map(({ operation }) => operation.operationId);
  t.is(new Set(names).size, all.length);
  for (const { path, method, operation } of all) {
    t.regex(operation.operationId, /^[a-z][A-Za-z]+$/);
    t.is(operation.tags.length, 1, path);
    // Without a token, where nobody is anonymous: exactly what the document says needs one.
    const asked = { method: method.toUpperCase(), headers: { "content-type": "application/json" } };
    const { status } = await fetch(baseUrl + path.replace("{id}", "r-3"), asked);
    t.is(status === 401, operation.security !== undefined, `${method} ${path}`);
  }
});

for (const [method, path, body] of exchanges) {
  test(`${method} ${path} answers as its document says`, async (t) => {
    const { baseUrl } = await opened(t);
    const document = await documentOf(baseUrl);
    const headers = { authorization: "Bearer admin-token", "content-type": "application/json" };
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const ids = { budgets: "studio-day", alerts: "a-1" };
    const id = Object.entries(ids).find(([part]) => path.includes(part))?.[1] ?? "r-3";
    const reply = await fetch(baseUrl + path.replace("{id}", id), {
      method: method.toUpperCase(),
      headers,
      ...sent,
    });
    t.true(reply.ok, `${reply.status}`);
    const operation = document.paths[path]?.[method];
    if (operation === undefined) return t.fail("not in the document");
    const json: unknown = await reply.json();
    const found = schemaOf(document, operation, String(reply.status), "application/json").safeParse(json);
    t.is(found.error, undefined);
    const refused = await fetch(baseUrl + path.replace("{id}", "r-3"), {
      method: method.toUpperCase(),
      headers: { "x-api-key": "wrong" },
      ...sent,
    });
    if (path.startsWith("/api/v1")) {
      t.is(refused.status, 401);
      t.is(
        schemaOf(document, operation, "401", "application/problem+json").safeParse(await refused.json())
          .error,
        undefined,
      );
    }
  });
}

test("the document's schemas refuse what is wrong", async (t) => {
  const { baseUrl } = await opened(t);
  const document = await documentOf(baseUrl);
  const operation = document.paths["/api/v1/mode"]?.get;
  if (operation === undefined) return t.fail("not in the document");
  const schema = schemaOf(document, operation, "200", "application/json");
  t.false(schema.safeParse({ mode: "cheapest", policy_mode: "local", switched_at: null }).success);
  t.false(schema.safeParse({ mode: "local", policy_mode: "local", switched_at: 3 }).success);
});

test("a request is cancelled by the id that its client gave it", async (t) => {
  const house = houseOf({ request: async () => requestOf("r-3", { outcome: "running" }) });
  const { admin, baseUrl } = await openAdmin(house);
  t.teardown(() => admin.close());
  const headers = { authorization: "Bearer admin-token", "content-type": "application/json" };
  const url = `${baseUrl}/api/v1/requests/c-1/cancel`;
  const reply = await fetch(url, { method: "POST", headers, body: "{}" });
  t.deepEqual(await reply.json(), { id: "r-3", cancelled: true });
  t.deepEqual(house.heard.cancelled, ["r-3"]);
});
