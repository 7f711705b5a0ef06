// The client stands alone, so it repeats the core's words. These hold the two together.

import test from "ava";
import { formatUsd, nanoUsd } from "../../src/metering/money.ts";
import { PERIODS } from "../../src/metering/period.ts";
import { formatInstant, instantUs } from "../../src/metering/time.ts";
import { OUTCOMES } from "../../src/policy/admission.ts";
import { ACTIONS, MODES, ROLES } from "../../src/policy/policy.ts";
import { PRICE_SOURCES } from "../../src/policy/settings.ts";
import { type CallerRole, permission, RIGHTS } from "../../src/sdk/roles.ts";
import { instant, usd } from "../../src/sdk/scalars.ts";
import * as wire from "../../src/sdk/vocabulary.ts";

test("the wire has the core's words", (t) => {
  t.deepEqual([...wire.MODES], [...MODES]);
  t.deepEqual([...wire.ACTIONS], [...ACTIONS]);
  t.deepEqual([...wire.PERIODS], [...PERIODS]);
  t.deepEqual([...wire.ROLES], [...ROLES]);
  t.deepEqual([...wire.OUTCOMES], [...OUTCOMES]);
  t.deepEqual([...wire.PRICE_SOURCES], [...PRICE_SOURCES]);
});

test("what the core writes, the wire takes", (t) => {
  for (const nanos of [0n, 1n, -1n, 3_353_333n, 9_223_372_036_854_775_807n]) {
    t.true(usd.safeParse(formatUsd(nanoUsd(nanos))).success, `${nanos}`);
  }
  for (const at of [0, 1, 1_795_342_500_000_001])
    t.true(instant.safeParse(formatInstant(instantUs(at))).success);
});

test("the wire takes no float and no other money", (t) => {
  for (const wrong of [1.5, "1", "1e3", "$1.00", "1.0000000001", ""])
    t.false(usd.safeParse(wrong).success, `${wrong}`);
});

const table: readonly [CallerRole, ...string[]][] = [
  // role, then: call, read, cancel, operate, administer
  ["anonymous", "own", "all", "none", "none", "none"],
  ["use", "own", "own", "own", "none", "none"],
  ["read", "none", "all", "none", "none", "none"],
  ["operate", "own", "all", "all", "all", "none"],
  ["admin", "own", "all", "all", "all", "all"],
];
for (const [role, ...expected] of table) {
  test(`${role} may do what the table says`, (t) => {
    t.deepEqual(
      RIGHTS.map((right) => permission(role, right)),
      expected,
    );
  });
}
