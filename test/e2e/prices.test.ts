// Live prices from the wire to the charge: fetched, judged, kept, and in force along the way of a reload; and
// what a fetch may never do: hold up a request, change what was charged, or be needed by a start.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { startNim } from "../../src/demo/nim.ts";
import { type AzureRetail, azureRetail } from "../support/clouds/azure-retail.ts";
import { gcpCatalogue } from "../support/clouds/gcp-catalogue.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { askImage, eventually } from "../support/gateway-client.ts";
import { makeFolder } from "../support/gateway-folder.ts";

const T4 = "azure/eastus/Standard_NC4as_T4_v3";

function policyOf(nim: string, azure: string, more = ""): string {
  return `version: 1
timezone: UTC
mode: manual
prices: { refresh: 24h, sources: [azure${more}, access: { azure: { endpoint: "${azure}", regions: [eastus] } } }
upstreams:
  flux-azure: { provider: azure, url: "${nim}", gpu_tier: t4, price: { rate: ${T4} } }
models:
  flux-dev: { upstreams: [flux-azure], manual: flux-azure, estimate: 5s }
budgets:
  - { id: day, limit_usd: 10, period: daily, on_limit: block }
`;
}

const licensed = "], licence_usd_per_gpu_hour: 0.25";
const row = (price: string) => ({ sku: "Standard_NC4as_T4_v3", price });

/** What its upstream is charged by now. */
async function priceOf({ client }: Gateway): Promise<string> {
  return (await client.status()).upstreams[0]?.price ?? "none";
}

/** A request, and the price that its record tells. */
async function charged(gateway: Gateway) {
  const { status, headers } = await askImage(gateway.url, { steps: 4 });
  const id = String(headers["x-budgetguard-request"]);
  const record = await eventually("its charge", async () => {
    const found = await gateway.client.request(id);
    return found.charged_usd !== null && found;
  });
  return { status, id, price: record.explanation.candidates[0]?.price, usd: record.charged_usd };
}

/** After the call of the start, which the list refuses: what comes of another one. */
async function update({ client }: Gateway) {
  const first = async () => (await client.prices()).sources[0]?.trouble !== null;
  await eventually("the end of the first call", first);
  await client.updatePrices();
  return eventually("the end of the update", async () => {
    const found = await client.prices();
    return found.sources.every(({ fetching }) => !fetching) && found;
  });
}

/** The list refuses the first call, that of the start: no gateway waits for it. */
async function places(t: { teardown(end: () => Promise<void>): void }, price: string) {
  const nim = await startNim({ scale: 0 });
  const list: AzureRetail = await azureRetail([row(price)]);
  list.misbehave({ kind: "status", status: 403 });
  t.teardown(async () => {
    await nim.close();
    await list.close();
  });
  return { nim, list };
}

test.serial("a fetched price counts for what comes, and never for what was charged", async (t) => {
  const { nim, list } = await places(t, "0.6");
  const gateway = await startGateway(policyOf(nim.url, list.origin, licensed));
  t.teardown(() => gateway.stop());
  const before = await charged(gateway);
  t.is(before.price, `0.776 USD/h (0.25 of it licence), rate card ${T4} of 2026-06-18`);
  const { sources } = await update(gateway);
  t.deepEqual([sources[0]?.trouble, sources[0]?.fetching], [null, false]);
  t.regex(await priceOf(gateway), /^0\.85 USD\/h \(0\.25 of it licence\), live azure\/\S+ of 20\d\d-/);
  const after = await charged(gateway);
  t.regex(after.price ?? "", /^0\.85 USD\/h/);
  const again = await gateway.client.request(before.id);
  t.deepEqual([again.charged_usd, again.explanation.candidates[0]?.price], [before.usd, before.price]);
  const { items } = await gateway.client.prices({ provider: "azure" });
  const found = items.find(({ rate }) => rate === T4);
  t.deepEqual([found?.usd_per_hour, found?.live, found?.upstreams], ["0.60", true, ["flux-azure"]]);
  t.is(found?.unverified_because, "differs by more than 10 % from 0.526 of 2026-06-18");
});

test.serial("a restart goes on with the last good price while the list is down", async (t) => {
  const { nim, list } = await places(t, "0.55");
  const folder = makeFolder(policyOf(nim.url, list.origin, "]"));
  t.teardown(async () => folder.remove());
  const first = await startGateway(undefined, { folder });
  await update(first);
  await first.daemon.stop();
  await list.close();
  const second = await startGateway(undefined, { folder });
  t.regex(await priceOf(second), /^0\.55 USD\/h, live/);
  t.is((await charged(second)).status, 200);
  await second.stop();
  writeFileSync(join(folder.dataPath, "prices.json"), "{");
  const third = await startGateway(undefined, { folder });
  t.regex(await priceOf(third), /^0\.526 USD\/h, rate card/);
  await third.stop();
});

