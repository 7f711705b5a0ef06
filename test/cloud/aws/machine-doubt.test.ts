// Machines of this gateway's own that once stayed up for good: orders whose answers were lost, refusals, dry
// runs that ended, and gateways that were killed before they had seen what there was.

import test, { type ExecutionContext } from "ava";
import type { Lifecycle } from "../../../src/policy/container.ts";
import { desired, IDLE, LIFECYCLE, studioOf as openStudio } from "../../support/clouds/group-studio.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const SET = "autoscaling:SetDesiredCapacity";

const studioOf = (t: ExecutionContext, lifecycle: Lifecycle, desiredThen = 0, isCounted = false) =>
  openStudio(t, lifecycle, desiredThen, isCounted);

test("a dry run leaves up what is to be turned off, says so, and does not forget it", async (t) => {
  const studio = await studioOf(t, IDLE);
  await studio.order("start", "flux");
  await studio.pass(5 * MINUTE);
  studio.fake.world.setService("flux", 0);
  studio.dryRun = "providers.aws.dry_run";
  await studio.pass(30 * MINUTE);
  t.deepEqual([desired(studio), studio.machine?.view.state], [1, "ready"]);
  t.deepEqual(studio.said, ["providers.aws.dry_run: would turn off machine pool; nothing was changed"]);
  studio.dryRun = undefined;
  await studio.pass(3 * MINUTE);
  t.is(desired(studio), 0);
});

test("a dry run turns off no machine by an order to a container that is off already", async (t) => {
  const studio = await studioOf(t, LIFECYCLE, 1);
  await studio.pass(5 * MINUTE);
  studio.fake.world.setService("flux", 0);
  await studio.pass(5 * MINUTE);
  studio.dryRun = "providers.aws.dry_run";
  t.like(await studio.order("stop", "flux"), { kind: "refused" });
  await studio.pass(2 * MINUTE);
  t.is(desired(studio), 1);
});

test("one that may not be turned off is tried again each hour, and by the next gateway", async (t) => {
  for (const isKilled of [false, true]) {
    const studio = await studioOf(t, LIFECYCLE);
    await studio.order("start", "flux");
    await studio.pass(5 * MINUTE);
    studio.fake.denied.add(SET);
    await studio.order("stop", "flux");
    await studio.pass(5 * MINUTE);
    t.deepEqual([desired(studio), studio.machine?.view.state], [1, "failed"]);
    t.is(studio.fake.log.filter((action) => action === SET).length, 2, "not again and again");
    studio.fake.denied.clear();
    if (isKilled) await studio.crash(MINUTE);
    await studio.pass(isKilled ? 3 * MINUTE : 61 * MINUTE);
    t.is(desired(studio), 0);
  }
});

test("an order to raise whose answer is lost leaves no machine up that nobody is told of", async (t) => {
  const studio = await studioOf(t, LIFECYCLE);
  studio.fake.faults.set(SET, { kind: "cut" });
  t.like(await studio.order("start", "flux"), { kind: "refused" });
  studio.fake.faults.clear();
  // It had arrived.
  studio.fake.world.setGroup("pool", 1);
  await studio.pass(5 * MINUTE);
  t.is(desired(studio), 0);
});

test("what was told to stop before its machine was seen is remembered with whose that was", async (t) => {
  const studio = await studioOf(t, LIFECYCLE, 1);
  await studio.pass(5 * MINUTE);
  await studio.order("stop", "flux");
  await studio.pass(3 * SECOND);
  const { faults } = studio.fake;
  const blind = () => faults.set("autoscaling:DescribeAutoScalingGroups", { kind: "cut" });
  await studio.crash(20 * SECOND, blind);
  studio.fake.world.setService("flux", 1);
  await studio.pass(3 * MINUTE);
  t.like(await studio.order("stop", "flux"), { kind: "ordered" });
  await studio.crash(20 * SECOND, () => faults.clear());
  await studio.pass(5 * MINUTE);
  t.is(desired(studio), 0);
});

test("killed before AWS showed its order: what comes then is still its own", async (t) => {
  const studio = await studioOf(t, IDLE);
  const { world } = studio.fake;
  const before = structuredClone(world.state);
  const until = world.now + 20 * SECOND;
  Object.defineProperty(world, "seen", { get: () => (world.now < until ? before : world.state) });
  await studio.order("start", "flux");
  await studio.crash(2 * SECOND, () => world.setService("flux", 0));
  await studio.pass(20 * MINUTE);
  t.is(desired(studio), 0);
});

test("what leaves the policy while it is on its way up is watched and charged when it comes", async (t) => {
  const studio = await studioOf(t, IDLE, 0, true);
  const [group] = studio.fake.world.state.groups;
  Object.assign(group ?? {}, { isSoldOut: true });
  await studio.order("start", "flux");
  studio.containers.follow({ ...studio.policy, upstreams: new Map() });
  await studio.pass(30 * SECOND);
  Object.assign(group ?? {}, { isSoldOut: false });
  await studio.pass(5 * MINUTE);
  t.true(studio.billed > 200_000_000n);
  studio.fake.world.setGroup("pool", 0);
  await studio.pass(3 * MINUTE);
  t.is(studio.posted, studio.billed);
});
