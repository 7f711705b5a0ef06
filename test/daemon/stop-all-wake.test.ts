// All spending is stopped, with what runs cut and the containers off, while requests wait for a container to
// start. Through the real switch, exchange, waiting room, watches and accounts.

import test from "ava";
import type { Host } from "../../src/cloud/adapter.ts";
import { Spending } from "../../src/daemon/spending.ts";
import { hourlyRate } from "../../src/metering/money.ts";
import { type Instant, seconds } from "../../src/metering/time.ts";
import type { Machine, Upstream } from "../../src/policy/policy.ts";
import { budget, model, perHour, policy, usd } from "../support/policies.ts";
import { sleeper, WakeRig } from "../support/wake-rig.ts";

const RATE = { price: perHour("3.6"), idleRate: hourlyRate(usd("3.6")), minBilled: seconds(0) };
const POOL: Machine = { id: "pool", ...RATE, group: { kind: "asg", region: "r", name: "pool" } };

async function rigOf(upstreams: readonly Upstream[], host?: Host): Promise<WakeRig> {
  const ids = upstreams.map(({ id }) => id);
  const rig = new WakeRig(
    policy({
      ...{ upstreams, models: [model("flux-dev", ids)], machines: new Map([["pool", POOL]]) },
      budgets: [budget("day", { limit_usd: "100" })],
    }),
  );
  rig.host = host;
  await rig.begin();
  return rig;
}

function switchOf(rig: WakeRig): Spending {
  const { accounts, running, containers: machines } = rig;
  const parts = { accounts, running, machines, now: () => accounts.now(), turn: () => rig.room.reconsider() };
  const store = { setSwitch: async () => undefined };
  return new Spending(
    { ...parts, store, log: { warn: () => undefined, info: () => undefined } as never },
    undefined,
  );
}

const STOP = { by: "olga", cut: true, containers: true };

const held = (rig: WakeRig) => [...rig.disk.balances.values()].reduce((sum, one) => sum + one.held, 0n);
const spent = (rig: WakeRig) => Object.values(rig.kinds()).reduce((sum, one) => sum + one, 0n);

for (const [when, waited] of [
  ["before its provider has started it", 2],
  ["while it loads its model", 13],
] as const) {
  test(`stopped ${when}: who waits is told so at once, what burnt is charged once, and it goes off`, async (t) => {
    const rig = await rigOf([sleeper("nim", {}, { concurrency: 2 })]);
    const asked = ["a", "b", "c"].map((name) => rig.ask(name));
    await rig.live(waited);
    t.deepEqual([rig.wakes.waiting("nim"), rig.room.size], [2, 1]);
    const done = switchOf(rig).stop(STOP);
    await rig.settle();
    t.like(await done, { cut: ["a", "b"], machines: ["nim"] });
    const [a, b, c] = asked.map(({ exchanged }) => exchanged);
    for (const one of [a, b]) {
      if (one?.kind !== "sent") return t.fail(one?.kind);
      t.is(one.ending.outcome, "cut");
      t.is(one.relayed.fault?.reason, "all spending was stopped by olga");
    }
    t.is(c?.kind, "stopped", "who waited for a slot burnt nothing");
    await rig.live(20);
    t.deepEqual(rig.engine("nim").orders, ["start", "stop"]);
    t.is(rig.states().nim, "off");
    t.deepEqual([spent(rig), held(rig)], [await rig.leaseOf("nim"), 0n]);
    const charged = [a, b].map((one) => (one?.kind === "sent" ? one.settlement?.charged : undefined));
    const since = (waited - 3) * 1_000_000;
    t.deepEqual(
      charged,
      since < 0 ? [0n, 0n] : [BigInt(since / 2), BigInt(since / 2)].map((one) => one as never),
    );
  });
}

test("a container whose machine is still being ordered is not started after the stop", async (t) => {
  const orders: string[] = [];
  let taken: () => void = () => undefined;
  let since: Instant | undefined;
  const host: Host = {
    observe: async () => {
      const instances = since === undefined ? [] : [{ id: "i-1", since, isStopping: false }];
      return { instances, wanted: instances.length, scaledByOthers: undefined, ended: [] };
    },
    raise: () => {
      orders.push("raise");
      return new Promise<void>((resolve) => (taken = resolve));
    },
    lower: async () => {
      orders.push("lower");
      since = undefined;
    },
  };
  const rig = await rigOf([sleeper("nim", {}, { machine: "pool" })], host);
  const one = rig.ask("a");
  await rig.live(3);
  const done = switchOf(rig).stop(STOP);
  await rig.settle();
  t.is(one.exchanged?.kind, "sent");
  since = rig.accounts.now();
  taken();
  await done;
  await rig.live(120);
  t.false(rig.engine("nim").orders.includes("start"), "no order that was overtaken leaves");
  t.deepEqual(orders, ["raise", "lower"]);
  t.is(rig.states().nim, "off");
});
