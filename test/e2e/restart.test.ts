// Stopping and starting again: what was under way ends, what was counted and switched is still so.

import test, { type ExecutionContext } from "ava";
import { type Nim, startNim } from "../../src/demo/nim.ts";
import { freePort } from "../support/free-port.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { ask, askImage, eventually } from "../support/gateway-client.ts";
import { type GatewayFolder, makeFolder } from "../support/gateway-folder.ts";
import { type GatewayProcess, spawnGateway } from "../support/gateway-process.ts";
import { rawUpstream } from "../support/sockets.ts";

/** What answers at `far` takes a connection and then says nothing: nothing can be sent there. */
const POLICY = (nim: Nim, { mode = "lowest_price", down = 1, far = 1 } = {}) => `version: 1
mode: ${mode}
upstreams:
  flux-local: { provider: local, url: "${nim.url}" }
  flux-pod: { provider: other, url: "${nim.url}", price: { usd_per_request: 0.01 } }
  flux-down: { provider: other, url: "http://127.0.0.1:${down}", price: { usd_per_request: 0.001 } }
  flux-far: { provider: other, url: "https://127.0.0.1:${far}", price: { usd_per_request: 0.001 } }
models:
  flux-far: { upstreams: [flux-far] }
  flux-dev: { upstreams: [flux-local, flux-pod] }
  flux-failover: { upstreams: [flux-down, flux-pod] }
  flux-nowhere: { upstreams: [flux-down] }
budgets:
  - { id: studio-day, limit_usd: 20, period: daily, on_limit: warn, warn_at: 0.0001 }
  - { id: guests, when: { user: guest }, limit_usd: 0.001, period: daily, on_limit: block }
`;

async function begin(t: ExecutionContext): Promise<{ nim: Nim; folder: GatewayFolder }> {
  const nim = await startNim({ scale: 1 });
  const folder = makeFolder(POLICY(nim));
  t.teardown(async () => {
    await nim.close();
    folder.remove();
  });
  return { nim, folder };
}

async function running(t: ExecutionContext, folder: GatewayFolder): Promise<GatewayProcess> {
  const gateway = await spawnGateway(folder);
  t.teardown(() => gateway.signal("SIGKILL"));
  return gateway;
}

test("told to stop, it lets the request under way end, settles it and exits with 0", async (t) => {
  const { nim, folder } = await begin(t);
  const first = await running(t, folder);
  const asked = askImage(`${first.url}/m/flux-dev`, { headers: SLOW });
  await eventually("it is under way", () => nim.inFlight() === 1);
  first.signal("SIGTERM");
  await eventually(
    "nothing new is taken",
    async () => (await askImage(`${first.url}/m/flux-dev`)).status === 0,
  );
  t.is(nim.inFlight(), 1, "the request under way was broken off");
  const reply = await asked;
  t.true(reply.status === 200 && reply.isWhole);
  t.is((await first.ended).code, 0);

  const second = await running(t, folder);
  const record = await second.client.request(String(reply.headers["x-budgetguard-request"]));
  t.like(record, { outcome: "relayed", charged_usd: "0.01" });
  t.is((await second.client.status()).budgets[0]?.held, "0.00");
});

test("SIGHUP reads the policy again", async (t) => {
  const { nim, folder } = await begin(t);
  const gateway = await running(t, folder);
  folder.save(POLICY(nim, { mode: "local" }));
  gateway.signal("SIGHUP");
  await eventually("the new mode is in force", async () => (await gateway.client.mode()).mode === "local");
  t.is((await gateway.client.status()).policy.valid, true);
});

test("a mode that was switched over the API survives a restart, until the file's own mode changes", async (t) => {
  const { nim, folder } = await begin(t);
  const first = await startGateway(undefined, { folder });
  t.like(await first.client.setMode("local"), { mode: "local", policy_mode: "lowest_price" });
  t.is(await upstreamOf(first), "flux-local");
  await first.stop();

  const second = await startGateway(undefined, { folder });
  t.teardown(() => second.stop());
  t.like(await second.client.mode(), { mode: "local", policy_mode: "lowest_price" });
  t.is(await upstreamOf(second), "flux-local");
  folder.save(`${POLICY(nim)}# Another text, the same mode.\n`);
  await eventually("the text is read", async () => /the same mode/.test((await second.client.policy()).text));
  t.is(await upstreamOf(second), "flux-local", "a change of something else ended the switch");
  folder.save(POLICY(nim, { mode: "manual" }));
  await eventually("the file's mode is in force", async () => (await second.client.mode()).mode === "manual");
  folder.save(POLICY(nim));
  await eventually("the switch is over", async () => (await upstreamOf(second)) === "flux-pod");
  t.is((await second.client.mode()).switched_at, null);
});

