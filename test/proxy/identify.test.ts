// A request becomes a task of one model and one user, or ends with an answer that says what to do.

import { createHash } from "node:crypto";
import test from "ava";
import type { Instant } from "../../src/metering/time.ts";
import type { Client, Policy } from "../../src/policy/policy.ts";
import { readFacts } from "../../src/proxy/body-facts.ts";
import type { TokenLookup } from "../../src/proxy/credentials.ts";
import { type Identified, identify, readHead } from "../../src/proxy/identify.ts";
import { newTaskId } from "../../src/proxy/task-id.ts";
import { upstreamAt } from "../support/relay-rig.ts";

const UPSTREAMS = [
  upstreamAt("http://127.0.0.1:1", { id: "one", model: "black-forest/flux" }),
  upstreamAt("http://127.0.0.1:2", { id: "two", model: "shared/name" }),
  upstreamAt("http://127.0.0.1:3", { id: "three", model: "shared/name" }),
];

function policyOf(models: Record<string, string[]>, over: Partial<Policy> = {}): Policy {
  const entries = Object.entries(models).map(
    ([id, upstreams]) =>
      [
        id,
        { id, port: undefined, upstreams, manual: undefined, estimate: undefined, fallbackModel: undefined },
      ] as const,
  );
  return {
    identity: "trusted",
    models: new Map(entries),
    upstreams: new Map(UPSTREAMS.map((each) => [each.id, each])),
    clients: new Map(),
    limits: { body: 64_000_000 },
    ...over,
  } as Policy;
}

const THREE = policyOf({ "flux-dev": ["one"], llama: ["two"], mistral: ["three"] });
const ONE = policyOf({ "flux-dev": ["one"] });

interface Sketch {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: readonly string[];
  readonly body?: string;
  readonly length?: number | undefined;
  readonly port?: string;
  readonly policy?: Policy;
  readonly tokens?: TokenLookup;
}

function look(sketch: Sketch): Identified {
  const { method = "POST", path = "/v1/infer", headers = [], body = "{}", policy = THREE } = sketch;
  const facts = readFacts({
    bytes: Buffer.from(body),
    isWhole: true,
    contentType: "application/json",
    contentEncoding: undefined,
  });
  const { tokens = () => undefined } = sketch;
  const head = readHead({ method, path, rawHeaders: headers }, policy, { modelPort: sketch.port }, tokens);
  if (head.kind !== "known") return head;
  const length = "length" in sketch ? sketch.length : body.length;
  return identify(head, { facts, length }, policy, { newId: () => "r-1", at: 5 as Instant });
}

function modelFound(sketch: Sketch): string {
  const found = look(sketch);
  if (found.kind === "task") return found.task.model;
  return found.kind === "problem" ? `${found.status} ${found.code}` : found.kind;
}

test("the model is the port's, else the prefix's, the header's, the body's, else the only one", (t) => {
  const everywhere = {
    path: "/m/llama/v1/infer",
    headers: ["X-BudgetGuard-Model", "mistral"],
    body: '{"model": "flux-dev"}',
  };
  t.is(modelFound({ ...everywhere, port: "flux-dev" }), "flux-dev");
  t.is(modelFound(everywhere), "llama");
  t.is(modelFound({ ...everywhere, path: "/v1/infer" }), "mistral");
  t.is(modelFound({ body: everywhere.body }), "flux-dev");
  t.is(modelFound({ policy: ONE }), "flux-dev");
});

test("an upstream's own model name means its model, unless several go by it", (t) => {
  t.is(modelFound({ body: '{"model": "black-forest/flux"}' }), "flux-dev");
  t.is(modelFound({ body: '{"model": "shared/name"}' }), "404 model_ambiguous");
});

test("an unknown or missing model is a 404 that lists the models", (t) => {
  for (const sketch of [
    {},
    { body: '{"model": "gpt-4"}' },
    { path: "/m/gpt-4/v1/infer" },
    { headers: ["X-BudgetGuard-Model", "gpt-4"] },
    { policy: ONE, body: '{"model": "gpt-4"}' },
  ]) {
    const found = look(sketch);
    t.like(found, { kind: "problem", status: 404 });
    t.regex(found.kind === "problem" ? found.message : "", /the models are flux-dev/);
  }
});

test("the prefix is stripped from the path, the query stays", (t) => {
  const found = look({ path: "/m/llama/v1/chat/completions?x=1" });
  t.is(found.kind === "task" && found.path, "/v1/chat/completions?x=1");
});

