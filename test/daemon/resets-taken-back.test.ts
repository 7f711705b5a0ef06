// A container that was reset with its budget, and turns out to have stopped before or after that (MONEY §2, §4):
// what the stop takes back of forgiven idle is forgiven no more, what it takes back of later idle was never
// forgiven, and what is spent beside it counts. The same after every restart. LAW_SEED and LAW_RUNS repeat and
// lengthen it.

import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { budgetStates } from "../../src/daemon/budget-states.ts";
import { hourlyRate } from "../../src/metering/money.ts";
import { type Instant, later, MINUTE, SECOND, seconds } from "../../src/metering/time.ts";
import { container, watch } from "../support/containers.ts";
import { edited } from "../support/edited.ts";
import { begun, HandClock, type House, houseOf, RELAYED, restarted } from "../support/ledger.ts";
import { budget, model, perRequest, policy, TEN, task, upstream, usd } from "../support/policies.ts";

const rules = policy({
  upstreams: [
    upstream("aws", { hasContainer: true, gpuTier: "a10g" }),
    upstream("flux", { price: perRequest("0.01") }),
  ],
  models: [model("flux-dev", ["flux"])],
  budgets: [budget("it", { limit_usd: "1" })],
});

/** In seconds and in cents. */
interface Story {
  /** From its start to a quarter-hour. */
  readonly early: number;
  readonly idle: readonly [before: number, between: number, after: number];
  readonly spent: readonly [before: number, after: number, last: number];
  /** Another one after `between`; else it is only time. */
  readonly twice: boolean;
  /** After its start. */
  readonly stop: number;
  readonly restarts: readonly [before: boolean, after: boolean];
}

const stories: fc.Arbitrary<Story> = fc.record({
  early: fc.integer({ min: 1, max: 30 }),
  idle: fc.tuple(fc.integer({ min: 1, max: 9 }), fc.nat({ max: 5 }), fc.nat({ max: 9 })),
  spent: fc.tuple(fc.nat({ max: 2 }), fc.nat({ max: 2 }), fc.nat({ max: 2 })),
  twice: fc.boolean(),
  stop: fc.integer({ min: 1, max: 20 }),
  restarts: fc.tuple(fc.boolean(), fc.boolean()),
});

/** What the budget counts in the end, at 0.001 USD a second of idle, and what it should. */
async function told(t: ExecutionContext, story: Story): Promise<readonly [found: string[], due: string]> {
  const [first, between, after] = story.idle;
  const clock = new HandClock((TEN + 15 * MINUTE - story.early * SECOND) as Instant);
  let house = await houseOf(t, rules, clock);
  const start = house.accounts.now();
  const price = { kind: "hour", rate: hourlyRate(usd("3.6")), source: { kind: "policy" } } as const;
  const about = container({ start, price, idlePrice: price.rate });
  const again = async () => {
    house = await restarted(t, house);
    house.accounts.containers.seen(about);
  };
  house.accounts.containers.seen(about);
  await watch(house, first);
  await spend(house, story.spent[0]);
  await reset(house);
  await watch(house, between);
  if (story.twice) await reset(house);
  if (story.restarts[0]) await again();
  await spend(house, story.spent[1]);
  await watch(house, after);
  const length = first + between + after;
  const stop = Math.min(story.stop, length);
  house.accounts.containers.off("i-0a1", later(start, seconds(stop)));
  const found = [seen(house)];
  await spend(house, story.spent[2]);
  await house.accounts.heartbeat();
  const now = seen(house);
  if (story.restarts[1]) {
    house = await restarted(t, house);
    found.push(`${seen(house)} instead of ${now}`);
  }
  const counted = Math.max(0, stop - first - (story.twice ? between : 0));
  const due = BigInt(counted) * usd("0.001") + BigInt(story.spent[1]) * usd("0.01");
  const last = due + BigInt(story.spent[2]) * usd("0.01");
  return [found, story.restarts[1] ? `${due},${last} instead of ${last}` : `${due}`];
}

function seen(house: House): string {
  return String(budgetStates(house.policy, house.accounts.book, house.accounts.now())[0]?.settled);
}

async function reset(house: House): Promise<void> {
  await edited(house, { kind: "reset", budget: "it" });
}

async function spend(house: House, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) await (await begun(house, task())).settle(RELAYED);
}

const SEED = Number(process.env.LAW_SEED ?? 20261128);
const RUNS = Number(process.env.LAW_RUNS ?? 10);

test("what a stop takes back is taken of what was forgiven as far as that was, whatever else is spent", async (t) => {
  t.timeout(300_000);
  let wrong = "";
  const property = fc.asyncProperty(stories, async (story) => {
    const [found, due] = await told(t, story);
    if (String(found) === due) return true;
    wrong = `${found} is counted, and should be ${due}`;
    return false;
  });
  const { failed, counterexample } = await fc.check(property, { seed: SEED, numRuns: RUNS });
  t.false(failed, `${wrong}\n${JSON.stringify(counterexample)}`);
});

test("a stop before the reset, with more idle and more spent since, leaves what was spent", async (t) => {
  const story = { early: 30, twice: false, restarts: [true, true] } as const;
  const [found, due] = await told(t, { ...story, idle: [10, 0, 3], spent: [0, 2, 1], stop: 6 });
  t.is(String(found), due);
  t.is(due, `${usd("0.02")},${usd("0.03")} instead of ${usd("0.03")}`);
});
