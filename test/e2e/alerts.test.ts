// Alerts of the running gateway: raised by requests, told to a webhook once, listed, acknowledged, and not
// told again after a restart.

import test, { type ExecutionContext } from "ava";
import { startGateway } from "../support/gateway.ts";
import { askImage, eventually } from "../support/gateway-client.ts";
import { makeFolder } from "../support/gateway-folder.ts";
import { slowUpstream } from "../support/slow-upstream.ts";
import { type Receiver, startReceiver } from "../support/webhook.ts";

let names = 0;

async function begin(t: ExecutionContext, limits = "limit_requests: 4") {
  const [upstream, receiver] = [await slowUpstream(), await startReceiver()];
  upstream.release("all");
  names += 1;
  const variable = `BUDGETGUARD_TEST_HOOK_${names}`;
  process.env[variable] = receiver.url;
  const text = `version: 1
mode: lowest_price
upstreams:
  flux: { provider: other, url: "${upstream.url}", price: { usd_per_request: 0.01 } }
models:
  flux-dev: { upstreams: [flux] }
budgets:
  - { id: day, per: user, ${limits}, period: daily, on_limit: block }
alerts:
  webhooks: [ { url: { env: ${variable} } } ]
`;
  const folder = makeFolder(text);
  const first = await startGateway(undefined, { folder });
  t.teardown(async () => {
    await first.stop();
    await upstream.stop();
    await receiver.close();
    folder.remove();
  });
  const send = (url: string, user = "ann") => askImage(url, { headers: { "X-BudgetGuard-User": user } });
  return { first, folder, receiver, send, text, variable };
}

const eventsOf = ({ bodies }: Receiver) => bodies.map(({ event, value }) => `${event} ${value}`);

async function came(receiver: Receiver, count: number): Promise<void> {
  await eventually("the alerts to come", async () => (receiver.bodies.length >= count ? true : undefined));
}

test("each threshold of each user is told once, however many requests follow it", async (t) => {
  const { first, receiver, send } = await begin(t);
  for (let sent = 0; sent < 6; sent += 1) await send(first.url);
  await came(receiver, 3);
  t.deepEqual(eventsOf(receiver), ["warning ann", "critical ann", "limit ann"]);
  for (let sent = 0; sent < 6; sent += 1) await send(first.url, "bob");
  await came(receiver, 6);
  t.deepEqual(eventsOf(receiver).slice(3), ["warning bob", "critical bob", "limit bob"]);
  const metrics = await first.client.metrics();
  t.regex(metrics, /^budgetguard_alerts_total\{event="limit"\} 2$/m);
  t.regex(metrics, /^budgetguard_alert_deliveries_total\{outcome="delivered"\} 6$/m);
});

test("a restart in the same period tells nothing again, and goes on with what was not delivered", async (t) => {
  const { first, folder, receiver, send } = await begin(t);
  receiver.answers = ["hang"];
  for (let sent = 0; sent < 4; sent += 1) await send(first.url);
  await came(receiver, 1);
  await first.stop();
  t.is(receiver.bodies.length, 1, "the others wait behind the one that hangs");
  const second = await startGateway(undefined, { folder });
  t.teardown(() => second.stop());
  await came(receiver, 4);
  t.deepEqual(eventsOf(receiver), ["warning ann", "warning ann", "critical ann", "limit ann"]);
  t.is(receiver.bodies[0]?.id, receiver.bodies[1]?.id, "its id says that it is the same");
  await send(second.url);
  const { items } = await second.client.alerts();
  t.deepEqual(
    items.map(({ event }) => event),
    ["limit", "critical", "warning"],
  );
  t.regex(await second.client.metrics(), /^budgetguard_alerts_total\{event="limit"\} 1$/m);
});

test("alerts are listed by page and filter, and acknowledged by whoever may operate", async (t) => {
  const { first, receiver, send, variable } = await begin(t);
  for (let sent = 0; sent < 4; sent += 1) await send(first.url);
  await came(receiver, 3);
  const page = await first.client.alerts({ limit: 2 });
  t.deepEqual(
    page.items.map(({ event }) => event),
    ["limit", "critical"],
  );
  const rest = await first.client.alerts({ limit: 2, before: page.next ?? "" });
  t.like(rest.items[0], { event: "warning", subject: "day", value: "ann", unit: "requests" });
  t.is(rest.next, null);
  const [limit] = page.items;
  const path = `${first.daemon.admin}/api/v1/alerts/${limit?.id}/acknowledge`;
  const json = { "content-type": "application/json" };
  t.is((await fetch(path, { method: "POST", headers: json, body: "{}" })).status, 401);
  const acknowledged = await first.client.acknowledgeAlert(limit?.id ?? "");
  t.is(acknowledged.acknowledged?.by, "admin");
  t.deepEqual((await first.client.acknowledgeAlert(limit?.id ?? "")).acknowledged, acknowledged.acknowledged);
  t.is((await first.client.alerts({ acknowledged: "true" })).items.length, 1);
  t.is((await first.client.alerts({ severity: "critical", acknowledged: "false" })).items.length, 1);
  t.is((await first.client.alerts({ subject: "night" })).items.length, 0);
  await t.throwsAsync(first.client.acknowledgeAlert("a-none"), { message: /no alert with this id/ });
  const listed = JSON.stringify(await first.client.alerts());
  t.true(listed.includes(`json to env ${variable}`));
  t.false(listed.includes("a-secret-path"), "the address is a secret");
});

test("a hold that fits no more says that the money has run out, before it is all spent", async (t) => {
  const { first, receiver, send } = await begin(t, "limit_usd: 0.015");
  t.is((await send(first.url)).status, 200);
  t.is((await send(first.url)).status, 402);
  await came(receiver, 1);
  t.like(receiver.bodies[0], {
    event: "limit",
    figures: { limit_usd: "0.015", settled_usd: "0.01", held_usd: "0.00" },
  });
  t.regex(
    String(receiver.bodies[0]?.text),
    /^budget day \(user ann\) has run out: 0\.01 of 0\.015 USD, until .*; a request that needs 0\.01 USD was refused$/,
  );
});

test("rules come into force with the policy, and look at what the ledger has", async (t) => {
  const { first, folder, receiver, send, text } = await begin(t, "limit_requests: 1000");
  for (let sent = 0; sent < 10; sent += 1) t.is((await send(first.url)).status, 200);
  folder.save(
    `${text}  rules: { max_usd_per_image: 0.009, min_success_percent: 100, projected_month_usd: 0.05 }\n`,
  );
  await first.daemon.reload();
  await came(receiver, 2);
  t.deepEqual(receiver.bodies.map(({ subject }) => subject).sort(), [
    "max_usd_per_image",
    "projected_month_usd",
  ]);
  t.true(
    receiver.bodies.some(({ advice }) => advice === "try fewer steps, a smaller GPU or shorter prompts"),
  );
  await first.daemon.reload();
  t.is((await first.client.alerts({ topic: "rule" })).items.length, 2);
});

test("a reload with problems is told, once an hour", async (t) => {
  const { first, folder, receiver, text } = await begin(t);
  for (const wrong of ["nonsense: 1", "nonsense: 2"]) {
    folder.save(`${text}\n${wrong}\n`);
    await first.daemon.reload();
  }
  await came(receiver, 1);
  folder.save(text);
  await first.daemon.reload();
  t.like(receiver.bodies[0], { event: "policy", severity: "critical", topic: "policy" });
  t.is((await first.client.alerts()).items.length, 1);
});
