// What EC2 says late or not at all: an instance that its list has not got yet, an end without a time.

import test, { type ExecutionContext } from "ava";
import { nim, Studio } from "../../support/clouds/aws-studio.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** Up for ten minutes, on an instance whose end EC2 will not tell. */
async function silent(t: ExecutionContext): Promise<Studio> {
  const studio = await Studio.open(t, [nim("flux")]);
  const { world } = studio.fake;
  world.group("pool", { desired: 1 });
  world.service("flux", "pool", { desired: 1 });
  await studio.begin();
  await studio.pass(10 * MINUTE);
  Object.assign(world.state.instances[0] ?? {}, { isSilent: true });
  return studio;
}

test("an instance of which EC2 tells no end costs until it was seen to have ended, not until its launch", async (t) => {
  const studio = await silent(t);
  const { world } = studio.fake;
  world.setGroup("pool", 0);
  await studio.pass(3 * MINUTE);
  t.is(studio.machine?.view.state, "off");
  const late = studio.posted - studio.billed;
  t.true(late >= 0n && late <= 70_000_000n, `${late} more than AWS bills`);
});

test("nor does one that ended while nobody watched: it costs until it was last seen", async (t) => {
  const studio = await silent(t);
  const { world } = studio.fake;
  const before = studio.billed;
  world.setService("flux", 0);
  world.setGroup("pool", 0);
  await studio.crash(20 * MINUTE);
  await studio.pass(3 * MINUTE);
  t.is(studio.machine?.view.state, "off");
  t.is(studio.posted, before);
  t.deepEqual(studio.findings(), []);
});

test("a task on an instance that EC2 does not know yet is starting, not gone", async (t) => {
  const studio = await Studio.open(t, [nim("flux", { machine: "flux" })], false);
  const { world } = studio.fake;
  world.group("pool", { desired: 1 });
  world.pass(4 * MINUTE);
  studio.clock.pass(4 * MINUTE * 1000);
  const [instance] = world.state.instances;
  Object.assign(instance ?? {}, { isUnlisted: true });
  world.service("flux", "pool");
  await studio.begin();
  t.is(studio.state("flux"), "off");
  await studio.order("start", "flux");
  await studio.pass(2 * MINUTE);
  t.like(studio.containers.find("flux")?.view, { state: { kind: "starting" }, why: undefined });
  Object.assign(instance ?? {}, { isUnlisted: false });
  await studio.pass(MINUTE);
  t.is(studio.state("flux"), "ready");
});
