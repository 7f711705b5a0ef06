// An upstream that fails, is left out, and comes back: with real sockets that refuse, break and answer again.

import { createServer, type ServerResponse } from "node:http";
import test, { type ExecutionContext } from "ava";
import type { UpstreamStatus } from "../../src/sdk/client.ts";
import { startGateway } from "../support/gateway.ts";
import { ask, askImage, eventually, jsonOf } from "../support/gateway-client.ts";
import { makeFolder } from "../support/gateway-folder.ts";
import { spawnGateway } from "../support/gateway-process.ts";
import { slowUpstream } from "../support/slow-upstream.ts";
import { listen, portOf, within } from "../support/sockets.ts";

/** Where probes would come, a test about requests takes an upstream that is not asked: one with a rate. */
const policyOf = (upstreams: string, mode = "local") => `version: 1
mode: ${mode}
upstreams:
${upstreams}models:
  flux-dev: { upstreams: [${[...upstreams.matchAll(/^ {2}([\w-]+):/gm)].map(([, id]) => id).join(", ")}] }
`;

async function begin(t: ExecutionContext, policy: (url: string) => string) {
  const nim = await slowUpstream();
  nim.release("all");
  const gateway = await startGateway(policy(nim.url));
  t.teardown(async () => {
    await gateway.stop();
    await nim.stop();
  });
  const state = async (id = "flux-local"): Promise<UpstreamStatus | undefined> =>
    (await gateway.client.status()).upstreams.find((one) => one.id === id);
  const ready = async () => (await ask(`${gateway.url}/v1/health/ready`, { method: "GET" })).status;
  return { nim, gateway, state, ready };
}

test("a local NIM that went away is ejected, and used again within seconds after it is back", async (t) => {
  const { nim, gateway, state, ready } = await begin(t, (url) =>
    policyOf(`  flux-local: { provider: local, url: "${url}" }\n`),
  );
  t.is((await askImage(gateway.url)).status, 200);
  t.is((await state())?.state, "up");
  await nim.stop();
  for (let failures = 0; failures < 3; failures += 1) {
    t.like(jsonOf(await askImage(gateway.url)), { error: { code: "upstream_unreachable" } });
  }
  t.is((await state())?.state, "ejected");
  const ejected = await eventually("its time is told", async () => {
    const found = await state();
    return found?.ejected_until ? found : undefined;
  });
  t.regex(
    ejected?.hindrance ?? "",
    /^ejected after \d failures in a row, tried again in \d+ s: .*ECONNREFUSED/,
  );
  t.regex(ejected?.ejected_until ?? "", /^\d{4}-/);
  const scraped = await (await fetch(`${gateway.daemon.admin}/metrics`)).text();
  t.regex(scraped, /^budgetguard_upstream_ejected\{upstream="flux-local"\} 1$/m);
  t.is(await ready(), 200, "it can come back, so LoadNIM is not told to give up");
  await nim.start();
  const back = performance.now();
  await eventually("a probe has found it", async () => (await state())?.state === "up");
  t.log(`found after ${Math.round(performance.now() - back)} ms`);
  t.true(nim.probes() > 0);
  t.is((await askImage(gateway.url)).status, 200);
});

test("the only upstream is tried even while it is ejected: what has come back is not refused", async (t) => {
  const { nim, gateway, state } = await begin(t, (url) =>
    policyOf(`  flux-local: { provider: local, url: "${url}", rate_limit: 1000/s }\n`),
  );
  await nim.stop();
  const codes: unknown[] = [];
  for (let asked = 0; asked < 5; asked += 1) {
    codes.push((jsonOf(await askImage(gateway.url)).error as Record<string, unknown>).code);
  }
  t.deepEqual(
    codes,
    Array.from({ length: 5 }, () => "upstream_unreachable"),
  );
  t.is((await state())?.state, "ejected");
  await nim.start();
  t.is((await askImage(gateway.url)).status, 200);
  t.is((await state())?.state, "up");
  t.is(nim.probes(), 0, "a rate_limit is for requests");
});

test("while all are ejected one request tries, and the others wait for what it finds", async (t) => {
  const nim = await slowUpstream();
  const gateway = await startGateway(
    policyOf(`  flux-local: { provider: local, url: "${nim.url}", rate_limit: 1000/s }\n`),
  );
  t.teardown(async () => {
    nim.release("all");
    await gateway.stop();
    await nim.stop();
  });
  await nim.stop();
  for (let failures = 0; failures < 3; failures += 1) await askImage(gateway.url);
  await nim.start();
  const replies = Array.from({ length: 5 }, () => askImage(gateway.url));
  await eventually("four wait", async () => (await gateway.client.status()).waiting === 4);
  t.is(nim.running(), 1);
  nim.release("all");
  for (const reply of replies) t.is((await reply).status, 200);
});

