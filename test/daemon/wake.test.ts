// A request to a container that is off: started once for all who wait, its start-up held, shared and charged
// once, whatever becomes of it. Through the real exchange, waiting room, fleet, watches and accounts.

import test from "ava";
import { Trouble } from "../../src/cloud/adapter.ts";
import { type DurationUs, HOUR, type Instant, seconds } from "../../src/metering/time.ts";
import type { Upstream } from "../../src/policy/policy.ts";
import { servable } from "../../src/proxy/servable.ts";
import {
  type BudgetSketch,
  budget,
  model,
  perHour,
  policy,
  TEN,
  upstream,
  usd,
} from "../support/policies.ts";
import { sleeper, WakeRig } from "../support/wake-rig.ts";

const day = (over: Partial<BudgetSketch> = {}) => budget("day", { limit_usd: "100", ...over });

async function rigOf(upstreams: readonly Upstream[], budgets = [day()]): Promise<WakeRig> {
  const rig = new WakeRig(
    policy({
      upstreams,
      models: [
        model(
          "flux-dev",
          upstreams.map(({ id }) => id),
        ),
      ],
      budgets,
    }),
  );
  await rig.begin();
  return rig;
}

/** All that was held is given back. */
function held(rig: WakeRig): bigint {
  return [...rig.disk.balances.values()].reduce((sum, one) => sum + one.held, 0n);
}

function sum(entries: readonly { readonly amount: bigint }[]): bigint {
  return entries.reduce((all, { amount }) => all + amount, 0n);
}

for (const concurrency of [1, 50, undefined]) {
  test(`50 requests to a cold container start it once and are all served, ${concurrency ?? "any"} at a time`, async (t) => {
    const rig = await rigOf([sleeper("nim", {}, { concurrency })]);
    const asked = Array.from({ length: 50 }, (_, index) => rig.ask(`r${index}`));
    await rig.settle();
    t.deepEqual(rig.states(), { nim: "starting" });
    t.is(rig.wakes.waiting("nim"), concurrency === 1 ? 1 : 50);
    t.is(rig.wakes.waiting("nim") + rig.room.waitingFor("nim"), 50);
    await rig.live(40);
    t.deepEqual(rig.engine("nim").orders, ["start"]);
    t.is(rig.states().nim, "ready");
    for (let round = 0; round < 50; round += 1) {
      for (const one of asked) one.end();
      await rig.settle();
    }
    t.true(
      asked.every(({ exchanged }) => exchanged?.kind === "sent" && exchanged.ending.outcome === "relayed"),
    );
    t.is(new Set(rig.served).size, 50);
    await rig.containers.order("stop", "nim");
    await rig.live(10);
    t.is(rig.states().nim, "off");
    const lease = await rig.leaseOf("nim");
    const { startup = 0n, settled = 0n, idle = 0n } = rig.kinds();
    t.is(startup + settled + idle, lease, "to the nano-dollar");
    // Whoever waits pays all of its start, once: what does not divide is the container's, less than a nano-dollar each.
    const [{ state } = { state: undefined }] = [...rig.disk.containers.values()];
    const start = state?.phase.kind === "ready" ? BigInt(state.phase.at - state.start) : 0n;
    t.true(start >= 27_000_000n && start <= 30_000_000n);
    t.true(startup > start - 50n && startup <= start, `${startup} of ${start}`);
    if (concurrency === 1) t.is(startup, start);
    t.is(held(rig), 0n);
  });
}

test("A70: the address is read once it serves, and the reply says how long it waited", async (t) => {
  const rig = await rigOf([sleeper("nim")]);
  const one = rig.ask("a");
  await rig.live(40);
  t.is(one.attempt?.upstream.url, "http://10.0.0.1:8000");
  const waited = one.attempt?.headers.find(([name]) => name === "X-BudgetGuard-Waited-Seconds")?.[1];
  t.true(Number(waited) >= 30 && Number(waited) < 33, waited);
  one.end();
});

