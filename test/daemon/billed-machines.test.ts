// The machines that bill, as the API tells of them: over an Auto Scaling group of AWS and a real ledger.

import test from "ava";
import { billedMachines } from "../../src/daemon/billed-machines.ts";
import { nim, Studio } from "../support/clouds/aws-studio.ts";

const MINUTE = 60_000;

test("a machine has all who run on it, its price, and each lease with what it has cost by now", async (t) => {
  const studio = await Studio.open(t, [nim("flux"), nim("sdxl")]);
  const { world } = studio.fake;
  world.group("pool");
  for (const name of ["flux", "sdxl"]) world.service(name, "pool");
  await studio.begin();
  const fleet = { inFlight: (id: string) => (id === "flux" ? 2 : 0) } as never;
  const machines = () =>
    billedMachines({ containers: studio.containers, fleet, accounts: studio.house.accounts });
  t.like(machines(), [{ name: "pool", provider: "aws", state: "off", leases: [] }]);
  await studio.order("start", "flux");
  await studio.pass(6 * MINUTE);
  const [pool, other] = machines();
  t.is(other, undefined, "one machine for both");
  t.like(pool, { state: "ready", price: "3.60 USD/h, from the policy", needs: ["flux is ready"] });
  t.is(pool?.idleRate, 3_600_000_000n as never);
  t.deepEqual(pool?.runs, [
    { upstream: "flux", state: "ready", inFlight: 2 },
    { upstream: "sdxl", state: "off", inFlight: 0 },
  ]);
  const [instance] = world.state.instances;
  t.like(pool?.leases, [{ id: instance?.id, isWatched: true, cost: studio.billed }]);
  await studio.crash(MINUTE);
  t.true(machines()[0]?.leases[0]?.isWatched, "its provider has said at once that it lives");
  await studio.order("stop", "flux");
  await studio.pass(3 * MINUTE);
  t.deepEqual(machines()[0]?.leases, []);
});

test("one that leaves the policy while it runs is told of for as long as it is charged", async (t) => {
  const studio = await Studio.open(t, [nim("flux")]);
  const { world } = studio.fake;
  world.group("pool", { desired: 1 });
  world.service("flux", "pool", { desired: 1 });
  await studio.begin();
  await studio.pass(5 * MINUTE);
  studio.containers.follow({ ...studio.policy, upstreams: new Map() });
  await studio.pass(MINUTE);
  const { containers, house } = studio;
  const machines = () => billedMachines({ containers, fleet: {} as never, accounts: house.accounts });
  t.like(machines(), [{ name: "pool", state: "ready", runs: [], needs: ["the policy no longer names it"] }]);
  t.like(machines()[0]?.leases, [{ isWatched: true, cost: studio.billed }]);
  world.setGroup("pool", 0);
  await studio.pass(3 * MINUTE);
  t.deepEqual(machines(), []);
});
