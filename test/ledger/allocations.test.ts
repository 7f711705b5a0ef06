// Amounts set aside by hand, at the corners: what refuses them, a disk that does, a policy that changes
// around them, and the line that each step leaves in the log.

import test from "ava";
import { ManualAllocations } from "../../src/daemon/manual-allocations.ts";
import { HOUR, MINUTE, SECOND } from "../../src/metering/time.ts";
import type { House } from "../support/ledger.ts";
import { houseOf, permit, restarted, stored, writesOf } from "../support/ledger.ts";
import { budget, perRequest, policy, task, upstream, usd } from "../support/policies.ts";

const upstreams = [upstream("flux", { price: perRequest("0.03") })];
const DAY = budget("day", { limit_usd: "0.10" });

function deskOf(house: House) {
  const lines: string[] = [];
  const log = {
    info: (what: object, said: string) => lines.push(`${said} ${JSON.stringify(what)}`),
  } as never;
  const { accounts } = house;
  const desk = new ManualAllocations({ accounts, log, balances: () => accounts.view() });
  return { desk, lines };
}

const wish = {
  ...{ labels: { user: "ann" }, amount: usd("0.05"), lasts: HOUR, by: "ops", reason: "a shot" },
};

test("a budget that comes while it is open holds its money too, and no request of it", async (t) => {
  const house = await houseOf(t, policy({ upstreams, budgets: [DAY] }));
  const { desk } = deskOf(house);
  await desk.allocate(wish);
  const anns = budget("anns", { limit_usd: "1", limits: { requests: 3 }, when: { user: "ann" } });
  await house.adopt(policy({ upstreams, budgets: [DAY, anns] }));
  await house.accounts.outbox.settled();
  const held = (part: string) => stored(house.folder, part).map((balance) => balance.held);
  t.deepEqual(held('usd|daily/1/UTC|all|user:["ann"]'), [usd("0.05")] as never);
  t.true(held("requests|").every((amount) => amount === 0n));
});

test("it takes no seconds of a budget, whatever is reloaded or started anew while it is open", async (t) => {
  const time = budget("time", { limits: { seconds: 600 } });
  const house = await houseOf(t, policy({ upstreams, budgets: [DAY, time] }));
  await deskOf(house).desk.allocate(wish);
  await house.adopt(policy({ upstreams, budgets: [DAY, time] }));
  const next = await restarted(t, house, MINUTE);
  await next.accounts.outbox.settled();
  t.true(stored(next.folder, "seconds|").every(({ held }) => held === 0n));
  t.is((await next.admit(task())).kind, "admitted");
});

test("a budget that came while the gateway was down holds its money too", async (t) => {
  const house = await houseOf(t, policy({ upstreams, budgets: [DAY] }));
  await deskOf(house).desk.allocate(wish);
  house.policy = policy({
    upstreams,
    budgets: [DAY, budget("anns", { limit_usd: "0.05", when: { user: "ann" } })],
  });
  const next = await restarted(t, house, MINUTE);
  t.is((await next.admit(task({ labels: { user: "ann" } }))).kind, "refuse");
  t.is((await next.admit(task({ labels: { user: "bob" } }))).kind, "admitted");
});

test("it is refused as a request would be: by what is held, and while all spending is stopped", async (t) => {
  const house = await houseOf(t, policy({ upstreams, budgets: [DAY] }));
  const { desk } = deskOf(house);
  permit(await house.admit(task()));
  permit(await house.admit(task()));
  t.like(await desk.allocate(wish), {
    kind: "breach",
    breach: { budget: "day", held: usd("0.06"), needed: usd("0.05"), limit: usd("0.10") },
  });
  house.accounts.stopped = { by: "ops", at: house.accounts.now() };
  t.is((await desk.allocate({ ...wish, amount: usd("0.01") })).kind, "stopped");
});

test("what the disk refuses is not set aside", async (t) => {
  const house = await houseOf(t, policy({ upstreams, budgets: [DAY] }));
  const { desk } = deskOf(house);
  house.disk.refuses = writesOf("hold");
  t.is((await desk.allocate(wish)).kind, "unwritten");
  house.disk.refuses = () => false;
  t.deepEqual(desk.list(), []);
  t.is((await desk.allocate({ ...wish, amount: usd("0.10") })).kind, "allocated");
});

test("one that is given back while the disk fails is given back, and written later", async (t) => {
  const house = await houseOf(t, policy({ upstreams, budgets: [DAY] }));
  const { desk } = deskOf(house);
  const done = await desk.allocate(wish);
  house.disk.refuses = () => true;
  const ended = await desk.release(done.kind === "allocated" ? done.row.id : "", "ops");
  t.regex((ended.kind === "ended" && ended.unwritten) || "", /the gate refuses this/);
  house.disk.refuses = () => false;
  await house.accounts.heartbeat();
  t.deepEqual(stored(house.folder), [{ settled: 0n, held: 0n }] as never);
});

test("one that names no task is a task of its own: it meets that limit, also after a restart, and leaves no balance", async (t) => {
  const each = budget("each", { limit_usd: "0.05", period: "per_task" });
  const house = await houseOf(t, policy({ upstreams, budgets: [DAY, each] }));
  const { desk } = deskOf(house);
  t.is((await desk.allocate({ ...wish, amount: usd("0.06") })).kind, "breach");
  const done = await desk.allocate(wish);
  const next = await restarted(t, house);
  const left = deskOf(next).desk;
  t.is((await left.release(done.kind === "allocated" ? done.row.id : "", "ops")).kind, "ended");
  const accounts = [...next.accounts.book.all()].filter(({ account }) => account.includes("|task="));
  t.deepEqual(accounts, []);
});

const faults = [
  [{ amount: usd("0") }, /above 0/],
  [{ by: " " }, /author and a reason/],
  [{ reason: "" }, /author and a reason/],
  [{ lasts: SECOND - 1 }, /from a second to a year/],
  [{ labels: { user: "x".repeat(129) } }, /at most 128 characters/],
] as const;
for (const [fault, why] of faults) {
  test(`it is refused with ${JSON.stringify(Object.keys(fault))}: ${why.source}`, async (t) => {
    const house = await houseOf(t, policy({ upstreams, budgets: [DAY] }));
    const done = await deskOf(house).desk.allocate({ ...wish, ...fault } as never);
    t.regex(done.kind === "refused" ? done.why : done.kind, why);
  });
}

test("each step of it stands in the log, with who and why", async (t) => {
  const house = await houseOf(t, policy({ upstreams, budgets: [DAY] }));
  const { desk, lines } = deskOf(house);
  const id = async () => {
    const done = await desk.allocate({ ...wish, amount: usd("0.01"), lasts: SECOND });
    return done.kind === "allocated" ? done.row.id : "";
  };
  await desk.settle(await id(), usd("0.005"), "fin");
  await desk.release(await id(), "fin");
  await id();
  house.clock.pass(SECOND);
  await house.accounts.heartbeat();
  t.deepEqual(
    lines.map((line) => line.replace(/ \{.*/, "")),
    [
      "an amount was allocated",
      "an allocation was settled",
      "an amount was allocated",
      "an allocation was released",
      "an amount was allocated",
      "an allocation has expired: it was given back",
    ],
  );
  t.true(lines.every((line) => line.includes('"by":"ops","reason":"a shot"')));
  t.regex(lines[1] ?? "", /"ended_by":"fin","settled_usd":"0\.005"/);
});
