// An upstream whose address a reload changes: what it may run and call is counted on, what went wrong is not.

import test from "ava";
import { MINUTE } from "../../src/metering/time.ts";
import type { Sign } from "../../src/policy/slot.ts";
import { RoomRig } from "../support/room-rig.ts";

const ONE = [{ id: "a", concurrency: 1 }];
const ILL: Sign = { kind: "ill", why: "refused", missed: true };

for (const [what, urls] of [
  ["that moves to another address", ["http://127.0.0.1:2"]],
  ["that moves and comes back", ["http://127.0.0.1:2", "http://127.0.0.1:1"]],
] as const) {
  test(`an upstream ${what} runs no more than its concurrency: what runs at the old one has its slot`, async (t) => {
    const rig = new RoomRig(ONE);
    const first = rig.ask("1", "a");
    for (const url of urls) rig.reload([{ id: "a", concurrency: 1, url }]);
    rig.ask("2", "a");
    await rig.settle();
    t.deepEqual(rig.served, ["1@a"]);
    first.end();
    await rig.settle();
    t.deepEqual(rig.served, ["1@a", "2@a"]);
  });
}

test("at another address an upstream's failures are forgotten, and what still fails at the old one says nothing", async (t) => {
  const rig = new RoomRig([{ id: "a" }]);
  const running = [1, 2, 3, 4, 5].map((name) => rig.ask(String(name), "a"));
  await rig.settle();
  for (const one of running.slice(0, 3)) one.end(ILL);
  t.deepEqual(rig.turned, ["a ejected"]);
  rig.reload([{ id: "a", url: "http://127.0.0.1:2" }]);
  const here = rig.policy.upstreams.get("a");
  t.is(here && rig.fleet.hindrance(here), undefined);
  rig.ask("6", "a").end(ILL);
  for (const one of running.slice(3)) one.end(ILL);
  t.is(here && rig.fleet.view(here).state, "unknown", "what failed at the old address counts here");
  t.deepEqual(rig.turned, ["a ejected"]);
});

test("at another address the calls of a rate are counted on", async (t) => {
  const rate = { rateLimit: { calls: 1, per: MINUTE } };
  const rig = new RoomRig([{ id: "a", ...rate }]);
  rig.ask("1", "a").end();
  rig.reload([{ id: "a", ...rate, url: "http://127.0.0.1:2" }]);
  rig.ask("2", "a");
  await rig.settle();
  t.deepEqual(rig.served, ["1@a"]);
  await rig.pass(70);
  t.deepEqual(rig.served, ["1@a", "2@a"]);
});
