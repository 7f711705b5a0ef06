// Budgets per session and per task through the real proxy: what belongs together, also after a crash.

import test, { type ExecutionContext } from "ava";
import { type Nim, startNim } from "../../src/demo/nim.ts";
import { startGateway } from "../support/gateway.ts";
import { askImage, eventually } from "../support/gateway-client.ts";
import { type GatewayFolder, makeFolder } from "../support/gateway-folder.ts";
import { spawnGateway } from "../support/gateway-process.ts";

const POLICY = (nim: Nim, idle = "30m") => `version: 1
defaults: { session_idle: ${idle} }
upstreams:
  pod: { provider: other, url: "${nim.url}", price: { usd_per_request: 0.01 } }
  one-at-a-time: { provider: other, url: "${nim.url}", price: { usd_per_request: 0.01 }, concurrency: 1 }
models:
  flux-dev: { upstreams: [pod] }
  flux-cheap: { upstreams: [pod], max_usd_per_request: 0.009 }
  flux-fits: { upstreams: [pod], max_usd_per_request: 0.01 }
  flux-slot: { upstreams: [one-at-a-time] }
budgets:
  - { id: sitting, when: { user: [ann, bob] }, period: per_session, limit_requests: 2, on_limit: block }
  - { id: poster, when: { user: tim }, period: per_task, limit_usd: 0.02, on_limit: block }
`;

async function begin(t: ExecutionContext): Promise<{ nim: Nim; folder: GatewayFolder }> {
  const nim = await startNim({ scale: 1000 });
  const folder = makeFolder(POLICY(nim));
  t.teardown(async () => {
    await nim.close();
    folder.remove();
  });
  return { nim, folder };
}

const PATIENT = { patienceMs: 60_000 };

const asker =
  (url: string) =>
  async (user: string, labels: Readonly<Record<string, string>> = {}, model = "flux-dev") =>
    (await askImage(`${url}/m/${model}`, { headers: { "X-BudgetGuard-User": user, ...labels } })).status;

test("requests that name no session are one per client, over a crash too; a named one is another", async (t) => {
  t.timeout(180_000);
  const { folder } = await begin(t);
  const first = await spawnGateway(folder, PATIENT);
  t.teardown(() => first.signal("SIGKILL"));
  const ask = asker(first.url);
  t.is(await ask("ann"), 200);
  t.is(await ask("ann"), 200);
  t.is(await ask("ann"), 402, "the third of one session");
  t.is(await ask("bob"), 200, "another client");
  t.is(await ask("ann", { "X-BudgetGuard-Session": "evening" }), 200, "another session of hers");
  first.signal("SIGKILL");
  await first.ended;

  const second = await spawnGateway(folder, PATIENT);
  t.teardown(() => second.signal("SIGKILL"));
  const again = asker(second.url);
  t.is(await again("ann"), 402, "her session goes on");
  t.is(await again("bob"), 200);
  t.is(await again("bob"), 402);
  t.is(await again("ann", { "X-BudgetGuard-Session": "evening" }), 200);
  t.is(await again("ann", { "X-BudgetGuard-Session": "evening" }), 402);
});

test("after session_idle without requests a client has a new session", async (t) => {
  const { nim, folder } = await begin(t);
  folder.save(POLICY(nim, "50ms"));
  const gateway = await startGateway(undefined, { folder });
  t.teardown(() => gateway.stop());
  const pause = () => new Promise((resolve) => setTimeout(resolve, 200));
  for (let number = 0; number < 4; number += 1) {
    t.is(await asker(gateway.url)("ann"), 200);
    await pause();
  }
});

test("one request is one task, and X-BudgetGuard-Task groups several, over a restart too", async (t) => {
  const { folder } = await begin(t);
  const first = await startGateway(undefined, { folder });
  t.teardown(() => first.stop());
  const ask = asker(first.url);
  const named = { "X-BudgetGuard-Task": "winter-poster" };
  for (let number = 0; number < 3; number += 1) t.is(await ask("tim"), 200, "a task of its own");
  t.is(await ask("tim", named), 200);
  t.is(await ask("tim", named), 200);
  t.is(await ask("tim", named), 402);
  await first.stop();

  const second = await startGateway(undefined, { folder });
  t.teardown(() => second.stop());
  t.is(await asker(second.url)("tim", named), 402, "the task goes on");
  t.is(await asker(second.url)("tim"), 200);
});

test("max_usd_per_request refuses what costs a nano-dollar more, and every request that fits passes", async (t) => {
  const { folder } = await begin(t);
  const gateway = await startGateway(undefined, { folder });
  t.teardown(() => gateway.stop());
  const ask = asker(gateway.url);
  t.is(await ask("eve", {}, "flux-cheap"), 402);
  for (let number = 0; number < 3; number += 1) t.is(await ask("eve", {}, "flux-fits"), 200);
});

test("a client that prefers not to wait waits like any other", async (t) => {
  const { nim, folder } = await begin(t);
  const gateway = await startGateway(undefined, { folder });
  t.teardown(() => gateway.stop());
  const url = `${gateway.url}/m/flux-slot`;
  const slow = askImage(url, { headers: { "X-Nim-Fault": '{"kind":"slow_head","ms":500}' } });
  await eventually("the slot is taken", () => nim.inFlight() === 1);
  const patient = await askImage(url, { headers: { Prefer: "respond-async" } });
  t.is((await slow).status, 200);
  t.is(patient.status, 200);
  t.truthy(patient.headers["x-budgetguard-waited-seconds"], "it stood in line");
});
