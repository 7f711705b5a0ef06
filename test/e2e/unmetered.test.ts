// What costs nothing is counted all the same: a path that ought to be metered and is not is seen there.

import test from "ava";
import { startNim } from "../../src/demo/nim.ts";
import { startGateway } from "../support/gateway.ts";
import { ask, askImage, eventually } from "../support/gateway-client.ts";

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
