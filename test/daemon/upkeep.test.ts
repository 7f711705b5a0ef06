// What stops by itself, and what is kept up: idle time, windows of the week, spent budgets. Through real
// watches, fleet, waiting room and accounts; time moves when the test says so.

import test from "ava";
import { Trouble } from "../../src/cloud/adapter.ts";
import { hourlyRate } from "../../src/metering/money.ts";
import { type DurationUs, type Instant, MINUTE, seconds } from "../../src/metering/time.ts";
import type { Upstream } from "../../src/policy/policy.ts";
import { type BudgetSketch, budget, model, policy, TEN, usd } from "../support/policies.ts";
import { sleeper, WakeRig } from "../support/wake-rig.ts";

const IDLE = { stopAfterIdle: (2 * MINUTE) as DurationUs };
/** TEN is a Sunday: 2026-11-22 10:00 UTC. */
const WARM = { keepWarm: { firstDay: 7, lastDay: 7, opens: 10 * 60 + 1, closes: 10 * 60 + 5 } };

async function rigOf(
  nim: Upstream,
  over: Partial<BudgetSketch> = {},
  start: Instant = TEN,
): Promise<WakeRig> {
  const budgets = [budget("day", { limit_usd: "100", ...over })];
  const rig = new WakeRig(policy({ upstreams: [nim], models: [model("flux-dev", ["nim"])], budgets }), start);
  await rig.begin();
  return rig;
}

test("B53: one that was woken is stopped after its idle time, and its ledger is its lease", async (t) => {
  const rig = await rigOf(sleeper("nim", IDLE));
  const one = rig.ask("a");
  await rig.live(40);
  one.end();
  await rig.live(115);
  t.is(rig.states().nim, "ready");
  await rig.live(15);
  t.is(rig.states().nim, "off");
  t.true(
    rig.logged.includes("container of nim is stopped: idle for 2 min (stop_after_idle)"),
    rig.logged.join("\n"),
  );
  const lease = await rig.leaseOf("nim");
  t.is(
    Object.values(rig.kinds()).reduce((sum, amount) => sum + amount, 0n),
    lease,
  );
});

test("A31, X24: without stop_after_idle nothing is stopped, however long it idles, and it costs on", async (t) => {
  const rig = await rigOf(sleeper("nim"));
  const one = rig.ask("a");
  await rig.live(40);
  one.end();
  await rig.live(3 * 3600);
  t.is(rig.states().nim, "ready");
  t.deepEqual(rig.engine("nim").orders, ["start"]);
  t.true((rig.kinds().idle ?? 0n) > 0n);
});

test("it is never stopped while a request runs, nor while one waits", async (t) => {
  const rig = await rigOf(sleeper("nim", IDLE, { concurrency: 1 }));
  const [runs] = [rig.ask("a"), rig.ask("b")];
  await rig.live(400);
  t.deepEqual(rig.engine("nim").orders, ["start"]);
  runs.end();
  await rig.live(300);
  t.deepEqual(rig.engine("nim").orders, ["start"], "the second one runs now");
});

test("a request that came and went between two looks counts as use", async (t) => {
  const rig = await rigOf(sleeper("nim", IDLE));
  rig.ask("a");
  await rig.live(40);
  for (let minute = 0; minute < 10; minute += 1) {
    const one = rig.ask(`b${minute}`);
    await rig.settle();
    one.end();
    await rig.live(110);
  }
  t.deepEqual(rig.engine("nim").orders, ["start"]);
});

test("what was up before the gateway looked is idle for as long as its lease says", async (t) => {
  const rig = new WakeRig(policy({ upstreams: [sleeper("nim", { ...IDLE, wake: "never" })] }));
  const start = (TEN - 90 * 1_000_000) as Instant;
  Object.assign(rig.engine("nim"), { since: start, serving: start });
  await rig.begin();
  await rig.live(10);
  const { upstream: nim, view } = rig.containers.list()[0] ?? {};
  if (nim === undefined || view === undefined) return t.fail();
  t.is(rig.lifecycle.idle({ upstream: nim, view })?.since, start);
  await rig.live(30);
  t.is(rig.states().nim, "off");
});

test("a stop that is refused is tried again, a minute later", async (t) => {
  const rig = await rigOf(sleeper("nim", IDLE));
  const one = rig.ask("a");
  await rig.live(40);
  one.end();
  rig.engine("nim").refusal = new Trouble("throttled", "too many calls");
  await rig.live(135);
  t.deepEqual(rig.engine("nim").orders, ["start", "stop"]);
  rig.engine("nim").refusal = undefined;
  await rig.live(65);
  t.deepEqual(rig.engine("nim").orders, ["start", "stop", "stop"]);
});