test.serial("a list that hangs holds up no request, no reload and no stop", async (t) => {
  const { nim, list } = await places(t, "0.55");
  const gateway = await startGateway(policyOf(nim.url, list.origin, "]"));
  await eventually("the first call", () => list.got.length === 1);
  await eventually("its end", async () => (await gateway.client.prices()).sources[0]?.trouble !== null);
  list.misbehave({ kind: "hang" });
  const asked = gateway.client.updatePrices();
  await eventually("the second call", () => list.got.length === 2);
  t.is((await charged(gateway)).status, 200);
  gateway.folder.save(policyOf(nim.url, list.origin, ", gcp]"));
  await gateway.daemon.reload();
  t.is(gateway.daemon.policy().prices?.sources.length, 2);
  t.true((await asked).sources[0]?.fetching);
  const began = performance.now();
  await gateway.stop();
  t.true(performance.now() - began < 10_000);
});

test.serial(
  "a price that is fetched while the file is broken counts, and what is wrong stays to be seen",
  async (t) => {
    const { nim, list } = await places(t, "0.55");
    const gateway = await startGateway(policyOf(nim.url, list.origin, "]"));
    t.teardown(() => gateway.stop());
    gateway.folder.save("version: 2\n");
    await gateway.daemon.reload();
    await update(gateway);
    t.regex(await priceOf(gateway), /^0\.55 USD\/h, live/);
    t.is((await gateway.client.status()).policy.valid, false);
  },
);

test.serial("a jump is an alert, a suspect, and no price until it is seen twice", async (t) => {
  const { nim, list } = await places(t, "5.26");
  const gateway = await startGateway(policyOf(nim.url, list.origin, "]"));
  t.teardown(() => gateway.stop());
  const { suspects } = await update(gateway);
  t.deepEqual(
    suspects.map((one) => [one.rate, one.before_usd_per_hour, one.usd_per_hour]),
    [[T4, "0.526", "5.26"]],
  );
  t.regex(await priceOf(gateway), /^0\.526 USD\/h, rate card/);
  const alert = await eventually("the alert", async () => {
    return (await gateway.client.alerts({ event: "price" })).items[0];
  });
  t.is(alert.subject, `${T4} on_demand`);
  await gateway.client.updatePrices();
  await eventually("the second look", async () => (await gateway.client.prices()).suspect_count === 0);
  t.regex(await priceOf(gateway), /^5\.26 USD\/h, live/);
});

test.serial("a key goes to its provider and stands nowhere else", async (t) => {
  const nim = await startNim({ scale: 0 });
  const list = await gcpCatalogue("another key", []);
  t.teardown(async () => {
    await nim.close();
    await list.close();
  });
  const access = `gcp: { key: { env: BUDGETGUARD_TEST_SECRET }, endpoint: "${list.origin}" }`;
  const text = policyOf(nim.url, list.origin, "]").replace(
    /sources: .*/,
    `sources: [gcp], access: { ${access} } }`,
  );
  const gateway = await startGateway(text);
  const { sources } = await gateway.client.updatePrices();
  t.is(sources[0]?.trouble?.why, "it answered 403: look at its key, and at what that key may do");
  t.is(list.got[0]?.headers["x-goog-api-key"], process.env.BUDGETGUARD_TEST_SECRET);
  t.false(list.got.some(({ url }) => url.href.includes("bgcanary")));
  // It searches all that the gateway has written and says for the key.
  await gateway.stop();
});

test.serial("a policy without sources asks nobody, and `update` says what to write", async (t) => {
  const { nim, list } = await places(t, "0.55");
  const gateway = await startGateway(policyOf(nim.url, list.origin, "]").replace("[azure]", "[]"));
  t.teardown(() => gateway.stop());
  await t.throwsAsync(gateway.client.updatePrices(), {
    message: /names no source of live prices: write it in/,
  });
  t.is(list.got.length, 0);
  t.false(existsSync(join(gateway.folder.dataPath, "prices.json")));
});

test.serial(
  "what is kept on disk is what was fetched, to the digit, and readable by its owner alone",
  async (t) => {
    const { nim, list } = await places(t, "0.5260000001");
    const gateway = await startGateway(policyOf(nim.url, list.origin, "]"));
    t.teardown(() => gateway.stop());
    await update(gateway);
    const kept = JSON.parse(readFileSync(join(gateway.folder.dataPath, "prices.json"), "utf8"));
    t.is(kept.rates[0].usd_per_hour, "0.526000001");
    t.is(kept.rates[0].gpus, 1, "the shipped list knows the machine");
  },
);
