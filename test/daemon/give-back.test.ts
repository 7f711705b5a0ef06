// Memory is given back when all is quiet, once, and never while somebody is served.

import { setTimeout as sleep } from "node:timers/promises";
import test from "ava";
import { giveBackMemory, whenQuiet } from "../../src/daemon/give-back.ts";
import { eventually } from "../support/gateway-client.ts";

function watched(t: { teardown(call: () => void): void }) {
  const work = { size: 0, entered: 0 };
  const seen = { collected: 0 };
  const collect = () => {
    seen.collected += 1;
  };
  t.teardown(whenQuiet(work, collect, 10));
  return { work, seen };
}

test("what was served is collected once, when nobody came any more", async (t) => {
  const { work, seen } = watched(t);
  work.entered = 3;
  await eventually("it is collected", () => Promise.resolve(seen.collected === 1));
  await sleep(100);
  t.is(seen.collected, 1);
  work.entered = 4;
  await eventually("it is collected again", () => Promise.resolve(seen.collected === 2));
  t.pass();
});

test("nothing is collected while somebody is served, or where nobody ever was", async (t) => {
  const { work, seen } = watched(t);
  await sleep(100);
  t.is(seen.collected, 0);
  work.entered = 1;
  work.size = 1;
  await sleep(100);
  t.is(seen.collected, 0);
});

test("garbage is gone after a collection", (t) => {
  let garbage: unknown[] | undefined = Array.from({ length: 200_000 }, (_, index) => ({ index }));
  const before = process.memoryUsage().heapUsed;
  t.is(garbage.length, 200_000);
  garbage = undefined;
  giveBackMemory();
  t.true(process.memoryUsage().heapUsed < before - 4_000_000);
});
