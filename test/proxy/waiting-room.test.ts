// Who gets a slot, and who waits for it how long: over a real fleet, with requests that decide by a plain rule.

import test from "ava";
import fc from "fast-check";
import { MINUTE } from "../../src/metering/time.ts";
import type { Sign } from "../../src/policy/slot.ts";
import { type Asker, RoomRig } from "../support/room-rig.ts";

const ONE = [{ id: "a", concurrency: 1 }];
const TWO = [
  { id: "a", concurrency: 1 },
  { id: "b", concurrency: 1 },
];
const ILL: Sign = { kind: "ill", why: "refused", missed: true };

test("who comes first is served first, and nobody before a slot is free", async (t) => {
  const rig = new RoomRig(ONE);
  const [first, second] = [rig.ask("1", "a"), rig.ask("2", "a"), rig.ask("3", "a")];
  await rig.settle();
  t.deepEqual(rig.served, ["1@a"]);
  first.end();
  await rig.settle();
  t.deepEqual(rig.served, ["1@a", "2@a"]);
  second?.end();
  await rig.settle();
  t.deepEqual(rig.served, ["1@a", "2@a", "3@a"]);
  t.is(rig.room.size, 0);
});

test("a newcomer in the very tick in which a slot becomes free does not pass who waits", async (t) => {
  const rig = new RoomRig(ONE);
  const first = rig.ask("1", "a");
  rig.ask("2", "a");
  await rig.settle();
  first.end();
  rig.ask("3", "a");
  await rig.settle();
  t.deepEqual(rig.served, ["1@a", "2@a"]);
});

test("nor in the tick of a reload that makes room", async (t) => {
  const rig = new RoomRig(ONE);
  rig.ask("1", "a");
  rig.ask("2", "a");
  await rig.settle();
  rig.reload([{ id: "a", concurrency: 2 }]);
  rig.ask("3", "a");
  await rig.settle();
  t.deepEqual(rig.served, ["1@a", "2@a"]);
});

test("nor one that was told to decide anew and has not yet: what becomes free meanwhile is not the next one's", async (t) => {
  const rig = new RoomRig([
    { id: "a", concurrency: 1 },
    { id: "b", concurrency: 1 },
  ]);
  for (const name of ["1", "2"]) rig.ask(name, "a").end(ILL);
  const third = rig.ask("3", "a");
  const onB = rig.ask("4", "b");
  rig.ask("5", "a", "b");
  rig.ask("6", "b");
  await rig.settle();
  third.end(ILL);
  onB.end();
  await rig.settle();
  t.deepEqual(rig.served.slice(4), ["5@b"]);
});

test("two slots that become free in one tick serve the first two in line", async (t) => {
  const rig = new RoomRig([{ id: "a", concurrency: 2 }]);
  const running = [rig.ask("1", "a"), rig.ask("2", "a")];
  rig.ask("3", "a");
  rig.ask("4", "a");
  await rig.settle();
  for (const one of running) one.end();
  await rig.settle();
  t.deepEqual(rig.served.slice(2), ["3@a", "4@a"]);
});

test("those who wait for different upstreams are independent", async (t) => {
  const rig = new RoomRig(TWO);
  rig.ask("1", "a");
  const other = rig.ask("2", "b");
  rig.ask("3", "a");
  rig.ask("4", "b");
  await rig.settle();
  other.end();
  await rig.settle();
  t.deepEqual(rig.served, ["1@a", "2@b", "4@b"]);
});

test("who waits for several takes whichever is free first, and leaves the line of the other", async (t) => {
  const rig = new RoomRig(TWO);
  const a = rig.ask("1", "a");
  const b = rig.ask("2", "b");
  rig.ask("3", "a", "b");
  rig.ask("4", "a");
  await rig.settle();
  b.end();
  await rig.settle();
  a.end();
  await rig.settle();
  t.deepEqual(rig.served, ["1@a", "2@b", "3@b", "4@a"]);
});

test("a slot that is handed over and not used goes to the next, and its call is not counted", async (t) => {
  const rig = new RoomRig([
    { id: "a", concurrency: 1, rateLimit: { calls: 2, per: MINUTE } },
    { id: "b", concurrency: 1 },
  ]);
  const a = rig.ask("1", "a");
  const b = rig.ask("2", "b");
  rig.ask("3", "b", "a");
  rig.ask("4", "a");
  await rig.settle();
  // The first is handed a, and then sees that b, which it likes better, is free as well.
  a.end();
  b.end();
  await rig.settle();
  t.deepEqual(rig.served.slice(2).sort(), ["3@b", "4@a"]);
});

