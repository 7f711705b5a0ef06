// What the rows of the origins' alerts promised, over real sockets: thresholds apart, the rate of success, an odd
// hour, and the words that Slack and Teams are sent.

import test, { type ExecutionContext } from "ava";
import { earlier, HOUR, type Instant } from "../../src/metering/time.ts";
import { startGateway } from "../support/gateway.ts";
import { askImage, eventually } from "../support/gateway-client.ts";
import { makeFolder } from "../support/gateway-folder.ts";
import { entry, openStore } from "../support/ledger.ts";
import { usd } from "../support/policies.ts";
import { slowUpstream } from "../support/slow-upstream.ts";
import { startReceiver } from "../support/webhook.ts";

const policyOf = (url: string, more: string) => `version: 1
timezone: UTC
mode: lowest_price
upstreams:
  flux: { provider: other, url: "${url}", price: { usd_per_request: 0.01 } }
models:
  flux-dev: { upstreams: [flux] }
${more}
`;

async function begin(t: ExecutionContext, more: string) {
  const upstream = await slowUpstream();
  upstream.release("all");
  const folder = makeFolder(policyOf(upstream.url, more));
  t.teardown(async () => {
    await upstream.stop();
    folder.remove();
  });
  const start = async () => {
    const gateway = await startGateway(undefined, { folder });
    t.teardown(() => gateway.stop());
    const send = () => askImage(gateway.url);
    const events = async () => (await gateway.client.alerts({ limit: 50 })).items.map(({ event }) => event);
    /** The rules are looked at with each reload. */
    const sweep = async (round: number) => {
      folder.save(`${policyOf(upstream.url, more)}# ${round}\n`);
      await gateway.daemon.reload();
    };
    return { gateway, send, events, sweep };
  };
  return { upstream, folder, start };
}

test("D30–D32: at 75, 90 and 100 per cent each one is told with the request that reaches it", async (t) => {
  const { start } = await begin(
    t,
    "budgets:\n  - { id: day, limit_requests: 20, period: daily, on_limit: block }",
  );
  const { send, events } = await start();
  const told: Record<number, string> = {};
  for (let sent = 1; sent <= 20; sent += 1) {
    const before = await events();
    t.is((await send()).status, 200);
    if (![15, 18, 20].includes(sent)) {
      t.deepEqual(await events(), before, `request ${sent}`);
      continue;
    }
    const [newest] = await eventually("it is told", async () => {
      const found = await events();
      return found.length > before.length && found;
    });
    told[sent] = newest ?? "";
  }
  t.deepEqual(told, { 15: "warning", 18: "critical", 20: "limit" });
  t.is((await send()).status, 402);
});

test("C20: 95 of a hundred that end well are enough, one less is told", async (t) => {
  const { upstream, start } = await begin(t, "alerts: { rules: { min_success_percent: 95 } }");
  const { gateway, send, sweep } = await start();
  for (let sent = 0; sent < 19; sent += 1) t.is((await send()).status, 200);
  upstream.answer(500);
  t.is((await send()).status, 500);
  await sweep(1);
  await sweep(2);
  t.is((await gateway.client.alerts()).items.length, 0);
  t.is((await send()).status, 500);
  await sweep(3);
  const [alert] = await eventually("it is told", async () => {
    const { items } = await gateway.client.alerts();
    return items.length > 0 && items;
  });
  t.like(alert, { event: "warning", topic: "rule", subject: "min_success_percent" });
});

test("C18: the month is projected by its real days, and told to the webhook from a nano-dollar over the rule", async (t) => {
  const receiver = await startReceiver();
  t.teardown(() => receiver.close());
  process.env.BUDGETGUARD_TEST_ROWS_MONTH = receiver.url;
  const rule = (most: string) =>
    `alerts: { rules: { projected_month_usd: ${most} }, webhooks: [{ url: { env: BUDGETGUARD_TEST_ROWS_MONTH } }] }`;
  const { upstream, folder, start } = await begin(t, rule("0.31"));
  await (await start()).gateway.stop();
  // Ledger time never goes back: from the tenth of a month with 31 days on, whatever today is.
  const tenth = tenthOfALongMonth();
  const store = await openStore(t, folder.dataPath);
  const entries = [entry({ at: tenth, request: "past", amount: usd("0.10") })];
  await store.write({ entries, at: tenth, wall: tenth });
  await store.close();
  const { gateway, events, sweep } = await start();
  await sweep(1);
  t.deepEqual(await events(), [], "0.10 x 31 / 10 is no more than that");
  folder.save(policyOf(upstream.url, rule("0.309999999")));
  await gateway.daemon.reload();
  const [told] = await eventually("it is delivered", () => receiver.bodies.length > 0 && receiver.bodies);
  const figures = { limit_usd: "0.309999999", projected_usd: "0.31", spent_usd: "0.10" };
  t.like(told, { event: "warning", topic: "rule", subject: "projected_month_usd", figures });
  const [listed] = (await gateway.client.alerts()).items;
  t.is(listed?.subject, "projected_month_usd");
  await gateway.daemon.reload();
  t.is(receiver.bodies.length, 1, "once in its month");
});

