// What costs nothing is counted all the same: a path that ought to be metered and is not is seen there.

import test, { type ExecutionContext } from "ava";
import { startNim } from "../../src/demo/nim.ts";
import { startGateway } from "../support/gateway.ts";
import { ask, askImage, eventually } from "../support/gateway-client.ts";
import { slowUpstream } from "../support/slow-upstream.ts";

test("requests on paths that are not metered are counted, and no others", async (t) => {
  const nim = await startNim({ scale: 0.01 });
  const gateway = await startGateway(`version: 1
mode: local
upstreams:
  flux-local: { provider: local, url: "${nim.url}" }
models:
  flux-dev: { upstreams: [flux-local] }
`);
  t.teardown(() => Promise.all([gateway.stop(), nim.close()]));
  const get = (path: string) => ask(`${gateway.url}${path}`, { method: "GET" });
  for (const path of ["/v1/license", "/v1/metrics", "/v1/metadata"])
    t.is((await get(path)).status, 200, path);
  t.is((await ask(`${gateway.url}/tokenize`, { body: '{"prompt":"x"}' })).status, 404, "this NIM has none");
  // Work, what the gateway answers itself, and what is no NIM's path.
  t.is((await askImage(gateway.url)).status, 200);
  for (const path of ["/v1/health/ready", "/v1/models", "/admin"]) await get(path);
  const counted = await eventually(
    "they are counted",
    async () => /^budgetguard_unmetered_requests_total (\d+)$/m.exec(await gateway.client.metrics())?.[1],
  );
  t.is(counted, "4");
  const lines = await eventually("they are logged", () => {
    const told = gateway.accessLines().filter(({ outcome }) => outcome === "unmetered");
    return told.length === 4 && told;
  });
  t.deepEqual(lines.map(({ path }) => path).sort(), [
    "/tokenize",
    "/v1/license",
    "/v1/metadata",
    "/v1/metrics",
  ]);
  t.is((await gateway.client.requests()).items.length, 1, "nothing but the work is a request");
});

async function begin(t: ExecutionContext, keys: string) {
  const upstream = await slowUpstream();
  const gateway = await startGateway(`version: 1
mode: local
upstreams:
  flux-local: { provider: local, url: "${upstream.url}"${keys} }
models:
  flux-dev: { upstreams: [flux-local] }
`);
  t.teardown(async () => {
    upstream.release("all");
    await gateway.stop();
    await upstream.stop();
  });
  return { upstream, gateway, get: (path: string) => ask(`${gateway.url}${path}`, { method: "GET" }) };
}

test("what costs nothing is answered while every slot is taken, and takes none", async (t) => {
  const { upstream, gateway, get } = await begin(t, ", concurrency: 1");
  const working = askImage(gateway.url);
  await eventually("it runs", async () => (await gateway.client.status()).in_flight === 1);
  const asking = get("/v1/license");
  await eventually("both are there", () => upstream.running() === 2);
  t.is((await get("/v1/health/ready")).status, 200);
  upstream.release("all");
  t.deepEqual([(await asking).status, (await working).status], [200, 200]);
});

test("what costs nothing counts in the rate_limit, and beyond it is told when to come again", async (t) => {
  const { upstream, gateway, get } = await begin(t, ", rate_limit: 2/h");
  upstream.release("all");
  t.is((await get("/v1/license")).status, 200);
  for (const path of ["/v1/health/ready", "/v1/models"]) t.is((await get(path)).status, 200, path);
  t.is((await askImage(gateway.url)).status, 200);
  const refused = await get("/v1/license");
  t.is(refused.status, 503);
  t.regex(refused.reason, /flux-local is out of calls: its rate_limit 2\/h is used up/);
  t.true(Number(refused.headers["retry-after"]) > 0);
  t.is((await get("/v1/metadata")).status, 200, "the gateway stands in");
  t.is((await askImage(gateway.url)).status, 503);
});
