// Hostile clients and hostile upstreams against a running gateway, for some seconds; `npm run fuzz` goes on
// for minutes. FUZZ_SEED repeats a failure.

import { randomBytes } from "node:crypto";
import test from "ava";
import { torture } from "./torture.ts";

const CASES = 120;
const seed = Number(process.env.FUZZ_SEED ?? randomBytes(4).readInt32BE());

test.serial(
  "whatever a client sends, its upstream gets what was asked for, once, and the next request works",
  async (t) => {
    t.log(`seed ${seed}, ${CASES} cases`);
    await t.notThrowsAsync(torture("client", { seed, cases: CASES }));
  },
);

test.serial(
  "whatever an upstream replies, no client sees a whole reply that was not sent, nor waits past its timeouts",
  async (t) => {
    t.log(`seed ${seed}, ${CASES} cases`);
    await t.notThrowsAsync(torture("upstream", { seed, cases: CASES }));
  },
);