test("a full room takes nobody, a room of none lets nobody wait, and who is in keeps the place", async (t) => {
  const rig = new RoomRig(ONE, 1);
  const first = rig.ask("1", "a");
  const second = rig.ask("2", "a");
  const third = rig.ask("3", "a");
  await rig.settle();
  t.is(third.vain, "full");
  rig.reload(ONE, 0);
  await rig.settle();
  t.is(second.vain, undefined);
  t.is(rig.ask("4", "a").vain, undefined);
  await rig.settle();
  first.end();
  await rig.settle();
  t.deepEqual(rig.served, ["1@a", "2@a"]);
});

for (const how of ["leave", "cancel"] as const) {
  test(`one that waits and is told to ${how} gives up its place at once`, async (t) => {
    const rig = new RoomRig(ONE);
    const first = rig.ask("1", "a");
    const second = rig.ask("2", "a");
    rig.ask("3", "a");
    await rig.settle();
    second[how]();
    await rig.settle();
    t.is(second.vain, how === "leave" ? "gone" : "cancelled");
    t.is(rig.room.size, 1);
    first.end();
    await rig.settle();
    t.deepEqual(rig.served, ["1@a", "3@a"]);
  });
}

test("nobody waits longer than nine and a half minutes in all, however often they are woken", async (t) => {
  const rig = new RoomRig(ONE);
  rig.ask("1", "a");
  const second = rig.ask("2", "a");
  await rig.pass(300);
  rig.reload(ONE);
  await rig.pass(269);
  t.is(second.vain, undefined);
  await rig.pass(2);
  t.is(second.vain, "too_late");
  t.is(rig.room.size, 0);
});

test("those who wait for an upstream that a reload removes decide anew at once; what runs there ends", async (t) => {
  const rig = new RoomRig(TWO);
  const running = rig.ask("1", "a");
  rig.ask("2", "b");
  rig.ask("3", "a", "b");
  const fourth = rig.ask("4", "a");
  await rig.settle();
  rig.reload([{ id: "b", concurrency: 2 }]);
  await rig.settle();
  t.deepEqual(rig.served, ["1@a", "2@b", "3@b"]);
  t.is(rig.room.size, 0, "one waits for what is no more");
  t.is(fourth.slot, undefined);
  t.is(rig.fleet.inFlight("a"), 1);
  running.end();
  t.is(rig.fleet.inFlight("a"), 0);
});

test("one that is gone and comes back while a request runs there still has that one's slot taken", async (t) => {
  const rig = new RoomRig(ONE);
  const first = rig.ask("1", "a");
  rig.reload([]);
  rig.reload(ONE);
  rig.ask("2", "a");
  await rig.settle();
  t.deepEqual(rig.served, ["1@a"]);
  first.end();
  await rig.settle();
  t.deepEqual(rig.served, ["1@a", "2@a"]);
});

test("out of calls, the next in line is served when the first call leaves the window", async (t) => {
  const rig = new RoomRig([{ id: "a", rateLimit: { calls: 2, per: MINUTE } }]);
  for (const name of ["1", "2", "3", "4"]) rig.ask(name, "a");
  await rig.settle();
  t.deepEqual(rig.served, ["1@a", "2@a"]);
  await rig.pass(59);
  t.deepEqual(rig.served, ["1@a", "2@a"]);
  await rig.pass(3);
  t.deepEqual(rig.served, ["1@a", "2@a", "3@a", "4@a"]);
});

test("nobody waits for a call that is known to come too late", async (t) => {
  const rig = new RoomRig([{ id: "a", rateLimit: { calls: 1, per: (60 * MINUTE) as typeof MINUTE } }]);
  rig.ask("1", "a");
  const second = rig.ask("2", "a");
  await rig.settle();
  t.is(second.vain, "too_long");
});

test("where all are ejected one tries at a time, and the next as soon as that one has failed", async (t) => {
  const rig = new RoomRig([{ id: "a" }]);
  for (const name of ["1", "2", "3"]) rig.ask(name, "a").end(ILL);
  t.deepEqual(rig.turned, ["a ejected"]);
  const [fourth, fifth] = [rig.ask("4", "a"), rig.ask("5", "a"), rig.ask("6", "a"), rig.ask("7", "a")];
  await rig.settle();
  t.deepEqual(rig.served.slice(3), ["4@a"]);
  fourth.end(ILL);
  await rig.settle();
  t.deepEqual(rig.served.slice(3), ["4@a", "5@a"]);
  fifth?.end();
  await rig.settle();
  t.deepEqual(rig.served.slice(3), ["4@a", "5@a", "6@a", "7@a"], "it works again: all may come");
  t.deepEqual(rig.turned, ["a ejected", "a recovered"]);
});

test("those who wait for one that is then ejected decide anew", async (t) => {
  const rig = new RoomRig([{ id: "a", concurrency: 3 }]);
  const running = ["1", "2", "3"].map((name) => rig.ask(name, "a"));
  rig.ask("4", "a");
  await rig.settle();
  for (const one of running) one.end(ILL);
  await rig.settle();
  t.true(rig.served.includes("4@a"));
});