test("a trial is over once it is answered: a reply that streams on keeps nobody waiting", async (t) => {
  let isUp = false;
  const streams = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(isUp ? 200 : 503, { "Content-Type": "application/json" });
    if (!isUp || request.headers["x-name"] !== "stream") response.end("{}");
    else streams.add(response) && response.write("{");
  });
  await listen(server);
  const url = `http://127.0.0.1:${portOf(server)}`;
  const gateway = await startGateway(
    policyOf(`  llm-local: { provider: local, url: "${url}", rate_limit: 1000/s }\n`),
  );
  t.teardown(async () => {
    for (const response of streams) response.end("}");
    await gateway.stop();
    server.close();
    server.closeAllConnections();
  });
  for (let failures = 0; failures < 3; failures += 1) await askImage(gateway.url);
  t.is((await gateway.client.status()).upstreams[0]?.state, "ejected");
  isUp = true;
  const streaming = askImage(gateway.url, { headers: { "X-Name": "stream" } });
  await eventually("it streams", () => streams.size === 1);
  t.is((await within(5_000, askImage(gateway.url), "the second")).status, 200);
  t.like((await gateway.client.status()).upstreams[0], { state: "up", in_flight: 1 });
  for (const response of streams) response.end("}");
  t.is((await streaming).status, 200);
});

test("an ejected upstream costs the others nothing: it is not tried again until its time", async (t) => {
  const { nim, gateway, state } = await begin(t, (url) =>
    policyOf(
      '  flux-dead: { provider: local, url: "http://127.0.0.1:1", rate_limit: 1000/s }\n' +
        `  flux-local: { provider: local, url: "${url}" }\n`,
    ),
  );
  for (let asked = 0; asked < 4; asked += 1) t.is((await askImage(gateway.url)).status, 200);
  t.is((await state("flux-dead"))?.state, "ejected");
  t.is(nim.seen.length, 4);
  const [last] = (await gateway.client.requests()).items;
  const detail = await gateway.client.request(last?.id ?? "");
  const dead = detail.explanation.candidates.find(({ upstream }) => upstream === "flux-dead");
  t.regex(dead?.left_out ?? "", /^ejected after 3 failures in a row, tried again in \d+ s: /);
  t.regex(detail.explanation.rule, /chose flux-local: .*flux-dead is ejected after 3 failures/);
});

test("an upstream that answers 503 is left out, one that answers 422, 429 or 500 is not", async (t) => {
  const { nim, gateway, state } = await begin(t, (url) =>
    policyOf(`  flux-local: { provider: local, url: "${url}", rate_limit: 1000/s }\n`),
  );
  for (const status of [422, 429, 500]) {
    nim.answer(status);
    for (let asked = 0; asked < 4; asked += 1) await askImage(gateway.url);
    t.is((await state())?.state, "up", String(status));
  }
  nim.answer(503);
  for (let asked = 0; asked < 3; asked += 1) await askImage(gateway.url);
  t.regex((await state())?.hindrance ?? "", /: it answered 503$/);
});

test("clients that leave eject nobody", async (t) => {
  const nim = await slowUpstream();
  const gateway = await startGateway(
    policyOf(`  flux-local: { provider: local, url: "${nim.url}", rate_limit: 1000/s }\n`),
  );
  t.teardown(async () => {
    await gateway.stop();
    await nim.stop();
  });
  for (let asked = 1; asked <= 4; asked += 1) {
    const leaving = new AbortController();
    const reply = askImage(gateway.url, { signal: leaving.signal });
    await eventually("it runs", () => nim.seen.length === asked);
    leaving.abort();
    await reply;
    await eventually("its slot is free", async () => (await gateway.client.status()).in_flight === 0);
  }
  t.is((await gateway.client.status()).upstreams[0]?.state, "unknown");
});

test("the log says once that an upstream was ejected and once that it works again; a stop is not kept waiting", async (t) => {
  const nim = await slowUpstream();
  nim.release("all");
  nim.answer(503);
  const folder = makeFolder(policyOf(`  flux-local: { provider: local, url: "${nim.url}" }\n`));
  const gateway = await spawnGateway(folder);
  t.teardown(async () => {
    await nim.stop();
    folder.remove();
  });
  for (let asked = 0; asked < 5; asked += 1) await askImage(gateway.url);
  const texts = () => gateway.logged().map(({ msg }) => String(msg));
  const ejections = () =>
    texts().filter((text) => /^upstream flux-local is ejected after 3 failures/.test(text));
  await eventually("it is said", () => ejections().length > 0);
  const before = nim.probes();
  await eventually("a probe has seen that it is not ready", () => nim.probes() > before);
  nim.answer(200);
  await eventually("it is said", () => texts().includes("upstream flux-local works again"));
  t.is(ejections().length, 1);
  gateway.signal("SIGTERM");
  t.is((await gateway.ended).code, 0);
});
