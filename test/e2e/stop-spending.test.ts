// All spending stopped, as clients meet it: who is refused in what words, who waits, who is cut, and what a
// restart finds.

import test, { type ExecutionContext } from "ava";
import { startGateway } from "../support/gateway.ts";
import { askImage, eventually, jsonOf } from "../support/gateway-client.ts";
import { makeFolder } from "../support/gateway-folder.ts";
import { slowUpstream } from "../support/slow-upstream.ts";

const policyOf = (paid: string, free: string) => `version: 1
mode: lowest_price
timezone: Europe/Berlin
upstreams:
  flux-paid: { provider: other, url: "${paid}", price: { usd_per_hour: 1 }, concurrency: 1 }
  flux-free: { provider: nvidia-hosted, url: "${free}", price: { usd_per_request: 0 } }
models:
  flux-dev: { upstreams: [flux-paid], estimate: 10s }
  flux-none: { upstreams: [flux-free], estimate: 10s }
budgets:
  - { id: day, limit_usd: 5, period: daily, on_limit: block }
`;

async function begin(t: ExecutionContext) {
  const [paid, free] = [await slowUpstream(), await slowUpstream()];
  const folder = makeFolder(policyOf(paid.url, free.url));
  const gateway = await startGateway(undefined, { folder });
  t.teardown(async () => {
    paid.release("all");
    free.release("all");
    await gateway.stop();
    folder.remove();
    await paid.stop();
    await free.stop();
  });
  const send = (model = "flux-dev") => askImage(gateway.url, { headers: { "X-BudgetGuard-Model": model } });
  return { gateway, paid, free, folder, send };
}

test("paid work gets a 402 that says who, since when and how to go on; free work is served", async (t) => {
  const { gateway, free, send } = await begin(t);
  free.release("all");
  t.like(await gateway.client.changeSpending({ stopped: true }), { stopped: true, stopped_by: "admin" });
  const refused = await send();
  t.is(refused.status, 402);
  t.regex(
    refused.reason,
    /^BudgetGuard: all spending is stopped by admin since \d{4}-\d\d-\d\d \d\d:\d\d Europe\/Berlin; to go on: budgetguard resume$/,
  );
  t.is(refused.headers["x-should-retry"], "false");
  t.like(jsonOf(refused), { error: { code: "spending_stopped" }, budgetguard: { stopped_by: "admin" } });
  t.is((await send("flux-none")).status, 200);
  t.regex(await gateway.client.metrics(), /^budgetguard_spending_stopped 1$/m);
  t.like((await gateway.client.status()).spending, { stopped: true, stopped_by: "admin" });
  const [last] = (await gateway.client.requests({ outcome: "refused" })).items;
  t.is(last?.model, "flux-dev");
});

test("who waits for a paid slot is refused when spending stops, what runs goes on to its end", async (t) => {
  const { gateway, paid, send } = await begin(t);
  const running = send();
  await eventually("one runs", () => paid.running() === 1);
  const waiting = send();
  await eventually("one waits", async () => (await gateway.client.status()).waiting === 1);
  await gateway.client.changeSpending({ stopped: true });
  t.is((await waiting).status, 402);
  paid.release();
  t.is((await running).status, 200);
  await gateway.client.changeSpending({ stopped: false });
  paid.release("all");
  t.is((await send()).status, 200);
});

test("--cut ends paid work, settles it as cut and charges the time used; free work that runs is left", async (t) => {
  const { gateway, paid, free, send } = await begin(t);
  const [running, spared] = [send(), send("flux-none")];
  await eventually("both run", () => paid.running() === 1 && free.running() === 1);
  const changed = await gateway.client.changeSpending({ stopped: true, cut: true, containers: true });
  t.is(changed.cut_requests.length, 1);
  t.deepEqual(changed.stopped_machines, []);
  const cut = await running;
  t.is(cut.status, 402);
  t.regex(cut.reason, /all spending was stopped by admin/);
  const [row] = (await gateway.client.requests({ outcome: "cut" })).items;
  t.is(row?.id, changed.cut_requests[0]);
  t.true(Number(row?.charged_usd) > 0);
  free.release("all");
  t.is((await spared).status, 200);
  const { turns } = await gateway.client.spending();
  t.like(turns[0], { by: "admin", stopped: true, cut: true, containers: true });
});

test("a restart finds spending stopped", async (t) => {
  const { gateway, folder } = await begin(t);
  const before = await gateway.client.changeSpending({ stopped: true });
  await gateway.stop();
  const next = await startGateway(undefined, { folder });
  t.teardown(() => next.stop());
  const reply = await askImage(next.url, { headers: { "X-BudgetGuard-Model": "flux-dev" } });
  t.is(reply.status, 402);
  t.is((await next.client.spending()).stopped_at, before.stopped_at);
});