test("start and minimum are held before it is ordered, and one that does not fit starts nothing", async (t) => {
  const dear = { minBilled: seconds(300) };
  const rig = await rigOf([sleeper("nim", {}, dear)], [day({ limit_usd: "0.299" })]);
  const refused = rig.ask("a");
  await rig.settle();
  t.like(refused.exchanged, { kind: "refused", breach: { needed: usd("0.300") } });
  t.deepEqual(rig.engine("nim").orders, []);
  const enough = await rigOf([sleeper("nim", {}, dear)], [day({ limit_usd: "0.300" })]);
  enough.ask("b");
  await enough.settle();
  t.deepEqual(enough.engine("nim").orders, ["start"]);
  t.is(held(enough), usd("0.300"));
});

test("a client that leaves pays its share of the start-up, and the container stays on for others", async (t) => {
  const rig = await rigOf([sleeper("nim")]);
  const [stays, leaves] = [rig.ask("stays"), rig.ask("leaves")];
  await rig.live(13);
  leaves.leave();
  await rig.settle();
  t.like(leaves.exchanged, {
    kind: "sent",
    ending: { outcome: "aborted" },
    relayed: { fault: { kind: "client_gone" } },
  });
  const paid = rig.disk.entries.filter(({ request, kind }) => request === "leaves" && kind === "startup");
  // Up for 10 s of the 13, and shared by two.
  t.is(sum(paid), 5_000_000n);
  await rig.live(27);
  t.is(stays.attempt?.upstream.id, "nim");
  stays.leave();
  t.deepEqual(rig.engine("nim").orders, ["start"]);
});

test("nobody waits any more: it becomes ready all the same, and its start is the container's own", async (t) => {
  const rig = await rigOf([sleeper("nim")]);
  const one = rig.ask("a");
  await rig.live(1);
  one.leave();
  await rig.live(40);
  t.is(rig.states().nim, "ready");
  t.is(
    rig.disk.entries.filter(
      ({ request, amount, kind }) =>
        request === "a" && kind !== "reserved" && kind !== "extended" && amount > 0n,
    ).length,
    0,
  );
  t.true((rig.kinds().startup ?? 0n) >= 27_000_000n);
});

test("a start that is refused costs nothing, and the next candidate serves", async (t) => {
  const rig = await rigOf([sleeper("cheap"), upstream("dear", { price: perHour("36") })]);
  rig.engine("cheap").refusal = new Trouble("denied", "the gateway may not start it: give it the role");
  const one = rig.ask("a");
  await rig.settle();
  t.deepEqual(rig.served, ["a@dear"]);
  await rig.pass(3);
  one.end();
  await rig.settle();
  t.like(one.exchanged, {
    kind: "sent",
    ending: { outcome: "relayed" },
    settlement: { charged: usd("0.030") },
  });
  t.deepEqual(rig.kinds(), { settled: usd("0.030") });
  t.is(held(rig), 0n);
  // It rests: the next one does not try it again at once.
  rig.ask("b");
  await rig.settle();
  t.deepEqual(rig.served, ["a@dear", "b@dear"]);
  t.deepEqual(rig.engine("cheap").orders, ["start"]);
});

test("no other candidate: it is told why, and what to do", async (t) => {
  const rig = await rigOf([sleeper("nim")]);
  rig.engine("nim").refusal = new Trouble("denied", "the gateway may not start it: give it the role");
  const one = rig.ask("a");
  await rig.settle();
  t.like(one.exchanged, { kind: "no_upstream", last: { upstream: "nim", why: "not_started" } });
  // A client that polls for readiness must come and be told.
  const found = servable(
    rig.policy,
    model("flux-dev", ["nim"]),
    rig.fleet.candidates(rig.policy, model("flux-dev", ["nim"])),
  );
  t.is(found?.id, "nim");
  const why = one.exchanged?.kind === "no_upstream" ? one.exchanged.last?.cause.message : "";
  t.is(why, "its container could not be started: the gateway may not start it: give it the role");
});

