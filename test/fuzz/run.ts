// npm run fuzz -- --minutes 5 [--seed N]: both sides by turns, with a new seed each time. Ends with 1 and the
// seed, the case and what went wrong at the first that fails.

import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { torture } from "./torture.ts";

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "5" }, seed: { type: "string" } },
});
const until = performance.now() + Number(values.minutes) * 60_000;
const CASES = 200;
let cases = 0;

for (let round = 0; performance.now() < until; round++) {
  const seed = values.seed === undefined ? randomBytes(4).readInt32BE() : Number(values.seed) + round;
  for (const side of ["client", "upstream"] as const) {
    await torture(side, { seed, cases: CASES });
    cases += CASES;
  }
}
console.log(`${cases} cases: nothing died, hung, leaked, was doubled or looked whole that was not`);
