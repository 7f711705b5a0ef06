import { readFileSync } from "node:fs";
import test from "ava";
import { parseDocument } from "yaml";
import { z } from "zod";
import { policyJsonSchema } from "../../src/policy/schema/json-schema.ts";

import { file, problems } from "./reading.ts";

interface Schema {
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly description?: string;
}

const committed = readFileSync(new URL("../../config/policy.schema.json", import.meta.url), "utf8");
const schema = JSON.parse(committed) as Schema;

/** Every key of the schema, with the path that leads to it. */
function* keys(within: Schema, path: string): Generator<readonly [string, Schema]> {
  for (const [key, inner] of Object.entries(within.properties ?? {})) {
    yield [`${path}.${key}`, inner];
    yield* keys(inner, `${path}.${key}`);
  }
  if (typeof within.additionalProperties === "object") yield* keys(within.additionalProperties, `${path}.*`);
  if (within.items) yield* keys(within.items, `${path}[]`);
}

test("config/policy.schema.json is what the schema says today (npm run schema writes it)", (t) => {
  t.is(committed, `${JSON.stringify(policyJsonSchema(), undefined, 2)}\n`);
});

test("every key of the schema has a description", (t) => {
  const bare = [...keys(schema, "")].filter(([, { description }]) => !description).map(([path]) => path);
  t.deepEqual(bare, []);
});

test("every mapping of the schema refuses unknown keys", (t) => {
  const open = [...keys(schema, "")].filter(
    ([, { properties, additionalProperties }]) => properties && additionalProperties !== false,
  );
  t.deepEqual(open, []);
  t.is(schema.additionalProperties, false);
});

/** Whether an editor with the schema, and the parser, find nothing wrong. */
function verdicts(text: string) {
  const json = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
  return [json.safeParse(parseDocument(text).toJS()).success, problems(text).length === 0];
}

const budget = (more: string) => `budgets: [{id: a, limit_usd: 1, ${more}}]`;
const upstream = (more: string) => file("", `  b: {provider: other, price: {usd_per_hour: 1}, ${more}}\n`);

const BOTH_ACCEPT = [
  file("budgets:\nclients:\nhosts:\nlimits:\nprices:\nmachines:\n"),
  file("budgets: [{id: 42, limit_usd: '1.50', limit_requests: '10', warn_at: '0.5', critical_at: 1}]"),
  file(budget("when: {session: 2026, user: [1, alice], node: '42'}, description: 12")),
  file(budget("priority: high")),
  file(budget("priority: 7")),
  file(budget("priority: '7'")),
  file(budget("period: monthly, reset_day: '3'")),
  file("limits: {connections: '12'}"),
  file("version: '1'\n").replace("version: 1\n", ""),
  file("hosts: [gateway, 42]\norigins: ['HTTPS://a.b']"),
  upstream("url: HTTP://NIM.lan"),
  upstream('url: "http://münchen.lan/v1", auth: {bearer: {credential: 7}}'),
  upstream("container: {docker: {name: 7}}, url: discovered"),
  upstream(
    'container: {docker: {name: x}}, lifecycle: {keep_warm: "Mon-Fri 09:00-18:00", stop_after_idle: never}',
  ),
];

for (const text of BOTH_ACCEPT) {
  test(`accepted by editor and parser: ${JSON.stringify(text.slice(-70))}`, (t) => {
    t.deepEqual(verdicts(text), [true, true], problems(text).join("\n"));
  });
}

const BOTH_REFUSE = [
  file("colour: red"),
  file("mode:"),
  file(budget("when:")),
  file(budget("priority: 11")),
  file(budget("warn_at: '1.5'")),
  file(budget("max_wait: 5")),
  file("limits: {connections: 'many'}"),
  upstream("url: http:host"),
  upstream("url: ' http://host'"),
  upstream("url: nim.lan:8000"),
  upstream('container: {docker: {name: x}}, lifecycle: {keep_warm: "all day"}'),
];

for (const text of BOTH_REFUSE) {
  test(`refused by editor and parser: ${JSON.stringify(text.slice(-70))}`, (t) => {
    t.deepEqual(verdicts(text), [false, false]);
  });
}

test("a key whose description names its default has it for the editor too, as a value that it may have", (t) => {
  const filled = [...keys(schema, "")].filter(([, inner]) => inner.default !== undefined);
  t.true(filled.length > 40, String(filled.length));
  for (const [path, inner] of filled) {
    const own = z.fromJSONSchema(inner as Parameters<typeof z.fromJSONSchema>[0]);
    t.true(own.safeParse(inner.default).success, path);
  }
});
