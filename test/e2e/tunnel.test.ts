// A tunnel is metered, held, cut and recorded as a request is: seen through the client, the upstream and the
// ledger of a running gateway.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { verify } from "../../src/ledger/verify.ts";
import { nanoUsd } from "../../src/metering/money.ts";
import type { BudgetGuardClient, RequestDetail } from "../../src/sdk/client.ts";
import { freePort } from "../support/free-port.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { ask, eventually } from "../support/gateway-client.ts";
import { makeFolder } from "../support/gateway-folder.ts";
import { spawnGateway } from "../support/gateway-process.ts";
import { onDisk } from "../support/ledger.ts";
import { usd } from "../support/policies.ts";
import { type Realtime, startRealtime, talk, tunnelHead } from "../support/realtime.ts";
import { CERTIFICATE, KEY } from "../support/self-signed.ts";
import { rawClient, within } from "../support/sockets.ts";

/** One second costs 0.001 USD. Nothing listens on port 1. */
const POLICY = ({ url }: Realtime, more = "") => `version: 1
mode: lowest_price
identity: trusted
upstreams:
  riva-down: { provider: other, url: "http://127.0.0.1:1", price: { usd_per_hour: 0.1 } }
  riva-pod: { provider: other, url: "${url}", model: riva-1, price: { usd_per_hour: 3.6 }, auth: { bearer: { env: BUDGETGUARD_TEST_TUNNEL } } }
models:
  riva: { upstreams: [riva-pod], estimate: 4s }
  failover: { upstreams: [riva-down, riva-pod], estimate: 4s }
  nowhere: { upstreams: [riva-down], estimate: 4s }
budgets:
  - { id: studio-day, limit_usd: 20, period: daily, on_limit: block }
  - { id: guests, when: { user: guest }, limit_usd: 0.001, period: daily, on_limit: block }
${more}`;

const SECRET = "canary-upstream-5f1d";
process.env.BUDGETGUARD_TEST_TUNNEL = SECRET;

async function begin(t: ExecutionContext, more = ""): Promise<{ nim: Realtime; gateway: Gateway }> {
  const nim = await startRealtime();
  const gateway = await startGateway(POLICY(nim, more));
  t.teardown(async () => {
    await gateway.stop();
    await nim.close();
  });
  return { nim, gateway };
}

test("a client that closes while its tunnel waits for a slot gives up its place at once", async (t) => {
  const nim = await startRealtime();
  const gateway = await startGateway(`version: 1
mode: local
upstreams:
  riva-local: { provider: local, url: "${nim.url}", concurrency: 1 }
models:
  riva: { upstreams: [riva-local] }
`);
  t.teardown(async () => {
    await gateway.stop();
    await nim.close();
  });
  const waiting = async () => (await gateway.client.status()).waiting;
  const first = await talk(`${gateway.url}/v1/realtime`);
  const port = Number(new URL(gateway.url).port);
  const leaving = await rawClient(port, tunnelHead(port));
  await eventually("the second waits", async () => (await waiting()) === 1);
  leaving.socket.end();
  await eventually("its place is free", async () => (await waiting()) === 0);
  await eventually("it is written down", async () =>
    (await gateway.client.requests()).items.some(({ outcome }) => outcome === "unsent"),
  );
  t.is(await first.ask("still there"), "still there");
  t.is(nim.heads.length, 1);
  first.socket.terminate();
});

/** The only request that there was, once it has ended and nothing is held any more. */
async function theEnded(client: BudgetGuardClient): Promise<RequestDetail> {
  const { id } = await eventually("the tunnel has ended", async () =>
    (await client.requests()).items.find(({ outcome }) => outcome !== "running"),
  );
  const [budget] = (await client.status()).budgets;
  const detail = await client.request(id);
  if (budget?.held !== "0.00" || budget.settled !== detail.charged_usd) {
    throw new Error(`the budget says ${budget?.settled}, the request ${detail.charged_usd}`);
  }
  return detail;
}

test("a tunnel is charged for the time that it was open, and held meanwhile", async (t) => {
  const { nim, gateway } = await begin(t);
  const { socket, ask: say, headers } = await talk(`${gateway.url}/m/riva/v1/realtime`);
  t.is(await say("hello"), "hello");
  const [meanwhile] = (await gateway.client.status()).budgets;
  t.true(usd(meanwhile?.held ?? "0") >= usd("0.004"));
  const began = performance.now();
  await sleep(500);
  socket.close(1000);
  const open = performance.now() - began;
  const detail = await theEnded(gateway.client);
  t.like(detail, { outcome: "relayed", status: 101, upstream: "riva-pod", model: "riva" });
  t.true(
    Number(detail.elapsed_us) >= open * 1000 * 0.9,
    `${detail.elapsed_us} us of ${open} ms were counted`,
  );
  // A microsecond at 3.6 USD an hour is a nano-dollar.
  t.is(usd(detail.charged_usd ?? "0"), nanoUsd(BigInt(detail.elapsed_us ?? 0)));
  t.is(headers["x-budgetguard-request"], detail.id);
  t.is(headers["x-budgetguard-upstream"], "riva-pod");
  t.is(headers["set-cookie"], undefined);
  t.is(headers["access-control-allow-origin"], undefined);
  const line = await eventually("the access log is written", () => gateway.accessLines()[0]);
  t.like(line, { method: "GET", path: "/v1/realtime", status: 101, outcome: "relayed" });
  const scraped = (await ask(`${gateway.daemon.admin}/metrics`, { method: "GET" })).body.toString();
  t.regex(scraped, /budgetguard_requests_total\{[^}]*model="riva"[^}]*outcome="relayed"[^}]*\} 1\n/);
  await eventually("no connection is left", () => nim.open() === 0);
});

