// Who needs a machine is asked anew before it is turned off, and what an order raised in vain goes again.

import test from "ava";
import { nim, Studio } from "../../support/clouds/aws-studio.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

test("a machine that was raised for a container that may not be started is turned off again", async (t) => {
  const studio = await Studio.open(t, [nim("flux")]);
  const { world, denied } = studio.fake;
  world.group("pool");
  world.service("flux", "pool");
  await studio.begin();
  denied.add("ecs:UpdateService");
  t.like(await studio.order("start", "flux"), { kind: "refused", trouble: "denied" });
  t.is(world.state.groups[0]?.desired, 1);
  await studio.pass(5 * MINUTE);
  t.is(world.state.groups[0]?.desired, 0);
  t.is(studio.machine?.view.state, "off");
  t.is(studio.posted, studio.billed);
});

test("a machine that others had up stays when a container on it may not be started", async (t) => {
  const studio = await Studio.open(t, [nim("flux")], false);
  const { world, denied } = studio.fake;
  world.group("pool", { desired: 1 });
  world.service("flux", "pool");
  await studio.begin();
  await studio.pass(3 * MINUTE);
  denied.add("ecs:UpdateService");
  t.like(await studio.order("start", "flux"), { kind: "refused" });
  await studio.pass(5 * MINUTE);
  t.is(world.state.groups[0]?.desired, 1);
});

test("what somebody else starts there in the last seconds keeps the machine", async (t) => {
  const studio = await Studio.open(t, [nim("flux"), nim("sdxl")], false);
  const { world } = studio.fake;
  world.group("pool", { desired: 1 });
  world.service("flux", "pool", { desired: 1 });
  world.service("sdxl", "pool");
  await studio.begin();
  await studio.pass(5 * MINUTE);
  await studio.order("stop", "flux");
  while (studio.state("flux") !== "off") await studio.pass(SECOND);
  await studio.pass(10 * SECOND);
  world.setService("sdxl", 1);
  await studio.pass(5 * MINUTE);
  t.is(world.state.groups[0]?.desired, 1);
  t.deepEqual(studio.machine?.needs, ["sdxl is ready"]);
  world.setService("sdxl", 0);
  await studio.pass(3 * MINUTE);
  t.is(world.state.groups[0]?.desired, 0);
});

test("what a dry run would do is told once an hour, however often it is tried", async (t) => {
  const studio = await Studio.open(t, [nim("flux")], false);
  const { world } = studio.fake;
  world.group("pool");
  world.service("flux", "pool");
  await studio.begin();
  studio.dryRun = "providers.aws.dry_run";
  for (let minute = 0; minute < 61; minute += 1) {
    t.like(await studio.order("start", "flux"), { kind: "refused" });
    await studio.pass(MINUTE);
  }
  t.is(studio.said.length, 2);
});
