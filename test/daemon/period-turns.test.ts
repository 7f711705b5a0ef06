// D34: no job resets a budget at midnight; its period is found by the clock, and the log says that it turned.

import test from "ava";
import { PeriodTurns } from "../../src/daemon/period-turns.ts";
import { DAY, durationUs, HOUR, type Instant, later } from "../../src/metering/time.ts";
import { budget, policy, TEN } from "../support/policies.ts";

const BUDGETS = [
  budget("day", { limit_usd: "1", period: "daily" }),
  budget("other-day", { limit_usd: "2", period: "daily" }),
  budget("hour", { limit_usd: "1", period: "hourly" }),
  budget("ever", { limit_usd: "1", period: "infinite" }),
];

function watched() {
  const lines: Record<string, unknown>[] = [];
  const world = { at: TEN as Instant, policy: policy({ upstreams: [], budgets: BUDGETS }) };
  const turns = new PeriodTurns({
    log: { info: (line: object) => void lines.push(line as Record<string, unknown>) } as never,
    policy: () => world.policy,
    now: () => world.at,
  });
  const pass = (time: number) => {
    world.at = later(world.at, durationUs(time));
    turns.look();
    return lines.splice(0).map(({ period, budgets }) => [period, budgets]);
  };
  return { world, turns, pass };
}

test("D34: each turn is told once, with the budgets that turned, at the first heartbeat at or after it", (t) => {
  const { pass } = watched();
  t.deepEqual(pass(HOUR - 1), []);
  t.deepEqual(pass(1), [["hourly", ["hour"]]]);
  t.deepEqual(pass(1), []);
  t.deepEqual(pass(DAY), [
    ["daily", ["day", "other-day"]],
    ["hourly", ["hour"]],
  ]);
});

test("a budget that a reload brings, or a new time zone, is no turn", (t) => {
  const { world, pass } = watched();
  const month = budget("month", { limit_usd: "1", period: "monthly" });
  world.policy = policy({ upstreams: [], budgets: [...BUDGETS, month], timezone: "Asia/Tokyo" });
  t.deepEqual(pass(1), []);
  t.deepEqual(pass(HOUR), [["hourly", ["hour"]]]);
});
