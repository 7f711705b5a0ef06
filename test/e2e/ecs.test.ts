// A running gateway and AWS on the wire: a service of ECS that is off is started by command, found at its
// instance's address, serves, and is turned off with the machine beneath it; the ledger has what both cost.

import test from "ava";
import { startNim } from "../../src/demo/nim.ts";
import { verify } from "../../src/ledger/verify.ts";
import { AWS_KEY, awsFake } from "../support/clouds/aws-fake.ts";
import { startGateway } from "../support/gateway.ts";
import { ask, eventually } from "../support/gateway-client.ts";
import { onDisk, rows } from "../support/ledger.ts";

test("a container of ECS is started, serves and is turned off with its machine, and costs both", async (t) => {
  t.timeout(120_000);
  const nim = await startNim({ scale: 0.01 });
  const aws = await awsFake(Math.floor(Date.now() / 1000) * 1000);
  t.teardown(async () => {
    await nim.close();
    await aws.close();
  });
  aws.world.address = () => "127.0.0.1";
  aws.world.group("pool");
  aws.world.service("flux", "pool", { hostPort: Number(new URL(nim.url).port) });
  const gateway = await startGateway(`version: 1
mode: manual
providers: { aws: { credentials: { env: BUDGETGUARD_TEST_AWS }, endpoint: "${aws.origin}", calls_per_minute: 6000 } }
machines:
  gpu-pool: { asg: { region: us-east-1, name: pool }, price: { usd_per_hour: 3.6 } }
upstreams:
  flux:
    { provider: aws, gpu_tier: a10g, machine: gpu-pool,
      container: { ecs: { region: us-east-1, cluster: nim, service: flux } } }
models:
  flux-dev: { upstreams: [flux], estimate: 4s }
budgets:
  - { id: day, limit_usd: 20, period: daily, on_limit: block }
`);
  t.teardown(() => gateway.stop());
  const { client } = gateway;
  const node = async () => (await client.containers()).items[0];
  const is = (state: string) => eventually(`it is ${state}`, async () => (await node())?.state === state);
  const infer = () => ask(`${gateway.url}/m/flux-dev/v1/infer`, { method: "POST", body: '{"prompt":"a"}' });

  // Without credentials nothing is known, and the order says what to write.
  delete process.env.BUDGETGUARD_TEST_AWS;
  await t.throwsAsync(client.orderContainer("start", "flux"), {
    message: /BUDGETGUARD_TEST_AWS is not set \(providers\.aws\.credentials\)/,
  });
  t.is((await node())?.state, "unknown");
  process.env.BUDGETGUARD_TEST_AWS = AWS_KEY;
  await eventually("the key counts", async () => {
    await client.orderContainer("start", "flux").catch(() => undefined);
    return aws.world.state.services[0]?.desired === 1;
  });
  t.is(aws.world.state.groups[0]?.desired, 1);
  t.is((await node())?.state, "starting");
  aws.world.pass(300_000);
  await is("ready");
  t.like((await node())?.machine, { name: "gpu-pool", state: "ready", needed_by: ["flux is ready"] });
  t.is((await infer()).status, 200);
  await client.orderContainer("stop", "flux");
  aws.world.pass(20_000);
  await is("off");
  const down = await infer();
  t.is(down.status, 503);
  // The machine waits a little for whoever comes back.
  await eventually("it is lowered", () => aws.world.state.groups[0]?.desired === 0, 60_000);
  await eventually("it is off", async () => (await node())?.machine?.state === "off", 30_000);
  const data = gateway.folder.dataPath;
  const [lease] = await eventually("its lease is over", () => {
    const found = rows(data, "SELECT key, state FROM containers WHERE is_over = 1");
    return found.length > 0 && found;
  });
  t.true(String(lease?.key).startsWith(aws.world.state.instances[0]?.id ?? "?"));
  const { start, t: end } = JSON.parse(String(lease?.state)).state as { start: number; t: number };
  t.is(start, (aws.world.state.instances[0]?.launched ?? 0) * 1000);
  const kinds = "('settled','startup','idle','gap','adjusted')";
  const [posted] = rows(data, `SELECT sum(amount) AS sum FROM entries WHERE kind IN ${kinds}`);
  // A microsecond is a nano-dollar.
  t.is(posted?.sum as bigint, BigInt(end - start));
  t.true(onDisk(data, verify).ok);
});