test("a budget that cuts ends a tunnel within what was held", async (t) => {
  const { nim, gateway } = await begin(
    t,
    "  - { id: cutter, limit_usd: 0.006, period: daily, on_limit: block, overrun: cut }\n",
  );
  const { closed } = await talk(`${gateway.url}/m/riva/v1/realtime`);
  t.is(await within(10_000, closed, "it is cut"), 1006);
  const detail = await theEnded(gateway.client);
  t.like(detail, { outcome: "cut", status: 101 });
  t.true(usd(detail.charged_usd ?? "0") > usd("0.001") && usd(detail.charged_usd ?? "0") <= usd("0.004"));
  await eventually("no connection is left", () => nim.open() === 0);
});

test("a tunnel that goes on is held further and posted, slice by slice", async (t) => {
  const { gateway } = await begin(t);
  const { socket } = await talk(`${gateway.url}/m/riva/v1/realtime`);
  await eventually("a slice more is held", async () => {
    const [budget] = (await gateway.client.status()).budgets;
    // 4 s were held at first, 5 s more by now.
    return usd(budget?.held ?? "0") + usd(budget?.settled ?? "0") >= usd("0.009");
  });
  const [open] = (await gateway.client.status()).budgets;
  t.true(usd(open?.settled ?? "0") > 0n, "nothing of it is posted while it is open");
  t.is((await gateway.client.requests()).items[0]?.outcome, "running");
  socket.close(1000);
  const detail = await theEnded(gateway.client);
  t.is(detail.outcome, "relayed");
  // A microsecond at 3.6 USD an hour is a nano-dollar, sliced or not.
  t.is(usd(detail.charged_usd ?? "0"), nanoUsd(BigInt(detail.elapsed_us ?? 0)));
  t.true(usd(detail.charged_usd ?? "0") > usd(open?.settled ?? "0"));
});

test("a spent budget refuses a tunnel with 402 in JSON, before the upstream sees anything", async (t) => {
  const { nim, gateway } = await begin(t);
  const port = Number(new URL(gateway.url).port);
  const head = tunnelHead(port, ["X-BudgetGuard-User: guest"], "/m/riva/v1/realtime");
  const client = await rawClient(port, head);
  t.is(await client.closed, "end");
  const [answer = "", body = ""] = client.received().split("\r\n\r\n");
  t.regex(answer, /^HTTP\/1.1 402 BudgetGuard: budget guests has .*x-should-retry: false/s);
  t.regex(answer, /X-BudgetGuard-Request: r-/);
  t.is(JSON.parse(body).budgetguard.budget, "guests");
  t.is(nim.accepted(), 0);
});

test("an upstream that is down is passed over for the next, and where there is none that is said", async (t) => {
  const { nim, gateway } = await begin(t);
  const { ask: say, headers, socket } = await talk(`${gateway.url}/m/failover/v1/realtime`);
  t.is(await say("hello"), "hello");
  t.is(headers["x-budgetguard-upstream"], "riva-pod");
  socket.close(1000);
  await t.throwsAsync(talk(`${gateway.url}/m/nowhere/v1/realtime`), { message: /502/ });
  t.is(nim.accepted(), 1);
});

test("the model is named by path, header or query; without a name it is asked for", async (t) => {
  const { nim, gateway } = await begin(t);
  const url = `${gateway.url}/v1/realtime`;
  for (const [at, headers] of [
    [`${gateway.url}/m/riva/v1/realtime?model=other`, {}],
    [url, { "X-BudgetGuard-Model": "riva" }],
    [`${url}?intent=transcription&model=riva`, {}],
  ] as const) {
    const { socket, closed } = await talk(at, headers);
    socket.close(1000);
    t.is(await closed, 1000);
  }
  t.deepEqual(
    nim.heads.map((head) => head.split("\n")[0]),
    [
      "GET /v1/realtime?model=riva-1",
      "GET /v1/realtime",
      "GET /v1/realtime?intent=transcription&model=riva-1",
    ],
  );
  await t.throwsAsync(talk(url), { message: /404/ });
  await t.throwsAsync(talk(`${url}?model=nobody`), { message: /404/ });
  for (const two of ["model=riva&model=other", "model=riva&%6Dodel=other"])
    await t.throwsAsync(talk(`${url}?${two}`), { message: /400/ }, two);
  await t.throwsAsync(talk(`${gateway.url}/m/riva/elsewhere`), { message: /404/ });
});