test("it is started when its window opens, kept while that is open, and idle again afterwards", async (t) => {
  const rig = await rigOf(sleeper("nim", { ...IDLE, ...WARM, wake: "never" }));
  await rig.live(55);
  t.is(rig.states().nim, "off");
  await rig.live(50);
  t.is(rig.states().nim, "ready");
  await rig.live(190);
  t.is(rig.states().nim, "ready", "idle for longer than it may, in its window");
  await rig.live(30);
  t.is(rig.states().nim, "off");
  t.deepEqual(rig.engine("nim").orders, ["start", "stop"]);
});

test("who stops it by hand in its window is not overruled; what dies by itself is started again", async (t) => {
  const rig = await rigOf(sleeper("nim", { ...WARM, wake: "never" }));
  await rig.live(110);
  await rig.containers.order("stop", "nim");
  await rig.live(60);
  t.deepEqual(rig.engine("nim").orders, ["start", "stop"]);
});

test("while all spending is stopped no window starts anything", async (t) => {
  const rig = await rigOf(sleeper("nim", { ...WARM, wake: "never" }));
  rig.accounts.stopped = { by: "ops", at: rig.accounts.now() };
  await rig.live(100);
  t.deepEqual(rig.engine("nim").orders, []);
});

test("a spent budget with stop_idle stops what idles on its money, and no window starts it", async (t) => {
  const nim = sleeper("nim", { ...WARM, wake: "never" });
  for (const [stopIdle, orders] of [
    [true, ["start", "stop"]],
    [false, ["start"]],
  ] as const) {
    // 100 s of it: some of the start, and then idle time.
    const rig = await rigOf(nim, { limit_usd: "0.1", stopIdle });
    await rig.live(140);
    t.is(rig.states().nim, "ready");
    await rig.live(90);
    t.deepEqual(rig.engine("nim").orders, orders);
  }
});

test("a budget that refuses just below its limit stops what idles on its money, once it has refused", async (t) => {
  const idleRate = hourlyRate(usd("0.036"));
  for (const onLimit of ["block", "queue"] as const) {
    const rig = await rigOf(sleeper("nim", {}, { idleRate }), { limit_usd: "0.1", stopIdle: true, onLimit });
    const one = rig.ask("a");
    await rig.live(95);
    one.end();
    await rig.live(60);
    t.deepEqual(rig.engine("nim").orders, ["start"], "less than its limit is spent, and nobody was refused");
    rig.ask("b");
    await rig.live(10);
    t.deepEqual(rig.engine("nim").orders, ["start", "stop"], onLimit);
    const why = "container of nim is stopped: idle, and budget day has too little left for the last request";
    t.true(rig.logged.includes(`${why} (stop_idle)`), rig.logged.join("\n"));
  }
});

test("it is not stopped for a spent budget while a request runs there", async (t) => {
  const rig = await rigOf(sleeper("nim"), { limit_usd: "0.2", stopIdle: true, onLimit: "warn" });
  const one = rig.ask("a");
  await rig.live(300);
  t.is(rig.states().nim, "ready", "nor told to stop once nobody runs there");
  one.end();
  await rig.live(10);
  t.deepEqual(rig.engine("nim").orders, ["start", "stop"]);
});

test("a budget that does not count its money stops nothing", async (t) => {
  for (const over of [{ includeIdle: false }, { when: { user: "a" } }, { when: { provider: "azure" } }]) {
    const rig = await rigOf(sleeper("nim"), { limit_usd: "0.09", stopIdle: true, onLimit: "warn", ...over });
    const one = rig.ask("a");
    await rig.live(100);
    one.end();
    await rig.live(100);
    t.deepEqual(rig.engine("nim").orders, ["start"], JSON.stringify(over));
  }
});

test("a start that never served is stopped too: it costs on", async (t) => {
  const rig = await rigOf(sleeper("nim", { ...IDLE, startupTimeout: seconds(40) }));
  rig.engine("nim").serves = undefined;
  rig.ask("a");
  await rig.live(60);
  t.is(rig.states().nim, "failed");
  await rig.live(130);
  t.deepEqual(rig.engine("nim").orders, ["start", "stop"]);
});
