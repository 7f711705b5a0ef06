// A machine that its cloud was told to bring and does not: the order was taken, and failed half way. Who waits for
// it hears so at once. Through the real exchange, waiting room, watches and accounts.

import test from "ava";
import { type Host, type HostSighting, Trouble } from "../../src/cloud/adapter.ts";
import { hourlyRate } from "../../src/metering/money.ts";
import { seconds } from "../../src/metering/time.ts";
import type { Machine, Upstream } from "../../src/policy/policy.ts";
import { causeOf } from "../../src/proxy/reply.ts";
import { budget, model, perHour, policy, upstream, usd } from "../support/policies.ts";
import { sleeper, WakeRig } from "../support/wake-rig.ts";

const RATE = { price: perHour("3.6"), idleRate: hourlyRate(usd("3.6")), minBilled: seconds(0) };
const POOL: Machine = { id: "pool", ...RATE, group: { kind: "asg", region: "r", name: "pool" } };
const SAID = "node pool gpu: the zone does not have enough resources (QUOTA)";

/** Takes the order, and says later that it failed: once, and then how things are. */
class Pool implements Host {
  readonly orders: string[] = [];
  failure: Trouble | undefined;
  wanted = 0;

  async observe(): Promise<HostSighting> {
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
    return { instances: [], wanted: this.wanted, scaledByOthers: undefined, ended: [] };
  }

  async raise(): Promise<void> {
    this.orders.push("raise");
    this.wanted = 1;
  }

  async lower(): Promise<void> {
    this.orders.push("lower");
    this.wanted = 0;
  }
}

async function rigOf(upstreams: readonly Upstream[]): Promise<{ rig: WakeRig; pool: Pool }> {
  const ids = upstreams.map(({ id }) => id);
  const rig = new WakeRig(
    policy({
      ...{ upstreams, models: [model("flux-dev", ids)], machines: new Map([["pool", POOL]]) },
      budgets: [budget("day", { limit_usd: "100" })],
    }),
  );
  const pool = new Pool();
  rig.host = pool;
  await rig.begin();
  return { rig, pool };
}

const nim = (id: string) => sleeper(id, {}, { machine: "pool" });

for (const isPending of [true, false]) {
  const how = isPending ? "while its pod waits for one" : "before anything of it runs";
  test(`a raise that failed half way, ${how}, ends the wait at once and is taken back`, async (t) => {
    const { rig, pool } = await rigOf([nim("nim")]);
    const engine = rig.engine("nim");
    engine.serves = undefined;
    if (!isPending) engine.boots = undefined;
    const one = rig.ask("a");
    await rig.live(20);
    t.deepEqual([rig.states().nim, one.exchanged], ["starting", undefined]);
    pool.failure = new Trouble("operation_failed", SAID);
    await rig.live(5);
    t.is(one.exchanged?.kind, "no_upstream");
    const last = one.exchanged?.kind === "no_upstream" ? one.exchanged.last : undefined;
    t.true(last !== undefined && causeOf(last).includes(SAID), last && causeOf(last));
    await rig.live(100);
    t.is(rig.states().nim, "failed", "and not starting again, as its pod still is");
    t.is(rig.containers.find("nim")?.view.why, SAID);
    t.deepEqual(
      [pool.orders, engine.orders],
      [
        ["raise", "lower"],
        ["start", "stop"],
      ],
    );
    // Whoever asks after its rest has it tried anew, from the machine on.
    rig.ask("b");
    await rig.live(2);
    t.deepEqual(
      [pool.orders, engine.orders],
      [
        ["raise", "lower", "raise"],
        ["start", "stop", "start"],
      ],
    );
  });
}

test("who waited goes on to the next candidate", async (t) => {
  const dear = upstream("dear", { price: perHour("360"), url: "http://127.0.0.1:2" });
  const { rig, pool } = await rigOf([nim("nim"), dear]);
  rig.engine("nim").boots = undefined;
  const one = rig.ask("a");
  await rig.live(20);
  pool.failure = new Trouble("operation_failed", SAID);
  await rig.live(5);
  t.deepEqual(rig.served, ["a@dear"]);
  one.end();
});

test("any other trouble of its cloud ends no wait", async (t) => {
  const { rig, pool } = await rigOf([nim("nim")]);
  const one = rig.ask("a");
  await rig.live(4);
  for (const kind of ["failed", "unreachable", "throttled", "timeout"] as const) {
    pool.failure = new Trouble(kind, "no answer");
    await rig.live(6);
  }
  t.is(one.exchanged, undefined);
  await rig.live(30);
  t.deepEqual(rig.served, ["a@nim"]);
});

test("one who comes while the machine is being ordered hears of its refusal, too", async (t) => {
  const { rig, pool } = await rigOf([nim("nim"), nim("other")]);
  let refuse: (error: Trouble) => void = () => undefined;
  pool.raise = () => new Promise((_, reject) => (refuse = reject));
  const orders = [rig.containers.order("start", "nim"), rig.containers.order("start", "other")];
  await rig.settle();
  refuse(new Trouble("failed", SAID));
  const done = await Promise.all(orders);
  t.deepEqual(
    done.map((one) => one?.kind),
    ["refused", "refused"],
  );
  t.deepEqual(rig.states(), { nim: "failed", other: "failed" });
});
