// Whatever befalls containers that start for requests, money is conserved: what was posted of each is what its
// leases have cost, each request is charged once, its record says what its entries add up to, and nothing
// stays held.

import test from "ava";
import { Trouble } from "../../src/cloud/adapter.ts";
import { seconds } from "../../src/metering/time.ts";
import { seeded } from "../sim/random.ts";
import type { Asker } from "../support/money-rig.ts";
import { budget, model, policy } from "../support/policies.ts";
import { sleeper, WakeRig } from "../support/wake-rig.ts";

const NAMES = ["one", "two"];

for (let seed = 1; seed <= 12; seed += 1) {
  test(`what was posted is what leases cost, whatever befalls a start, seed ${seed}`, async (t) => {
    const random = seeded(seed);
    const lifecycle = { startupTimeout: seconds(45), stopAfterIdle: seconds(random.pick([10, 30])) };
    const upstreams = NAMES.map((id) => sleeper(id, lifecycle, { concurrency: random.pick([1, 3, 50]) }));
    const cut = { overrun: random.chance(0.5) ? "cut" : "finish" } as const;
    const budgets = [budget("day", { limit_usd: random.pick(["0.2", "0.9", "100"]), ...cut })];
    const rig = new WakeRig(policy({ upstreams, models: [model("flux-dev", NAMES)], budgets }));
    await rig.begin();
    const asked: Asker[] = [];
    for (let step = 0; step < 60; step += 1) {
      const engine = rig.engine(random.pick(NAMES));
      const what = random.whole(0, 11);
      if (what < 4) for (let n = random.whole(1, 4); n > 0; n -= 1) asked.push(rig.ask(`r${asked.length}`));
      else if (what < 7) for (const one of asked) if (random.chance(0.5)) one.end();
      if (what === 7) asked.at(-1)?.leave();
      if (what === 8) asked.at(random.whole(0, asked.length - 1))?.cancel();
      if (what === 9 && engine.since !== undefined) engine.died(rig.accounts.now());
      if (what === 10)
        engine.serves = random.chance(0.2) ? undefined : seconds(random.pick([0, 7.000_001, 20]));
      if (what === 10) engine.boots = seconds(random.pick([0, 0.000_001, 3.333_333]));
      if (what === 11) engine.refusal = random.chance(0.5) ? new Trouble("throttled", "later") : undefined;
      await rig.live(random.whole(1, 6));
    }
    for (const name of NAMES) rig.engine(name).refusal = undefined;
    for (let round = 0; round < 60; round += 1) {
      for (const one of asked) one.end();
      for (const one of asked) if (one.exchanged === undefined && round > 20) one.cancel();
      await rig.live(2);
    }
    for (const name of NAMES) await rig.containers.order("stop", name);
    await rig.live(60);
    t.true(
      asked.every(({ exchanged }) => exchanged !== undefined),
      "everybody was answered",
    );
    t.is(rig.wakes.waiting() + rig.room.size, 0);
    for (const name of NAMES) {
      const own = rig.disk.entries.filter(({ facts, kind }) => facts.upstream === name && kind !== "minimum");
      const posted = own.filter(({ kind }) => !["reserved", "extended", "released"].includes(kind));
      t.is(sum(posted), await rig.leaseOf(name), `${name} of ${Object.entries(rig.kinds())}`);
    }
    for (const { name } of asked) {
      const own = rig.disk.entries.filter(({ request }) => request === name);
      const charged = own.filter(({ kind }) => kind === "settled" || kind === "startup");
      t.true(charged.filter(({ isLast }) => isLast).length <= 1);
      const record = rig.disk.endings.get(name);
      if (sum(charged) > 0n) t.is(BigInt(record?.charged ?? -1n), sum(charged), name);
    }
    t.is(
      [...rig.disk.balances.values()].reduce((all, { held }) => all + held, 0n),
      0n,
    );
    t.is(rig.disk.holds.size, 0);
  });
}

function sum(entries: readonly { readonly amount: bigint }[]): bigint {
  return entries.reduce((all, { amount }) => all + amount, 0n);
}