test("one that never serves: after startup_timeout its start is charged, and the next candidate serves", async (t) => {
  const slow = sleeper("slow", { startupTimeout: seconds(40) });
  const rig = await rigOf([slow, upstream("dear", { price: perHour("360") })]);
  rig.engine("slow").serves = undefined;
  const one = rig.ask("a");
  await rig.live(39);
  t.deepEqual(rig.served, []);
  await rig.live(5);
  t.deepEqual(rig.served, ["a@dear"]);
  one.end();
  await rig.settle();
  const startup = rig.disk.entries.filter(({ request, kind }) => request === "a" && kind === "startup");
  const paid = sum(startup);
  t.true(paid >= 36_000_000n && paid <= 39_000_000n, String(paid));
  // The record says what both attempts cost, and it counts as one request.
  const record = rig.disk.endings.get("a");
  const all = rig.disk.entries.filter(
    ({ request, kind }) => request === "a" && ["settled", "startup"].includes(kind),
  );
  t.is(BigInt(record?.charged ?? 0n), sum(all));
  t.is(all.filter(({ isLast }) => isLast).length, 1);
  t.is(held(rig), 0n);
});

test("the time is over even where its provider has nothing to say", async (t) => {
  const rig = await rigOf([sleeper("nim", { startupTimeout: seconds(40) })]);
  rig.engine("nim").boots = undefined;
  const one = rig.ask("a");
  await rig.live(45);
  t.like(one.exchanged, { kind: "no_upstream", last: { why: "not_started" } });
  t.deepEqual(rig.kinds(), {});
  t.is(rig.disk.decisions.get("a")?.outcome, "no_upstream");
});

test("one that dies while it starts: its start is charged up to then, and the client is told", async (t) => {
  const rig = await rigOf([sleeper("nim")]);
  const one = rig.ask("a");
  await rig.live(13);
  rig.engine("nim").died(rig.accounts.now());
  await rig.live(5);
  t.like(one.exchanged, { kind: "no_upstream", last: { why: "not_started" } });
  const lease = await rig.leaseOf("nim");
  t.deepEqual(rig.kinds(), { startup: lease });
  t.is(BigInt(rig.disk.endings.get("a")?.charged ?? 0n), lease, "what the record says");
  t.is(held(rig), 0n);
});

test("a budget cuts one that waits: its start-up is settled, and it held no more than there was", async (t) => {
  const rig = await rigOf(
    [sleeper("nim", { startupEstimate: seconds(5) })],
    [day({ limit_usd: "0.020", overrun: "cut" })],
  );
  const one = rig.ask("a");
  await rig.live(30);
  t.like(one.exchanged, { kind: "sent", ending: { outcome: "cut" }, relayed: { fault: { kind: "cut" } } });
  const paid = rig.disk.endings.get("a")?.charged ?? 0n;
  t.true(paid > 0n && paid <= usd("0.020"), String(paid));
  t.is(held(rig), 0n);
});

test("while all spending is stopped nothing is started; stopped in between, the wait is cut and charged", async (t) => {
  const rig = await rigOf([sleeper("nim")]);
  rig.accounts.stopped = { by: "ops", at: rig.accounts.now() };
  const refused = rig.ask("a");
  await rig.settle();
  t.is(refused.exchanged?.kind, "stopped");
  t.deepEqual(rig.engine("nim").orders, []);
});

