// When upstreams are asked whether they are ready, by a counting server; and what a fleet makes of the answers.

import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { Fleet } from "../../src/cloud/fleet.ts";
import type { Probed } from "../../src/cloud/health.ts";
import { Readiness } from "../../src/cloud/readiness.ts";
import { type DurationUs, durationUs, MINUTE, seconds } from "../../src/metering/time.ts";
import type { Upstream } from "../../src/policy/policy.ts";
import type { Sign } from "../../src/policy/slot.ts";
import { eventually } from "../support/gateway-client.ts";
import { policy, upstream } from "../support/policies.ts";

/** Short, so that a hundred looks take a second. */
const LOOK = durationUs(10_000);
const UP: Probed = { kind: "up" };
const DOWN: Probed = { kind: "down", why: "it answered 503" };
const ILL: Sign = { kind: "ill", why: "refused", missed: true };

const local = upstream("local", { provider: "local" });
const cloud = upstream("cloud", { provider: "aws" });
const hosted = upstream("hosted", { provider: "nvidia-hosted" });
const rated = upstream("rated", { provider: "local", rateLimit: { calls: 40, per: MINUTE } });

function start(t: ExecutionContext, upstreams: readonly Upstream[], answer: (id: string) => Promise<Probed>) {
  const asked: string[] = [];
  const told: string[] = [];
  let now = 0;
  const monotonic = () => now as DurationUs;
  const random = () => 0.5;
  const fleet = new Fleet({ monotonic, random, turned: (id, { kind }) => void told.push(`${id} ${kind}`) });
  const readiness = new Readiness({
    ...{ fleet, monotonic, random, look: LOOK },
    ask: (one) => {
      asked.push(one.id);
      return answer(one.id);
    },
  });
  t.teardown(() => readiness.close());
  readiness.follow(policy({ upstreams }));
  const eject = (one: Upstream) => {
    for (let failures = 0; failures < 3; failures += 1) fleet.take(one).free(ILL);
  };
  const pass = (microseconds: number) => {
    now += microseconds;
  };
  return { asked, told, fleet, readiness, eject, pass };
}

/** Longer than ten looks. */
const aWhile = () => sleep(150);

test("a local upstream is asked until it is known, and then left alone until it was silent for a minute", async (t) => {
  const { asked, pass, fleet } = start(t, [local], async () => UP);
  await eventually("it is asked", () => asked.length > 0);
  await aWhile();
  t.is(asked.length, 1);
  t.is(fleet.view(local).state, "up");
  pass(MINUTE);
  await eventually("it is asked again", () => asked.length > 1);
  await aWhile();
  t.is(asked.length, 2);
});

test("one that is down is asked on, ejected, and used again once it is up", async (t) => {
  let answer: Probed = DOWN;
  const { asked, told, fleet } = start(t, [local], async () => answer);
  await eventually("it is ejected", () => told.includes("local ejected"));
  t.is(fleet.hindrance(local)?.kind, "ejected");
  t.true(asked.length >= 3);
  answer = UP;
  await eventually("it is used again", () => told.includes("local recovered"));
  t.is(fleet.hindrance(local), undefined);
});

test("what may cost something when it is asked is asked only while it is ejected", async (t) => {
  const { asked, told, eject } = start(t, [cloud], async () => UP);
  await aWhile();
  t.deepEqual(asked, []);
  eject(cloud);
  await eventually("it recovers", () => told.includes("cloud recovered"));
  await aWhile();
  t.is(asked.length, 1);
});

test("what may cost something is not asked for ever: once nobody wants it, the next request finds out", async (t) => {
  const { asked, eject, pass, fleet } = start(t, [cloud], async () => DOWN);
  eject(cloud);
  await eventually("it is asked", () => asked.length > 2);
  pass(5 * MINUTE);
  await aWhile();
  const before = asked.length;
  await aWhile();
  t.is(asked.length, before);
  pass(MINUTE);
  t.is(fleet.hindrance(cloud), undefined, "a request may try it");
});

test("what is hosted or has a rate is never asked, not even while it is ejected", async (t) => {
  const { asked, eject } = start(t, [hosted, rated], async () => UP);
  eject(hosted);
  eject(rated);
  await aWhile();
  t.deepEqual(asked, []);
});

test("while a request runs there it is not asked: the request will tell", async (t) => {
  const { asked, fleet } = start(t, [local], async () => UP);
  const slot = fleet.take(local);
  await aWhile();
  t.deepEqual(asked, []);
  slot.free({ kind: "well" });
  await aWhile();
  t.deepEqual(asked, [], "the request has told");
});

test("there is one probe at a time, however long it takes", async (t) => {
  const { asked } = start(t, [local], () => new Promise(() => undefined));
  await eventually("it is asked", () => asked.length > 0);
  await aWhile();
  t.is(asked.length, 1);
});

test("what a reload removes is asked no more, and what a probe of it finds counts for nothing", async (t) => {
  const found = Promise.withResolvers<Probed>();
  const { asked, fleet, readiness } = start(t, [local], () => found.promise);
  await eventually("it is asked", () => asked.length > 0);
  readiness.follow(policy({ upstreams: [] }));
  found.resolve(UP);
  await aWhile();
  t.is(asked.length, 1);
  t.is(fleet.view(local).state, "unknown");
});

test("after the end nobody is asked", async (t) => {
  const { asked, readiness } = start(t, [local, cloud], async () => DOWN);
  readiness.close();
  await aWhile();
  t.deepEqual(asked, []);
});

test("looks are spread: the first over a whole interval, the next ones by a fifth", async (t) => {
  const times: number[] = [];
  const began = performance.now();
  const chances = [0.9, 0, 0.999];
  const fleet = new Fleet({ monotonic: () => durationUs(0), random: () => 0.5, turned: () => undefined });
  const readiness = new Readiness({
    ...{ fleet, monotonic: () => durationUs(0), random: () => chances.shift() ?? 0.5, look: seconds(0.5) },
    ask: async () => {
      times.push(performance.now() - began);
      return DOWN;
    },
  });
  t.teardown(() => readiness.close());
  readiness.follow(policy({ upstreams: [local] }));
  await eventually("it is asked three times", () => times.length >= 3);
  // 450, then 400, then 600 ms: a timer is late on a busy machine, and early by no more than a few ms.
  const [first = 0, second = 0, third = 0] = times;
  t.true(first >= 440, `${times}`);
  t.true(second - first >= 390, `${times}`);
  t.true(third - second >= 590, `${times}`);
});
