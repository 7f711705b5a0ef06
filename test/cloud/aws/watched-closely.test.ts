// How often AWS is asked while somebody watches, and while nobody does.

import test from "ava";
import { nim, Studio } from "../../support/clouds/aws-studio.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

async function studioOf(t: Parameters<typeof Studio.open>[0], callsPerMinute: number): Promise<Studio> {
  const studio = await Studio.open(t, [nim("flux")], false);
  studio.callsPerMinute = callsPerMinute;
  studio.fake.world.group("pool", { desired: 1 });
  studio.fake.world.service("flux", "pool", { desired: 1 });
  await studio.begin();
  await studio.pass(10 * MINUTE);
  studio.fake.log.length = 0;
  return studio;
}

/** Somebody asks so often for two minutes. */
async function watched(studio: Studio, everyMs: number): Promise<void> {
  for (let passed = 0; passed < 2 * MINUTE; passed += everyMs) {
    studio.containers.glance();
    await studio.pass(everyMs);
  }
}

const looksAt = (studio: Studio, action: string) => studio.fake.log.filter((one) => one === action).length;

test("while somebody watches it is looked at every 5 s, however often they ask; afterwards every minute", async (t) => {
  const studio = await studioOf(t, 600);
  await watched(studio, SECOND);
  for (const action of ["ecs:DescribeServices", "autoscaling:DescribeAutoScalingGroups"]) {
    const looks = looksAt(studio, action);
    t.true(looks >= 20 && looks <= 25, `${looks} of ${action}`);
  }
  studio.fake.log.length = 0;
  await studio.pass(4 * MINUTE);
  t.true(looksAt(studio, "ecs:DescribeServices") <= 5);
});

test("what others do is seen within 5 s while somebody watches", async (t) => {
  const studio = await studioOf(t, 600);
  studio.containers.glance();
  await studio.pass(2 * SECOND);
  studio.fake.world.setService("flux", 0);
  await studio.pass(40 * SECOND);
  t.is(studio.state("flux"), "ready", "nobody has looked");
  studio.containers.glance();
  await studio.pass(SECOND);
  t.is(studio.state("flux"), "off");
});

test("watching takes no more than half of calls_per_minute", async (t) => {
  const studio = await studioOf(t, 60);
  await watched(studio, SECOND);
  const calls = studio.fake.log.length;
  t.true(calls <= 60 && calls >= 20, `${calls} calls in two minutes`);
});
