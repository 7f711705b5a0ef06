import { readFileSync } from "node:fs";
import test from "ava";
import { policyJsonSchema } from "../../src/policy/schema/policy-file.ts";

interface Schema {
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
