// What containers cost by now, summed for each account: against a list of every container's own pace, added up
// anew at each look.

import test from "ava";
import fc from "fast-check";
import { Accruing, type Pace } from "../../src/ledger/accruing.ts";
import { US_PER_HOUR } from "../../src/metering/money.ts";
import { HOUR, type Instant, instantUs, later, SECOND } from "../../src/metering/time.ts";
import { container, watch } from "../support/containers.ts";
import { houseOf } from "../support/ledger.ts";
import { budget, policy, TEN, upstream } from "../support/policies.ts";

const PERIOD = 10_000_000;

function startOf(at: number): Instant {
  return instantUs(at - (at % PERIOD));
}

const step = fc.record({
  container: fc.constantFrom("a", "b", "c"),
  account: fc.constantFrom("usd|day", "usd|aws"),
  pass: fc.integer({ min: 0, max: 6_000_000 }),
  rate: fc.bigInt({ min: 0n, max: 9_000_000_000n }),
  isOff: fc.boolean(),
});

test("an account has what each of its containers cost in this period, whichever of them turned first", (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const accruing = new Accruing();
      const paces = new Map<string, { readonly pace: Pace; readonly account: string }>();
      let now = 0;
      for (const { container, account, pass, rate, isOff } of steps) {
        now += pass;
        const at = instantUs(now);
        if (isOff) {
          accruing.drop(container, at);
          paces.delete(container);
        } else {
          const pace = { rate, raw: rate, at };
          accruing.set(container, pace, [{ account, start: startOf(at) }]);
          paces.set(container, { pace, account });
        }
        for (const name of ["usd|day", "usd|aws"]) {
          const own = [...paces.values()].filter((one) => one.account === name);
          const raw = own
            .filter(({ pace }) => startOf(pace.at) === startOf(at))
            .reduce((sum, { pace }) => sum + pace.raw + pace.rate * BigInt(now - pace.at), 0n);
          if (accruing.on(name, startOf(at), at) !== (raw + US_PER_HOUR - 1n) / US_PER_HOUR) return false;
        }
      }
      return true;
    }),
    { numRuns: 500 },
  );
  t.pass();
});

test("two containers count on beyond a period's turn, each at its own rate", async (t) => {
  const house = await houseOf(
    t,
    policy({
      upstreams: [upstream("aws", { hasContainer: true, gpuTier: "a10g" })],
      budgets: [budget("hour", { limit_usd: "1", period: "hourly" })],
    }),
  );
  house.clock.pass(HOUR - 2 * SECOND);
  await house.accounts.heartbeat();
  for (const id of ["i-0a1", "i-0a2"])
    house.accounts.containers.seen(container({ id, start: house.accounts.now() }));
  await watch(house, 5);
  const [coverage] = house.accounts.countingContainer({ provider: "aws" } as never);
  house.clock.pass(SECOND / 2);
  const { settled } = house.accounts.view().balance(coverage?.account ?? "", later(TEN, HOUR));
  t.is(BigInt(settled), 3_500_000n);
});