const paths: [method: string, path: string, expected: Identified["kind"]][] = [
  ["POST", "/v1/infer", "task"],
  ["POST", "/v1/something/new", "task"],
  ["PUT", "/v2/models/x/infer", "task"],
  ["DELETE", "/v1/responses/1", "task"],
  ["GET", "/v1/metadata", "unmetered"],
  ["OPTIONS", "/v1/infer", "unmetered"],
  ["GET", "/metrics", "unmetered"],
  ["POST", "/tokenize", "unmetered"],
  ["POST", "/v1/messages/count_tokens", "unmetered"],
  ["POST", "/v1/responses/abc/cancel", "unmetered"],
  ["GET", "/v1/health/ready", "own"],
  ["HEAD", "/v1/health/live", "own"],
  ["GET", "/v1/models", "own"],
  ["GET", "/v1/models/flux-dev", "own"],
  ["HEAD", "/v1/models/flux-dev", "own"],
  ["OPTIONS", "/v1/models/flux-dev", "unmetered"],
  ["GET", "/v1/models/x", "problem"],
  ["GET", "/v1/models/..%2fx", "problem"],
  ["GET", "/v1/models/a/../flux-dev", "problem"],
  ["DELETE", "/v1/models/flux-dev", "task"],
  ["GET", "/", "problem"],
  ["POST", "/generate", "problem"],
  ["POST", "/v1", "problem"],
  ["POST", "/v1/../admin", "problem"],
  ["POST", "/v1/%2e%2e/admin", "problem"],
  ["POST", "/v1//infer", "problem"],
  ["POST", "//v1/infer", "problem"],
  ["POST", "/v1\\infer", "problem"],
  ["OPTIONS", "*", "problem"],
];

test("what is metered, passed through, answered here or unknown is told by method and path", (t) => {
  for (const [method, path, expected] of paths) {
    t.is(look({ method, path, policy: ONE }).kind, expected, `${method} ${path}`);
  }
});

test("invalid JSON is a 400 that says where", (t) => {
  const found = look({ policy: ONE, body: '{"width": }' });
  t.like(found, { kind: "problem", status: 400, message: "the body is not valid JSON: line 1, column 11" });
});

const ALICE: Client = { id: "alice", tokenSha256: sha256("secret-a"), role: "use" };
const READER: Client = { id: "rita", tokenSha256: sha256("secret-r"), role: "read" };
const CLIENTS = new Map([ALICE, READER].map((client) => [client.id, client]));
const TRUSTED = { ...ONE, clients: CLIENTS };
const TOKEN = { ...TRUSTED, identity: "token" as const };

function userFound(sketch: Sketch): string {
  const found = look(sketch);
  if (found.kind === "task") return found.task.labels.user;
  return found.kind === "problem" ? `${found.status} ${found.code}` : found.kind;
}

test("a client token names the user wherever a client can put it", (t) => {
  const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
  for (const headers of [
    ["Authorization", "Bearer secret-a"],
    ["authorization", "bearer secret-a"],
    ["Authorization", basic("alice:secret-a")],
    ["Authorization", basic("secret-a:")],
    ["X-API-Key", "secret-a"],
    ["Proxy-Authorization", basic("any:secret-a")],
    ["Authorization", "Bearer nobody's", "X-API-Key", "secret-a"],
  ]) {
    t.is(userFound({ policy: TOKEN, headers }), "alice", headers.join(" "));
  }
  const tokens = (hash: string) =>
    hash === sha256("secret-t") ? { id: "tina", role: "use" as const } : undefined;
  t.is(userFound({ policy: TOKEN, tokens, headers: ["X-API-Key", "secret-t"] }), "tina");
});

test("a token wins over the header; without one the header is trusted, or nobody is let in", (t) => {
  const user = ["X-BudgetGuard-User", "bob"];
  t.is(userFound({ policy: TRUSTED, headers: user }), "bob");
  t.is(userFound({ policy: TRUSTED }), "unknown");
  t.is(userFound({ policy: TRUSTED, headers: [...user, "Authorization", "Bearer sk-not-used"] }), "bob");
  t.is(userFound({ policy: TRUSTED, headers: [...user, "X-API-Key", "secret-a"] }), "alice");
  t.is(userFound({ policy: TOKEN, headers: [...user, "X-API-Key", "secret-a"] }), "alice");
  t.is(userFound({ policy: TOKEN, headers: user }), "401 token_required");
  t.is(userFound({ policy: TOKEN, headers: [...user, "X-API-Key", "wrong"] }), "401 token_required");
});