test("no secret of either side crosses the gateway or stays in it", async (t) => {
  const { nim, gateway } = await begin(t);
  const canary = "canary-client-83ba";
  const sent = {
    Authorization: `Bearer ${canary}`,
    Cookie: canary,
    "X-API-Key": canary,
    "Proxy-Authorization": canary,
  };
  const { socket, closed, headers } = await talk(`${gateway.url}/m/riva/v1/realtime?key=${canary}`, sent);
  socket.send(canary);
  socket.close(1000);
  await closed;
  const detail = await theEnded(gateway.client);
  const [head = ""] = nim.heads;
  t.regex(head, new RegExp(`^Authorization: Bearer ${SECRET}$`, "m"));
  t.notRegex(head.replace(/^.*\n/, ""), new RegExp(canary));
  await eventually("the access log is written", () => gateway.accessLines()[0]);
  const kept = JSON.stringify([headers, detail, gateway.accessLines()]);
  t.notRegex(kept, new RegExp(`${canary}|${SECRET}`));
});

test("a tunnel that an operator cancels ends on both sides and is charged", async (t) => {
  const { nim, gateway } = await begin(t);
  const { headers, closed } = await talk(`${gateway.url}/m/riva/v1/realtime`);
  t.like(await gateway.client.cancel(String(headers["x-budgetguard-request"])), { cancelled: true });
  t.is(await within(2_000, closed, "the client is told"), 1006);
  const detail = await theEnded(gateway.client);
  t.is(detail.outcome, "aborted");
  t.true(usd(detail.charged_usd ?? "0") > 0n, "its time was free");
  await eventually("no connection is left", () => nim.open() === 0);
});

test("a gateway that stops gives a tunnel its time, then ends and charges it", async (t) => {
  const { gateway } = await begin(t);
  const { ask: say, closed } = await talk(`${gateway.url}/m/riva/v1/realtime`);
  const stopped = gateway.daemon.stop(700);
  await sleep(200);
  t.is(await say("still there?"), "still there?");
  t.is(await closed, 1006);
  await stopped;
  const [line] = gateway.accessLines();
  t.like(line, { outcome: "aborted", reason: "cancelled because the gateway is stopping", status: 101 });
  t.true(usd(String(line?.charged_usd)) > 0n, "its time was free");
});

test("a tunnel goes to an upstream over TLS whose certificate is vouched for", async (t) => {
  const nim = await startRealtime({ key: KEY, cert: CERTIFICATE });
  const folder = makeFolder(POLICY(nim));
  const authorities = join(folder.path, "authorities.pem");
  writeFileSync(authorities, CERTIFICATE);
  const gateway = await spawnGateway(folder, { under: ["env", `NODE_EXTRA_CA_CERTS=${authorities}`] });
  t.teardown(async () => {
    gateway.signal("SIGKILL");
    await nim.close();
    folder.remove();
  });
  const { ask: say, socket, closed } = await talk(`${gateway.url}/m/riva/v1/realtime`);
  t.is(await say("hello"), "hello");
  const long = "x".repeat(1_000_000);
  t.true((await say(long)) === long, "a long message was changed");
  socket.close(1000);
  t.is(await closed, 1000);
  t.regex(nim.heads[0] ?? "", /^Host: localhost:\d+$/im);
  t.like(await theEnded(gateway.client), { outcome: "relayed", status: 101 });
});

test("a gateway that is killed in the middle of a tunnel charges it as unknown when it is back", async (t) => {
  const nim = await startRealtime();
  const port = await freePort();
  const folder = makeFolder(POLICY(nim));
  t.teardown(async () => {
    await nim.close();
    folder.remove();
  });
  const first = await spawnGateway(folder, { listen: `localhost:${port}` });
  t.teardown(() => first.signal("SIGKILL"));
  const { ask: say, closed } = await talk(`${first.url}/m/riva/v1/realtime`);
  t.is(await say("hello"), "hello");
  const posted = await eventually("a slice of it is posted", async () => {
    const [budget] = (await first.client.status()).budgets;
    return budget?.settled === "0.00" ? undefined : usd(budget?.settled ?? "0");
  });
  // A heartbeat a second writes down how far it has come.
  await sleep(1_100);
  first.signal("SIGKILL");
  t.is(await closed, 1006);
  const { stderr } = await first.ended;
  t.notRegex(stderr, /warning|deprecat/i, "an operator's terminal shows what is none of his business");

  const second = await spawnGateway(folder);
  t.teardown(() => second.signal("SIGKILL"));
  const detail = await theEnded(second.client);
  t.like(detail, { outcome: "unknown", model: "riva" });
  const charged = usd(detail.charged_usd ?? "0");
  t.true(charged > posted && charged <= usd("0.009"), `${charged} after ${posted} was posted`);
  const { body } = await ask(`${second.admin}/metrics`, { method: "GET" });
  const counted = [...body.toString().matchAll(/budgetguard_cost_usd_total\{.*kind="request".*\} (\S+)/g)];
  t.is(
    counted.map(([, value]) => usd(Number(value).toFixed(9))).find((one) => one > 0n),
    charged,
  );
  t.true(onDisk(folder.dataPath, verify).ok, "the ledger does not add up");
});