/** Of the next one, at noon UTC. */
function tenthOfALongMonth(): Instant {
  const today = new Date();
  const tenths = [1, 2, 3].map((more) =>
    Date.UTC(today.getUTCFullYear(), today.getUTCMonth() + more, 10, 12),
  );
  const daysIn = (at: number) =>
    new Date(Date.UTC(new Date(at).getUTCFullYear(), new Date(at).getUTCMonth() + 1, 0)).getUTCDate();
  const found = tenths.find((at) => daysIn(at) === 31);
  return ((found ?? 0) * 1000) as Instant;
}

test("D59: an hour far dearer than those of the days before is told, and only that one", async (t) => {
  const { folder, start } = await begin(t, "");
  await (await start()).gateway.stop();
  const store = await openStore(t, folder.dataPath);
  const now = (Date.now() * 1000) as Instant;
  const hours = Array.from({ length: 30 }, (_, index) => earlier(now, ((index + 1) * HOUR) as typeof HOUR));
  const entries = hours.map((at, index) =>
    entry({ at, request: `past-${index}`, amount: usd(index % 2 === 0 ? "0.010" : "0.012") }),
  );
  await store.write({ entries, at: now, wall: now });
  await store.close();
  const { gateway, send, sweep } = await start();
  t.is((await send()).status, 200);
  await sweep(1);
  await sweep(2);
  t.is((await gateway.client.alerts({ event: "anomaly" })).items.length, 0, "an hour like the others");
  for (let sent = 0; sent < 5; sent += 1) t.is((await send()).status, 200);
  await sweep(3);
  const told = await eventually("it is told", async () => {
    const { items } = await gateway.client.alerts({ event: "anomaly" });
    return items.length > 0 && items;
  });
  t.is(told.length, 1);
  t.like(told[0], { severity: "warning", figures: { usual_usd: "0.011" } });
});

test("C31, D64: Slack and Teams are each sent what they take, and JSON beside them", async (t) => {
  const kinds = ["slack", "teams", "json"] as const;
  const receivers = await Promise.all(kinds.map(() => startReceiver()));
  const webhooks = kinds.map((format, index) => {
    const name = `BUDGETGUARD_TEST_ROWS_${format.toUpperCase()}`;
    process.env[name] = receivers[index]?.url ?? "";
    return `{ url: { env: ${name} }, format: ${format}, events: [limit] }`;
  });
  const { start } = await begin(
    t,
    `budgets:\n  - { id: day, limit_requests: 1, on_limit: block }\nalerts: { webhooks: [${webhooks.join(", ")}] }`,
  );
  const { gateway, send } = await start();
  t.teardown(() => Promise.all(receivers.map((one) => one.close())));
  t.is((await send()).status, 200);
  const [slack, teams, json] = await eventually("all three are told", () => {
    const bodies = receivers.map((one) => one.bodies);
    return bodies.every((own) => own.length > 0) && bodies;
  });
  const says = /budget day has reached its limit: 1 of 1 requests/;
  t.regex(String(slack?.[0]?.text), says);
  t.like(slack?.[0], { blocks: [{ type: "header" }] });
  t.regex(String(teams?.[0]?.summary), says);
  t.like(teams?.[0], { attachments: [{ contentType: "application/vnd.microsoft.card.adaptive" }] });
  t.like(json?.[0], { event: "limit", subject: "day" });
  t.deepEqual(
    receivers.map(({ bodies }) => bodies.length),
    [1, 1, 1],
    "warning and critical were not asked for",
  );
  const [listed] = (await gateway.client.alerts({ event: "limit" })).items;
  t.is(listed?.deliveries.length, 3);
});
