// A container of a real podman behind a running gateway: seen, started and stopped by command, told to the
// ledger from its engine's own start to its stop, and kept out of the way of requests while it is off.

import test from "ava";
import { verify } from "../../src/ledger/verify.ts";
import { fakeEngine } from "../support/fake-engine.ts";
import { startGateway } from "../support/gateway.ts";
import { ask, eventually } from "../support/gateway-client.ts";
import { onDisk, rows } from "../support/ledger.ts";
import { type Podman, startPodman } from "../support/podman.ts";
import { usd } from "../support/policies.ts";
import { needs } from "../support/real.ts";

/** One second costs 0.001 USD, used or not. */
const policy = ({ url, socket, container }: Podman) => `version: 1
mode: manual
upstreams:
  nim:
    provider: other
    url: "${url}"
    price: { usd_per_hour: 3.6 }
    container: { docker: { name: ${container}, socket: "${socket}" } }
models:
  flux-dev: { upstreams: [nim], estimate: 4s }
budgets:
  - { id: day, limit_usd: 20, period: daily, on_limit: block }
`;

test("one that serves where nobody says is no candidate, and the answer says what to write", async (t) => {
  const engine = await fakeEngine(t);
  const up = { Status: "running", StartedAt: new Date().toISOString(), Health: { Status: "healthy" } };
  engine.answers["GET /v1.40/containers/nim/json"] = [200, { Id: "c0ffee", State: up }];
  const gateway = await startGateway(`version: 1
upstreams:
  nim: { provider: local, container: { docker: { name: nim, socket: "${engine.socket}" } } }
models:
  flux-dev: { upstreams: [nim] }
`);
  t.teardown(() => gateway.stop());
  await eventually(
    "it is ready",
    async () => (await gateway.client.containers()).items[0]?.state === "ready",
  );
  const reply = await ask(`${gateway.url}/m/flux-dev/v1/infer`, { method: "POST", body: '{"prompt":"a"}' });
  t.is(reply.status, 503);
  t.regex(reply.body.toString(), /its container serves, and nobody says where: give the upstream a url/);
});

test(
  "A74: a container costs from its start to its stop, to the nano-dollar, whoever started it",
  needs("podman", async (t, program) => {
    const podman = await startPodman(t, program);
    const gateway = await startGateway(policy(podman));
    t.teardown(() => gateway.stop());
    const { client } = gateway;
    const node = async () => (await client.containers()).items[0];
    const is = (state: string) => eventually(`it is ${state}`, async () => (await node())?.state === state);
    const infer = () => ask(`${gateway.url}/m/flux-dev/v1/infer`, { method: "POST", body: '{"prompt":"a"}' });

    await is("off");
    const down = await infer();
    t.is(down.status, 503);
    t.regex(down.body.toString(), /its container is off: `budgetguard nodes start nim` starts it/);
    await t.throwsAsync(client.orderContainer("stop", "nim"), { message: /it is off: nothing to stop/ });
    await t.throwsAsync(client.orderContainer("start", "other"), { message: /those that are: nim/ });

    t.is((await client.orderContainer("start", "nim")).upstream, "nim");
    await is("ready");
    const up = await node();
    t.like(up, { in_flight: 0, why: null, idle_usd_per_hour: "3.60" });
    const began = BigInt(Date.parse(up?.live_since ?? "")) * 1000n;
    t.true(began > 0n);
    // busybox serves files only: it answers, and is charged for the time.
    t.is((await infer()).status, 501);
    const idle = await eventually("its idle time is posted", async () => {
      const [budget] = (await client.status()).budgets;
      return usd(budget?.settled ?? "0") > usd("0.001") && budget;
    });
    t.truthy(idle);

    // Somebody else stops it: the gateway hears of that, too.
    await podman.type("stop", podman.container);
    await is("off");
    const data = gateway.folder.dataPath;
    const totals = await eventually("its lease is over", () => {
      const [lease] = rows(data, "SELECT state FROM containers WHERE is_over = 1");
      const [posted] = rows(
        data,
        "SELECT sum(amount) AS sum FROM entries WHERE kind IN ('settled','startup','idle','gap','adjusted')",
      );
      return lease && { lease: JSON.parse(String(lease.state)).state, posted: posted?.sum as bigint };
    });
    const { start, t: end, total } = totals.lease as { start: number; t: number; total: string };
    t.is(BigInt(start) / 1000n, began / 1000n);
    // A microsecond is a nano-dollar.
    t.is(totals.posted, BigInt(end - start));
    t.is(totals.posted, BigInt(total) / 3_600_000_000n);
    t.true(onDisk(data, verify).ok);
  }),
);