test("nor does an operator start what costs: it is said who stopped spending, and what to do first", async (t) => {
  const free = { price: perHour("0"), idleRate: usd("0") as never };
  const rig = await rigOf([sleeper("nim"), sleeper("free", {}, free)]);
  rig.accounts.stopped = { by: "admin", at: rig.accounts.now() };
  const why = "all spending is stopped by admin, and nim costs: budgetguard resume comes first";
  t.deepEqual(await rig.lifecycle.order("start", "nim"), { kind: "refused", why });
  t.deepEqual(rig.engine("nim").orders, []);
  t.like(await rig.lifecycle.order("start", "free"), { kind: "ordered" });
  t.is(await rig.lifecycle.order("start", "nobody"), undefined);
  rig.accounts.stopped = undefined;
  t.like(await rig.lifecycle.order("start", "nim"), { kind: "ordered" });
  await rig.live(40);
  rig.accounts.stopped = { by: "admin", at: rig.accounts.now() };
  t.like(await rig.lifecycle.order("start", "nim"), {
    kind: "refused",
    why: "it is ready: nothing to start",
  });
  t.like(await rig.lifecycle.order("stop", "nim"), { kind: "ordered" });
});

test("what is told to stop while it starts keeps nobody waiting", async (t) => {
  const rig = await rigOf([sleeper("nim")]);
  const one = rig.ask("a");
  await rig.live(10);
  await rig.containers.order("stop", "nim");
  await rig.settle();
  t.like(one.exchanged, { kind: "no_upstream", last: { why: "not_started" } });
});

test("who comes while it is being stopped waits until it is off, and starts it anew", async (t) => {
  const rig = await rigOf([sleeper("nim")]);
  const first = rig.ask("a");
  await rig.live(40);
  first.end();
  await rig.settle();
  await rig.containers.order("stop", "nim");
  const second = rig.ask("b");
  await rig.settle();
  t.is(rig.room.waitingFor("nim"), 1);
  await rig.live(45);
  t.deepEqual(rig.engine("nim").orders, ["start", "stop", "start"]);
  t.is(second.attempt?.upstream.url, "http://10.0.0.2:8000");
});

test("A28, X25: how long it took is learned, and is what the next start is held and ranked by", async (t) => {
  const rig = await rigOf([sleeper("nim")]);
  const { upstream: nim } = rig.containers.list()[0] ?? { upstream: sleeper("nim") };
  t.is(rig.lifecycle.startUp(nim), seconds(60));
  rig.ask("a");
  await rig.live(40);
  const learned = rig.lifecycle.startUp(nim);
  t.true(learned >= seconds(27) && learned <= seconds(30), String(learned));
});

test("on a machine that has been up for hours a start takes what its container takes", async (t) => {
  const rig = await rigOf([sleeper("nim", {}, { minBilled: seconds(0) })]);
  const { upstream: nim } = rig.containers.list()[0] ?? { upstream: sleeper("nim") };
  rig.engine("nim").under = { id: "i-1", since: (TEN - 5 * HOUR) as Instant };
  rig.ask("a");
  await rig.live(10);
  const standing = rig.fleet.locate("nim");
  const left = standing !== undefined && "cold" in standing ? standing.cold?.startUp : undefined;
  t.true((left ?? 0) >= seconds(50), `${left} of 60 s are left after 10 s`);
  await rig.live(30);
  const learned = rig.lifecycle.startUp(nim);
  t.true(learned >= seconds(27) && learned <= seconds(31), String(learned));
});

test("a start is never expected to take longer than it may", async (t) => {
  const rig = await rigOf([sleeper("nim")]);
  const { upstream: nim } = rig.containers.list()[0] ?? { upstream: sleeper("nim") };
  rig.startups.learn("nim", (9 * HOUR) as DurationUs);
  t.is(rig.lifecycle.startUp(nim), nim.lifecycle?.startupTimeout ?? seconds(0));
});

test("one that nobody may start is down as before", async (t) => {
  const rig = await rigOf([sleeper("nim", { wake: "never" })]);
  const one = rig.ask("a");
  await rig.settle();
  t.like(one.exchanged, { kind: "no_upstream", last: undefined });
  t.deepEqual(rig.engine("nim").orders, []);
});