test("a mode switch that the file's mode has ended does not come back", async (t) => {
  const { nim, folder } = await begin(t);
  const whileDown = async (policy: string) => {
    folder.save(policy);
    const gateway = await startGateway(undefined, { folder });
    const { mode } = await gateway.client.mode();
    await gateway.stop();
    return mode;
  };
  const first = await startGateway(undefined, { folder });
  await first.client.setMode("local");
  await first.stop();
  t.is(await whileDown(POLICY(nim, { mode: "manual" })), "manual");
  t.is(await whileDown(POLICY(nim)), "lowest_price");
});

const countersGoOn = test.macro(async (t, endings: readonly Ending[]) => {
  const { nim, folder } = await begin(t);
  const silent = await rawUpstream(() => undefined);
  t.teardown(() => silent.close());
  folder.save(POLICY(nim, { down: await freePort(), far: Number(new URL(silent.url).port) }));
  const first = await startGateway(undefined, { folder });
  for (const { model = "flux-dev", leavesAfterMs, ...headers } of endings) {
    const signal = leavesAfterMs === undefined ? {} : { signal: AbortSignal.timeout(leavesAfterMs) };
    await askImage(`${first.url}/m/${model}`, { headers, ...signal });
  }
  await eventually("all have ended", async () => (await first.client.status()).in_flight === 0);
  const before = kept(await first.client.metrics());
  const usage = await first.client.usage();
  await first.stop();
  const second = await startGateway(undefined, { folder });
  t.teardown(() => second.stop());
  t.deepEqual(kept(await second.client.metrics()), before);
  t.like(await second.client.usage(), usage);
  t.true(before.length > 0, before.join("\n"));
});

test("the counters of /metrics go on after a restart where they were", countersGoOn, [
  {},
  { "X-Nim-Fault": "refuse" },
  { "X-Nim-Fault": "reset" },
  { "X-Nim-Fault": '{"kind":"truncate","after":50}' },
  { "X-Nim-Fault": "hang", leavesAfterMs: 300 },
  { model: "flux-far", leavesAfterMs: 300 },
  { "X-BudgetGuard-User": "guest" },
]);
test("the counters go on after a failover", countersGoOn, [{ model: "flux-failover" }]);
test("a warning counts once where a request fails over", countersGoOn, [{}, { model: "flux-failover" }]);
test("the counters go on after an upstream that was down", countersGoOn, [{ model: "flux-nowhere" }]);

test("C30: the balances after a restart are those before it", async (t) => {
  const { folder } = await begin(t);
  const first = await startGateway(undefined, { folder });
  await askImage(`${first.url}/m/flux-dev`);
  const before = (await first.client.status()).budgets;
  t.is(before[0]?.settled, "0.01");
  await first.stop();
  const second = await startGateway(undefined, { folder });
  t.teardown(() => second.stop());
  t.deepEqual((await second.client.status()).budgets, before);
});

test("a model's own port is ready while its upstream may serve, and says 503 when none may", async (t) => {
  const { nim, folder } = await begin(t);
  const port = await freePort();
  folder.save(POLICY(nim).replace("flux-dev: {", `flux-dev: { port: ${port},`));
  const gateway = await startGateway(undefined, { folder });
  t.teardown(() => gateway.stop());
  const ready = () => ask(`http://localhost:${port}/v1/health/ready`, { method: "GET" });
  t.is((await ready()).status, 200);
  folder.save(POLICY(nim, { mode: "local" }).replace("flux-failover: {", `flux-failover: { port: ${port},`));
  await eventually(
    "the port is the other model's, which has nothing local",
    async () => (await ready()).status === 503,
  );
  t.pass();
});

const SLOW = { "X-Nim-Fault": '{"kind":"slow_head","ms":4000}' };

interface Ending {
  readonly model?: string;
  readonly leavesAfterMs?: number;
  readonly "X-Nim-Fault"?: string;
  readonly "X-BudgetGuard-User"?: string;
}

/** The counters that the docs call kept, as lines, in order; one that is 0 might as well not be there. */
function kept(metrics: string): string[] {
  return metrics
    .split("\n")
    .filter((line) => /^budgetguard_(?:requests|cost_usd|decisions)_total\{.*\} (?!0$)/.test(line))
    .sort();
}

async function upstreamOf({ url }: Gateway): Promise<string> {
  return String((await askImage(`${url}/m/flux-dev`)).headers["x-budgetguard-upstream"]);
}
