// A crash before any heartbeat, after prices rose and some requests were asked for them (MONEY §2, §7): each is
// charged what an ending in that moment would have charged, in a house that lived on. LAW_SEED and LAW_RUNS repeat
// and lengthen it.

import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { formatUsd } from "../../src/metering/money.ts";
import { type Instant, SECOND, seconds } from "../../src/metering/time.ts";
import type { Reservation } from "../../src/policy/admission.ts";
import { begun, HandClock, type House, houseOf, RELAYED, restarted, rows } from "../support/ledger.ts";
import { budget, model, perHour, policy, TEN, task, upstream, type usd } from "../support/policies.ts";

/** 3.6 USD/h is 0.001 USD a second. */
function at(price: string) {
  return policy({
    upstreams: [upstream("aws", { price: perHour(price) })],
    models: [model("flux-dev", ["aws"], { estimate: seconds(12) })],
    budgets: [budget("day", { limit_usd: "9", overrun: "cut" })],
  });
}

type Step =
  | { readonly kind: "pass"; readonly time: number }
  | { readonly kind: "come" | "rise" }
  | { readonly kind: "slice"; readonly which: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("come" as const) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("pass" as const),
      time: fc.integer({ min: 1, max: 1_500_001 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("rise" as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("slice" as const), which: fc.nat({ max: 3 }) }) },
);

async function live(house: House, steps: readonly Step[]): Promise<readonly Reservation[]> {
  const all: Reservation[] = [];
  let cents = 360;
  for (const one of steps) {
    const which = "which" in one ? all[one.which % Math.max(1, all.length)] : undefined;
    switch (one.kind) {
      case "come":
        all.push(await begun(house, task({ id: `r-${all.length}` })));
        break;
      case "pass":
        house.clock.pass(one.time);
        break;
      case "rise":
        cents += 123;
        await house.adopt(at(`${cents / 100}`));
        break;
      case "slice":
        await which?.extend();
    }
  }
  return all;
}

async function charged(t: ExecutionContext, steps: readonly Step[]) {
  const dead = await houseOf(t, at("3.6"));
  await live(dead, steps);
  const recovered = await restarted(t, dead, 60 * SECOND);
  const found = ended(recovered);
  const end = Math.max(TEN, ...found.map(({ endedAt }) => endedAt));
  const twin = await houseOf(t, at("3.6"), new HandClock());
  const all = await live(twin, steps);
  twin.clock.pass(Math.max(0, end - twin.accounts.now()));
  for (const one of all) one.stop();
  for (const one of all) await one.settle(RELAYED);
  return { found: found.map(told), due: ended(twin).map(told) };
}

function ended(house: House) {
  return rows(house.folder, "SELECT charged, ended_at FROM decisions ORDER BY request").map((row) => ({
    charged: row.charged as bigint,
    endedAt: Number(row.ended_at) as Instant,
  }));
}

function told({ charged: amount }: { readonly charged: bigint }): string {
  return formatUsd(amount as ReturnType<typeof usd>);
}

const SEED = Number(process.env.LAW_SEED ?? 20261128);
const RUNS = Number(process.env.LAW_RUNS ?? 8);

test("a crash before any heartbeat charges each what it would have paid, whatever price it was asked", async (t) => {
  t.timeout(300_000);
  let wrong = "";
  const property = fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
    // The last sign of life is the last step: no ending can have been earlier.
    const { found, due } = await charged(t, [...steps, { kind: "come" }]);
    if (String(found) === String(due)) return true;
    wrong = `${found} was charged, and ${due} was due`;
    return false;
  });
  const { failed, counterexample } = await fc.check(property, { seed: SEED, numRuns: RUNS });
  t.false(failed, `${wrong}\n${JSON.stringify(counterexample)}`);
});

test("a second before a rise costs what it did then, of one that was asked before the first heartbeat", async (t) => {
  const { found } = await charged(t, [
    { kind: "come" },
    { kind: "pass", time: SECOND },
    { kind: "rise" },
    { kind: "slice", which: 0 },
  ]);
  // And one more, until which it may have run, at the 4.83 USD/h that it was asked.
  t.deepEqual(found, ["0.002341666"]);
});
