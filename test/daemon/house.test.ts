// What the house does in an order that matters.

import test from "ava";
import { type HouseParts, makeHouse } from "../../src/daemon/house.ts";
import { InForce } from "../../src/daemon/in-force.ts";
import { policy, TEN } from "../support/policies.ts";

/** A house over a store whose switch is written when the test says so. */
function houseWith(setSwitch: (name: string, value: string) => Promise<void>) {
  const inForce = new InForce({ policy: policy({ upstreams: [] }), text: "" }, undefined, TEN);
  const turns: string[] = [];
  const plane = { turn: () => void turns.push(inForce.policy.mode) };
  const parts = { inForce, plane, store: { setSwitch }, now: () => TEN };
  return { inForce, turns, house: makeHouse(parts as unknown as HouseParts) };
}

test("a switched mode is durable before it counts and before its operator is told", async (t) => {
  const disk = Promise.withResolvers<void>();
  const { inForce, turns, house } = houseWith(() => disk.promise);
  let told = false;
  const switched = house.setMode("local").then((state) => {
    told = true;
    return state;
  });
  await new Promise(setImmediate);
  t.is(inForce.policy.mode, "lowest_price");
  t.false(told);
  disk.resolve();
  t.like(await switched, { inForce: "local", policyMode: "lowest_price" });
  t.is(inForce.policy.mode, "local");
  t.deepEqual(turns, ["local"], "whoever waits decides anew under the new mode");
});

test("a switch that cannot be written changes nothing", async (t) => {
  const { inForce, house } = houseWith(() => Promise.reject(new Error("no space left")));
  await t.throwsAsync(house.setMode("local"), { message: "no space left" });
  t.is(inForce.policy.mode, "lowest_price");
  t.is(house.mode().switchedAt, undefined);
});