test("one that waits beside an ejected upstream gets it when its time comes", async (t) => {
  const rig = new RoomRig(TWO);
  for (const name of ["1", "2", "3"]) rig.ask(name, "a").end(ILL);
  rig.ask("4", "b");
  rig.ask("5", "b", "a");
  await rig.settle();
  t.deepEqual(rig.served.slice(3), ["4@b"]);
  await rig.pass(6);
  t.deepEqual(rig.served.slice(3), ["4@b", "5@a"]);
});

test("in any order of events: no slot too many, none lost, and nobody is passed", async (t) => {
  const upstreams = [
    { id: "a", concurrency: 1 },
    { id: "b", concurrency: 2 },
    { id: "c", concurrency: 3, rateLimit: { calls: 6, per: MINUTE } },
  ];
  const wants = fc.uniqueArray(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 });
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ what: fc.constant("ask" as const), wants }) },
    {
      weight: 4,
      arbitrary: fc.record({ what: fc.constant("end" as const), which: fc.nat(), ill: fc.boolean() }),
    },
    { weight: 1, arbitrary: fc.record({ what: fc.constant("leave" as const), which: fc.nat() }) },
    {
      weight: 1,
      arbitrary: fc.record({ what: fc.constant("reload" as const), most: fc.integer({ min: 1, max: 3 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ what: fc.constant("pass" as const), seconds: fc.integer({ min: 1, max: 30 }) }),
    },
    { weight: 3, arbitrary: fc.record({ what: fc.constant("settle" as const) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const rig = new RoomRig(upstreams);
      const all: Asker[] = [];
      const most = new Map(upstreams.map(({ id, concurrency }) => [id, concurrency]));
      rig.onServed = ({ number, slot }) => {
        const id = slot?.upstream.id ?? "";
        const passed = all.find((one) => one.number < number && waits(one) && one.wants.includes(id));
        if (passed !== undefined) throw new Error(`${number} passed ${passed.number} at ${id}`);
        if (rig.fleet.inFlight(id) > (most.get(id) ?? 0)) throw new Error(`too many run at ${id}`);
      };
      const running = () => all.filter(({ slot }) => slot !== undefined);
      for (const one of steps) {
        if (one.what === "ask") all.push(rig.ask(String(all.length), ...one.wants));
        if (one.what === "end") pick(running(), one.which)?.end(one.ill ? ILL : { kind: "well" });
        if (one.what === "leave") pick(all.filter(waits), one.which)?.leave();
        if (one.what === "pass") await rig.pass(one.seconds);
        if (one.what === "settle") await rig.settle();
        if (one.what === "settle" || one.what === "pass") nothingIsIdle(rig, all);
        if (one.what === "reload") {
          most.set("a", Math.max(one.most, most.get("a") ?? 0));
          rig.reload(upstreams.map((each) => (each.id === "a" ? { ...each, concurrency: one.most } : each)));
        }
      }
      for (
        let round = 0;
        round < 200 && all.some((one) => waits(one) || one.slot !== undefined);
        round += 1
      ) {
        for (const one of running()) one.end();
        await rig.pass(10);
      }
      if (all.some(waits)) throw new Error("somebody waits for ever");
      for (const { id } of upstreams) if (rig.fleet.inFlight(id) > 0) throw new Error(`${id} lost a slot`);
      if (rig.room.size > 0) throw new Error("the room is not empty");
    }),
    { numRuns: 200 },
  );
  t.pass();
});

/** Nobody waits for what could be had. */
function nothingIsIdle(rig: RoomRig, all: readonly Asker[]): void {
  for (const upstream of rig.policy.upstreams.values()) {
    const waiting = all.find((one) => waits(one) && one.wants.includes(upstream.id));
    if (waiting === undefined || rig.fleet.hindrance(upstream) !== undefined) continue;
    throw new Error(`${waiting.number} waits for ${upstream.id}, which is free`);
  }
}

function waits({ isOver, slot }: Asker): boolean {
  return !isOver && slot === undefined;
}

function pick<T>(from: readonly T[], which: number): T | undefined {
  return from[which % Math.max(1, from.length)];
}

test("a room that closes sends everybody away, and lets nobody wait any more; what runs goes on", async (t) => {
  const rig = new RoomRig(ONE);
  const running = rig.ask("1", "a");
  const waiting = rig.ask("2", "a");
  await rig.settle();
  rig.room.close();
  const late = rig.ask("3", "a");
  await rig.settle();
  t.is(waiting.vain, "stopping");
  t.is(late.vain, "stopping");
  t.is(rig.room.size, 0);
  t.not(running.slot, undefined);
  running.end();
});
