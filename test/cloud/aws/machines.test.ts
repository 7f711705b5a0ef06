// Containers on one Auto Scaling group, from order to order: what is raised first and lowered last, what others
// do in between, and what all of it costs.

import test from "ava";
import fc from "fast-check";
import { seconds } from "../../../src/metering/time.ts";
import { nim, Studio } from "../../support/clouds/aws-studio.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

test("A29, A68, A69, A72, X26: a start raises the machine and then the container; the stop of the last one really turns it off", async (t) => {
  const studio = await Studio.open(t, [nim("flux"), nim("sdxl")]);
  const { fake } = studio;
  fake.world.group("pool");
  for (const name of ["flux", "sdxl"]) fake.world.service(name, "pool", { desired: 0 });
  await studio.begin();
  t.deepEqual([studio.state("flux"), studio.machine?.view.state], ["off", "off"]);
  fake.log.length = 0;
  t.deepEqual(await studio.order("start", "flux"), { kind: "ordered" });
  const orders = fake.log.filter((action) => /Set|Update/.test(action));
  t.deepEqual(orders, ["autoscaling:SetDesiredCapacity", "ecs:UpdateService"]);
  t.deepEqual([studio.state("flux"), studio.machine?.view.state], ["starting", "starting"]);
  await studio.pass(5 * MINUTE);
  t.deepEqual([studio.state("flux"), studio.machine?.view.state], ["ready", "ready"]);
  t.is(studio.containers.find("flux")?.view.url, "http://203.0.113.1:8000");
  t.deepEqual(studio.machine?.needs, ["flux is ready"]);
  await studio.order("start", "sdxl");
  await studio.pass(2 * MINUTE);
  t.is(studio.state("sdxl"), "ready");
  // Somebody still needs it.
  await studio.order("stop", "flux");
  await studio.pass(5 * MINUTE);
  t.deepEqual([studio.state("flux"), studio.machine?.view.state], ["off", "ready"]);
  t.is(fake.world.state.groups[0]?.desired, 1);
  t.deepEqual(studio.machine?.needs, ["sdxl is ready"]);
  // Nobody needs it any more.
  await studio.order("stop", "sdxl");
  await studio.pass(2 * MINUTE);
  t.is(fake.world.state.groups[0]?.desired, 0);
  t.deepEqual([studio.state("sdxl"), studio.machine?.view.state], ["off", "off"]);
  t.is(fake.world.state.instances.length, 1);
  t.is(studio.posted, studio.billed);
  t.deepEqual(studio.findings(), []);
});

test("one of them that is off already: its order turns the machine off, or says who keeps it up", async (t) => {
  const studio = await Studio.open(t, [nim("flux"), nim("sdxl")]);
  const { world } = studio.fake;
  world.group("pool", { desired: 1 });
  world.service("flux", "pool");
  world.service("sdxl", "pool", { desired: 1 });
  await studio.begin();
  await studio.pass(5 * MINUTE);
  t.deepEqual([studio.state("flux"), studio.state("sdxl")], ["off", "ready"]);
  t.deepEqual(await studio.order("stop", "flux"), {
    kind: "refused",
    why: "its machine pool stays: sdxl is ready",
  });
  // Somebody else stops the other one.
  world.setService("sdxl", 0);
  await studio.pass(3 * MINUTE);
  t.is(studio.machine?.view.state, "off");
  t.is(studio.posted, studio.billed);
});

test("who waits for a container keeps its machine", async (t) => {
  const studio = await Studio.open(t, [nim("flux"), nim("sdxl")], false);
  const { world } = studio.fake;
  world.group("pool", { desired: 1 });
  world.service("flux", "pool", { desired: 1 });
  world.service("sdxl", "pool");
  await studio.begin();
  await studio.pass(5 * MINUTE);
  studio.waiting.set("sdxl", 2);
  await studio.order("stop", "flux");
  await studio.pass(3 * MINUTE);
  t.deepEqual(studio.machine?.needs, ["2 requests wait for sdxl"]);
  t.is(world.state.groups[0]?.desired, 1);
  studio.waiting.clear();
  await studio.pass(3 * MINUTE);
  t.is(world.state.groups[0]?.desired, 0);
});

test("a toggling start and stop sends no order each time, and ends as the last one said", async (t) => {
  const studio = await Studio.open(t, [nim("flux")]);
  const { world, log } = studio.fake;
  world.group("pool");
  world.service("flux", "pool");
  await studio.begin();
  for (let round = 0; round < 20; round += 1) {
    await studio.order("start", "flux");
    await studio.pass(2 * SECOND);
    await studio.order("stop", "flux");
    await studio.pass(25 * SECOND);
  }
  const sent = log.filter((action) => action === "autoscaling:SetDesiredCapacity").length;
  t.true(sent <= 4 + 9, `${sent} orders in 9 minutes`);
  await studio.pass(5 * MINUTE);
  t.is(world.state.groups[0]?.desired, 0);
  t.is(studio.posted, studio.billed);
});

