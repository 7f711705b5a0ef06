// What a gateway that was killed still has to do to its machines, and whose machines it leaves alone: over an
// Auto Scaling group of AWS and a ledger on disk.

import test from "ava";
import { nim, Studio } from "../../support/clouds/aws-studio.ts";
import { desired, IDLE, LIFECYCLE, studioOf } from "../../support/clouds/group-studio.ts";
import { rows } from "../../support/ledger.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

test("a machine whose last container was told to stop is turned off by the next gateway", async (t) => {
  for (const hadStarted of [true, false]) {
    const studio = await studioOf(t, LIFECYCLE, hadStarted ? 0 : 1);
    if (hadStarted) await studio.order("start", "flux");
    await studio.pass(5 * MINUTE);
    t.is(studio.state("flux"), "ready");
    await studio.order("stop", "flux");
    await studio.pass(3 * SECOND);
    t.is(desired(studio), 1);
    await studio.crash(MINUTE);
    await studio.pass(3 * MINUTE);
    t.deepEqual([desired(studio), studio.machine?.view.state], [0, "off"]);
    t.is(studio.posted, studio.billed);
  }
});

test("one that was raised for a container that somebody else stopped is turned off after the idle time", async (t) => {
  for (const [lifecycle, left] of [
    [IDLE, 0],
    [LIFECYCLE, 1],
  ] as const) {
    const studio = await studioOf(t, lifecycle);
    await studio.order("start", "flux");
    await studio.pass(5 * MINUTE);
    studio.fake.world.setService("flux", 0);
    await studio.pass(5 * MINUTE);
    t.deepEqual([studio.state("flux"), desired(studio)], ["off", 1]);
    await studio.crash(2 * MINUTE);
    await studio.pass(8 * MINUTE);
    t.is(desired(studio), 1, "not before its idle time is over");
    await studio.pass(5 * MINUTE);
    t.is(desired(studio), left);
    t.is(studio.posted, studio.billed);
  }
});

test("killed before the machine that it raised came: it is still its own", async (t) => {
  const studio = await studioOf(t, IDLE);
  await studio.order("start", "flux");
  await studio.crash(2 * SECOND, () => studio.fake.world.setService("flux", 0));
  await studio.pass(15 * MINUTE);
  t.is(desired(studio), 0);
});

test("what others started is left alone, whatever stops when it is idle", async (t) => {
  const studio = await studioOf(t, IDLE, 1);
  await studio.pass(5 * MINUTE);
  studio.fake.world.setService("flux", 0);
  await studio.pass(20 * MINUTE);
  await studio.crash(MINUTE);
  await studio.pass(20 * MINUTE);
  t.is(desired(studio), 1);
});

test("a machine that others started while the gateway was away is not the one that it had to turn off", async (t) => {
  for (const others of [
    (studio: Studio) => {
      studio.fake.world.setGroup("pool", 0);
      studio.fake.world.pass(5 * MINUTE);
      studio.fake.world.setGroup("pool", 1);
    },
    (studio: Studio) => studio.fake.world.setGroup("pool", 2),
  ]) {
    const studio = await studioOf(t, IDLE);
    await studio.order("start", "flux");
    await studio.pass(5 * MINUTE);
    await studio.order("stop", "flux");
    await studio.pass(3 * SECOND);
    await studio.crash(20 * MINUTE, () => others(studio));
    const left = desired(studio);
    await studio.pass(20 * MINUTE);
    t.true(left !== 0 && desired(studio) === left);
  }
});

test("an instance that lived wholly while the gateway was away is charged, once, as an assumed gap", async (t) => {
  const studio = await studioOf(t, LIFECYCLE);
  const lived = () => {
    studio.fake.world.setGroup("pool", 1);
    studio.fake.world.pass(4 * MINUTE);
    studio.clock.pass(4 * MINUTE * 1000);
    studio.fake.world.setGroup("pool", 0);
  };
  await studio.pass(MINUTE);
  await studio.crash(10 * MINUTE, lived);
  await studio.pass(2 * MINUTE);
  t.true(studio.billed >= 240_000_000n, `${studio.billed}`);
  t.is(studio.posted, studio.billed);
  const kinds = rows(studio.house.folder, "SELECT DISTINCT kind FROM entries WHERE amount > 0");
  t.deepEqual(kinds, [{ kind: "gap" }]);
  // AWS tells of it for an hour: the next gateway does not charge it again.
  await studio.crash(MINUTE);
  await studio.pass(2 * MINUTE);
  t.is(studio.posted, studio.billed);
  t.deepEqual(studio.findings(), []);
});

test("one that started between the last look and the crash is charged as well", async (t) => {
  const studio = await studioOf(t, LIFECYCLE);
  await studio.pass(70 * SECOND);
  const { world, log } = studio.fake;
  world.setGroup("pool", 1);
  const looks = log.length;
  await studio.pass(10 * SECOND);
  t.is(log.length, looks);
  await studio.crash(10 * MINUTE, () => world.setGroup("pool", 0));
  await studio.pass(2 * MINUTE);
  t.true(studio.billed >= 240_000_000n, `${studio.billed}`);
  t.is(studio.posted, studio.billed);
  t.deepEqual(studio.findings(), []);
});

test("one that lived while its cloud gave the first gateway no answer is charged as well", async (t) => {
  const studio = await Studio.open(t, [nim("flux")]);
  const { world, faults } = studio.fake;
  world.group("pool");
  world.service("flux", "pool");
  faults.set("*", { kind: "error", status: 503, code: "ServiceUnavailable" });
  await studio.begin();
  await studio.pass(10 * SECOND);
  world.setGroup("pool", 1);
  await studio.pass(4 * MINUTE);
  world.setGroup("pool", 0);
  await studio.pass(3 * MINUTE);
  faults.clear();
  await studio.pass(3 * MINUTE);
  t.true(studio.billed >= 240_000_000n, `${studio.billed}`);
  t.is(studio.posted, studio.billed);
});

test("what lived before there was a gateway is nobody's", async (t) => {
  const studio = await Studio.open(t, [nim("flux")]);
  const { world } = studio.fake;
  world.group("pool", { desired: 1 });
  world.service("flux", "pool");
  world.pass(4 * MINUTE);
  world.setGroup("pool", 0);
  world.pass(MINUTE);
  studio.clock.pass(5 * MINUTE * 1000);
  await studio.begin();
  await studio.pass(3 * MINUTE);
  t.is(studio.posted, 0n);
});