test("the role read may look at the models but send nothing", (t) => {
  const headers = ["X-API-Key", "secret-r"];
  t.is(userFound({ policy: TRUSTED, headers }), "403 not_allowed");
  t.is(userFound({ policy: TOKEN, headers, method: "GET", path: "/v1/metadata" }), "403 not_allowed");
  t.is(userFound({ policy: TOKEN, headers, method: "GET", path: "/v1/models" }), "own");
});

test("health needs no token: what polls it has none", (t) => {
  t.is(userFound({ policy: TOKEN, method: "GET", path: "/v1/health/ready" }), "own");
  t.is(userFound({ policy: TOKEN, method: "GET", path: "/v1/models" }), "401 token_required");
});

test("labels are cleaned and capped, and those that were cut are counted", (t) => {
  const found = look({
    policy: ONE,
    headers: [
      "X-BudgetGuard-User",
      Buffer.from(" J\u00f6rg\u202e ").toString("latin1"),
      "X-BudgetGuard-Workflow",
      "w".repeat(129),
      "x-budgetguard-tag",
      "t".repeat(128),
      "X-BudgetGuard-Project",
      " \t ",
      "X-BudgetGuard-Node",
      "a\u0085b",
    ],
  });
  if (found.kind !== "task") return t.fail();
  t.is(found.cutLabels, 1);
  t.deepEqual(found.task.labels, {
    user: "J\u00f6rg",
    workflow: `${"w".repeat(127)}~`,
    session: undefined,
    task: undefined,
    node: "ab",
    project: undefined,
    tag: "t".repeat(128),
  });
});

test("a task carries the work, the client's id and what was chosen for this request", (t) => {
  const body = '{"width": 640, "height": 480, "steps": 4, "samples": 2, "max_tokens": 9, "stream": true}';
  const found = look({
    policy: ONE,
    body,
    headers: ["X-Request-Id", "abc", "X-BudgetGuard-Provider", "NVIDIA_hosted", "X-BudgetGuard-Tier", "A10G"],
  });
  if (found.kind !== "task") return t.fail();
  t.like(found.task, {
    id: "r-1",
    at: 5,
    clientRequestId: "abc",
    provider: "nvidia-hosted",
    gpuTier: "a10g",
  });
  t.deepEqual(found.task.work, {
    width: 640,
    height: 480,
    steps: 4,
    images: 2,
    maxTokens: 9,
    stream: true,
    bytes: body.length,
    picture: {
      kind: "read",
      promptLength: 0,
      mode: "base",
      image: "none",
      cfgScale: undefined,
      seed: undefined,
      odd: undefined,
    },
  });
});

test("a body of unknown length counts as the longest that is allowed, and none as longer", (t) => {
  const bytesOf = (length: number | undefined) => {
    const found = look({ policy: ONE, length });
    return found.kind === "task" ? found.task.work.bytes : found.kind;
  };
  t.is(bytesOf(undefined), 64_000_000);
  t.is(bytesOf(7), 7);
  t.is(bytesOf(Number.MAX_SAFE_INTEGER), 64_000_000);
});

test("ids are UUIDv7 without dashes, and sort by time", (t) => {
  const id = newTaskId(0x0123_4567_89ab, Buffer.alloc(10, 0xff));
  t.is(id, "r-0123456789ab7fffbfffffffffffffff");
  t.true(newTaskId(1) < newTaskId(2));
  t.not(newTaskId(1), newTaskId(1));
});

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

test("work in the background is refused, and said why, where a server would read it so", (t) => {
  const path = "/v1/responses";
  const of = (value: string, at = path) =>
    modelFound({ path: at, port: "llama", body: `{"background": ${value}}` });
  for (const yes of ["true", '"true"', "1", '"on"']) t.is(of(yes), "400 background_work", yes);
  for (const no of ["false", "null", "0", '"off"']) t.is(of(no), "llama", no);
  t.is(of("true", "/v1/infer"), "llama");
  t.is(of("true", "/v1/responses?x=1"), "400 background_work");
});

test("a body that names another model than the one that is charged is to name that", (t) => {
  const renamed = (port: string, model: string) => {
    const found = look({ port, body: JSON.stringify({ model }) });
    return found.kind === "task" ? found.renamed : found.kind;
  };
  t.is(renamed("llama", "flux-dev"), "llama");
  t.is(renamed("llama", "black-forest/flux"), "llama", "the name of another's upstream");
  t.is(renamed("llama", "llama"), undefined);
  t.is(renamed("flux-dev", "black-forest/flux"), undefined, "its own upstream's name");
  t.is(renamed("llama", "some-adapter"), undefined, "nobody's name here");
});
