// Writes config/policy.schema.json, by which editors complete and check policy.yaml: node tools/write-schema.ts

import { writeFileSync } from "node:fs";
import { policyJsonSchema } from "../src/policy/schema/json-schema.ts";

const target = new URL("../config/policy.schema.json", import.meta.url);
writeFileSync(target, `${JSON.stringify(policyJsonSchema(), undefined, 2)}\n`);
console.log("config/policy.schema.json is up to date");
