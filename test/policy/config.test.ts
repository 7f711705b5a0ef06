import { readFileSync } from "node:fs";
import test from "ava";
import { parseDocument } from "yaml";
import { z } from "zod";
import { policyJsonSchema } from "../../src/policy/schema/json-schema.ts";
import { notes, policy, problems } from "./reading.ts";

function config(name: string): string {
  return readFileSync(new URL(`../../config/${name}`, import.meta.url), "utf8");
}

const shipped = config("policy.yaml");
const example = config("policy.example.yaml");

test("the shipped policy has no problem and no note", (t) => {
  t.deepEqual(problems(shipped), []);
  t.deepEqual(notes(shipped), []);
});

test("A32, A57: the shipped policy passes flux-dev through to the NIM on this machine, for nothing, under one warning budget", (t) => {
  const made = policy(shipped);
  t.is(made.mode, "local");
  t.like(made.models.get("flux-dev"), { port: 7100, upstreams: ["flux-local"] });
  const flux = made.upstreams.get("flux-local");
  t.is(flux?.url, "http://127.0.0.1:8000");
  t.is(flux?.price.kind === "hour" ? flux.price.rate : undefined, 0n as never);
  t.deepEqual(
    made.budgets.map(({ onLimit }) => onLimit),
    ["warn"],
  );
});

test("the example has notes but no problem", (t) => {
  t.deepEqual(problems(example), []);
  t.true(notes(example).length > 0);
});

test("both files tell the editor where the schema is, on their first line", (t) => {
  for (const text of [shipped, example]) {
    t.is(text.split("\n")[0], "# yaml-language-server: $schema=./policy.schema.json");
  }
});

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
}

/** Paths of the schema's keys that are in none of `values`. */
function missing(schema: Schema, values: readonly unknown[], path: string): readonly string[] {
  const mappings = values.filter(
    (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  );
  const keys = Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => {
    const held = mappings.flatMap((each) =>
      Object.entries(each as object).flatMap(([k, v]) => (k === key ? [v] : [])),
    );
    return held.length === 0 ? [`${path}.${key}`] : missing(inner, held, `${path}.${key}`);
  });
  const any = schema.additionalProperties;
  const named =
    typeof any === "object"
      ? missing(
          any,
          mappings.flatMap((each) => Object.values(each as object)),
          `${path}.*`,
        )
      : [];
  const items = schema.items ? missing(schema.items, values.filter(Array.isArray).flat(), `${path}[]`) : [];
  return [...keys, ...named, ...items];
}

test("every key of the schema is in the example, in every place where it can be", (t) => {
  const value: unknown = parseDocument(example).toJS();
  t.deepEqual(
    missing(policyJsonSchema() as Schema, [value], "").filter(
      (path) => !REPEATED.some((each) => path.startsWith(each)),
    ),
    [],
  );
});

/** The same forms as elsewhere in the file: they need not be shown again in each place. */
const REPEATED = [
  ".prices.access.",
  ".providers.azure.",
  ".providers.gcp.",
  ".providers.aws.credentials.",
  ".techops.studio_key.",
  ".machines.*.price.usd_",
  ".upstreams.*.price.",
  ".upstreams.*.auth.header.secret.",
  ".alerts.webhooks[].url.",
];

test("an editor with the schema finds nothing wrong in either file", (t) => {
  const schema = z.fromJSONSchema(policyJsonSchema() as Parameters<typeof z.fromJSONSchema>[0]);
  for (const text of [shipped, example]) {
    const read = schema.safeParse(parseDocument(text).toJS());
    t.deepEqual(read.error?.issues ?? [], []);
  }
});