test("started and scaled by others: what is seen is charged, each instance for itself, and nothing is undone", async (t) => {
  const studio = await Studio.open(t, [nim("flux")]);
  const { world, log } = studio.fake;
  world.group("pool");
  world.service("flux", "pool");
  await studio.begin();
  world.setGroup("pool", 2);
  world.setService("flux", 1);
  await studio.pass(10 * MINUTE);
  t.is(studio.state("flux"), "ready");
  t.is(studio.machine?.view.instances.length, 2);
  world.setGroup("pool", 0);
  world.setService("flux", 0);
  await studio.pass(3 * MINUTE);
  t.is(studio.state("flux"), "off");
  t.false(log.some((action) => /Set|Update/.test(action)));
  t.is(studio.posted, studio.billed);
  t.is(studio.billed, 2n * 600_000_000n);
});

test("an instance that came and went between two looks costs what it lived, once", async (t) => {
  const studio = await Studio.open(t, [nim("flux")]);
  const { world } = studio.fake;
  world.group("pool");
  world.service("flux", "pool");
  await studio.begin();
  await studio.pass(5 * SECOND);
  world.setGroup("pool", 1);
  await studio.pass(7 * SECOND);
  world.setGroup("pool", 0);
  await studio.pass(3 * MINUTE);
  t.is(studio.billed, 60_000_000n, "a minute at least");
  t.is(studio.posted, studio.billed);
  await studio.crash(5 * MINUTE);
  await studio.pass(MINUTE);
  t.is(studio.posted, studio.billed);
});

test("an autoscaler that raises it again is told of, and what to do; it costs as long as it runs", async (t) => {
  const studio = await Studio.open(t, [nim("flux")]);
  const { world } = studio.fake;
  const group = world.group("pool", { desired: 1, tags: ["AmazonECSManaged"] });
  world.service("flux", "pool", { desired: 1 });
  await studio.begin();
  await studio.pass(5 * MINUTE);
  t.regex(studio.machine?.view.scaledByOthers ?? "", /managed scaling/);
  group.autoscaler = 1;
  await studio.order("stop", "flux");
  await studio.pass(5 * MINUTE);
  t.regex(
    studio.machine?.view.scaledByOthers ?? "",
    /raised again to 1 after it had been lowered.*managed scaling off/,
  );
  t.is(studio.machine?.view.instances.length, 1);
  group.autoscaler = undefined;
  await studio.order("stop", "flux");
  await studio.pass(3 * MINUTE);
  t.is(studio.machine?.view.state, "off");
  t.is(studio.posted, studio.billed);
});

test("a machine that may not be turned off is said to cost on, and why", async (t) => {
  const studio = await Studio.open(t, [nim("flux")], false);
  const { world } = studio.fake;
  world.group("pool", { desired: 1, min: 1 });
  world.service("flux", "pool", { desired: 1 });
  await studio.begin();
  await studio.pass(5 * MINUTE);
  await studio.order("stop", "flux");
  await studio.pass(2 * MINUTE);
  t.is(studio.machine?.view.state, "failed");
  t.regex(studio.machine?.view.why ?? "", /MinSize is 1.*costs on.*--min-size 0/);
  t.is(studio.machine?.view.instances.length, 1);
});

const lifecycle = {
  ...({ wake: "never", stopAfterIdle: "never", keepWarm: undefined } as const),
  ...{ startupEstimate: seconds(60), startupTimeout: seconds(18 * 60) },
};

test("a start that never becomes ready fails with its provider's reason, and costs what it costs", async (t) => {
  const studio = await Studio.open(t, [nim("flux", { lifecycle })]);
  const { world } = studio.fake;
  const group = world.group("pool", { isSoldOut: true });
  world.service("flux", "pool");
  await studio.begin();
  await studio.order("start", "flux");
  await studio.pass(16 * MINUTE);
  t.like(studio.machine?.view, { state: "failed", instances: [] });
  t.regex(studio.machine?.view.why ?? "", /no machine came within 15 min/);
  t.is(studio.state("flux"), "starting");
  t.regex(studio.containers.find("flux")?.view.why ?? "", /unable to place a task/);
  await studio.pass(3 * MINUTE);
  t.is(studio.state("flux"), "failed");
  t.regex(
    studio.containers.find("flux")?.view.why ?? "",
    /did not serve within 18 min \(ECS says: .*unable to place/,
  );
  t.is(studio.posted, 0n);
  // A machine comes after all.
  group.isSoldOut = false;
  await studio.pass(6 * MINUTE);
  t.deepEqual([studio.state("flux"), studio.machine?.view.state], ["ready", "ready"]);
});

test("a container that dies while it serves is starting again, says why, and its machine costs on", async (t) => {
  const studio = await Studio.open(t, [nim("flux")], false);
  const { world } = studio.fake;
  world.group("pool", { desired: 1 });
  const service = world.service("flux", "pool", { desired: 1 });
  await studio.begin();
  await studio.pass(5 * MINUTE);
  t.is(studio.state("flux"), "ready");
  service.health = "UNHEALTHY";
  world.kill("flux", "OutOfMemoryError: Container killed due to memory usage");
  await studio.pass(61 * SECOND);
  t.is(studio.state("flux"), "starting");
  t.regex(studio.containers.find("flux")?.view.why ?? "", /OutOfMemoryError/);
  t.is(studio.machine?.view.state, "ready");
  service.health = "HEALTHY";
  await studio.pass(2 * MINUTE);
  t.is(studio.state("flux"), "ready");
});

test("no answer is never off: the machine costs on while AWS is silent, and what ended meanwhile ended then", async (t) => {
  const studio = await Studio.open(t, [nim("flux")]);
  const { world, faults } = studio.fake;
  world.group("pool", { desired: 1 });
  world.service("flux", "pool", { desired: 1 });
  await studio.begin();
  await studio.pass(5 * MINUTE);
  faults.set("*", { kind: "error", status: 400, code: "AccessDeniedException" });
  await studio.pass(3 * MINUTE);
  t.deepEqual([studio.state("flux"), studio.machine?.view.state], ["ready", "ready"]);
  t.regex(studio.machine?.view.why ?? "", /may not do autoscaling:DescribeAutoScalingGroups/);
  const before = studio.posted;
  world.setGroup("pool", 0);
  world.setService("flux", 0);
  await studio.pass(3 * MINUTE);
  t.true(studio.posted > before);
  faults.clear();
  await studio.pass(2 * MINUTE);
  t.is(studio.machine?.view.state, "off");
  t.is(studio.posted, studio.billed);
});

test("a dry run says what it would do, and changes nothing", async (t) => {
  const studio = await Studio.open(t, [nim("flux")], false);
  const { world, log } = studio.fake;
  world.group("pool");
  world.service("flux", "pool");
  await studio.begin();
  studio.dryRun = "providers.aws.dry_run";
  const done = await studio.order("start", "flux");
  t.like(done, { kind: "refused" });
  t.regex(
    JSON.stringify(done),
    /dry run, nothing was changed: it would start flux.*pool.*providers\.aws\.dry_run/,
  );
  t.is(studio.said.length, 1);
  t.is(studio.state("flux"), "off");
  t.false(log.some((action) => /Set|Update/.test(action)));
});

test("without a machine group the instance under the task is what costs, from its launch", async (t) => {
  const studio = await Studio.open(t, [nim("flux", { machine: "flux" })]);
  const { world } = studio.fake;
  world.group("pool", { desired: 1 });
  world.service("flux", "pool");
  await studio.begin();
  await studio.pass(5 * MINUTE);
  t.is(studio.posted, 0n);
  await studio.order("start", "flux");
  await studio.pass(5 * MINUTE);
  t.is(studio.state("flux"), "ready");
  t.is(studio.containers.find("flux")?.machine, undefined);
  t.is(studio.posted, studio.billed);
  await studio.order("stop", "flux");
  await studio.pass(2 * MINUTE);
  const first = studio.posted;
  t.true(first < studio.billed, "after its stop nobody counts the instance");
  // It starts again on the same instance: no second is charged twice.
  await studio.order("start", "flux");
  await studio.pass(5 * MINUTE);
  t.is(studio.posted, studio.billed);
  t.deepEqual(studio.findings(), []);
});

const step = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("start flux", "stop flux", "start sdxl", "stop sdxl") },
  { weight: 2, arbitrary: fc.constantFrom("up", "down", "kill") },
  { weight: 1, arbitrary: fc.constantFrom("crash", "lag", "silence") },
);
const SEED = Number(process.env.LAW_SEED ?? 20261128);
const RUNS = Number(process.env.LAW_RUNS ?? 2);

test("whatever becomes of a machine, it costs what its provider bills, to the nano-dollar", async (t) => {
  t.timeout(60_000 * RUNS);
  const lives = fc.array(fc.tuple(step, fc.integer({ min: 70, max: 400 })), { minLength: 3, maxLength: 8 });
  const property = fc.asyncProperty(lives, async (steps) => {
    const studio = await Studio.open(t, [nim("flux"), nim("sdxl")]);
    const { world, faults } = studio.fake;
    world.group("pool");
    for (const name of ["flux", "sdxl"]) world.service(name, "pool");
    await studio.begin();
    for (const [what, time] of steps) {
      faults.clear();
      const [command, id = ""] = what.split(" ");
      if (command === "start" || command === "stop") await studio.order(command, id);
      if (what === "up") world.setGroup("pool", 2);
      if (what === "down") world.setGroup("pool", 0);
      if (what === "kill") world.kill("flux", "Essential container exited");
      if (what === "crash") await studio.crash(time * SECOND);
      if (what === "lag") world.lag = 5 * SECOND;
      if (what === "silence") faults.set("*", { kind: "error", status: 400, code: "AccessDeniedException" });
      await studio.pass(time * SECOND);
    }
    faults.clear();
    world.setGroup("pool", 0);
    for (const name of ["flux", "sdxl"]) world.setService(name, 0);
    await studio.pass(3 * MINUTE);
    if (studio.posted !== studio.billed) throw new Error(`posted ${studio.posted}, billed ${studio.billed}`);
    if (studio.findings().length > 0) throw new Error(studio.findings().join("\n"));
  });
  await fc.assert(property, { seed: SEED, numRuns: RUNS });
  t.pass();
});
