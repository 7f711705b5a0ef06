// How a request can end before its reply is whole: the client leaves, the upstream breaks off, an operator
// cancels. Each is charged for the time it used, once, and nothing looks complete that is not.

import test, { type ExecutionContext } from "ava";
import { type Nim, startNim } from "../../src/demo/nim.ts";
import type { RequestDetail } from "../../src/sdk/client.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { ask, askImage, eventually, imageBody, jsonOf, type Reply } from "../support/gateway-client.ts";
import { usd } from "../support/policies.ts";
import { rawClient } from "../support/sockets.ts";

/** One second costs 0.001 USD. */
const POLICY = ({ url }: Nim) => `version: 1
mode: lowest_price
upstreams:
  flux-pod: { provider: other, url: "${url}", price: { usd_per_hour: 3.6 } }
models:
  flux-dev: { upstreams: [flux-pod], estimate: 10s }
budgets:
  - { id: studio-day, limit_usd: 20, period: daily, on_limit: block }
`;

async function begin(t: ExecutionContext, scale = 0.05): Promise<{ nim: Nim; gateway: Gateway }> {
  const nim = await startNim({ scale });
  const gateway = await startGateway(POLICY(nim));
  t.teardown(() => Promise.all([gateway.stop(), nim.close()]));
  return { nim, gateway };
}

/** The only request that there was, once it has ended and nothing is held any more. */
async function theEnded({ client }: Gateway): Promise<RequestDetail> {
  const { id } = await eventually("the request has ended", async () =>
    (await client.requests()).items.find(({ outcome }) => outcome !== "running"),
  );
  const [budget] = (await client.status()).budgets;
  const detail = await client.request(id);
  if (budget?.held !== "0.00" || budget.settled !== detail.charged_usd) {
    throw new Error(`the budget says ${budget?.settled}, the request ${detail.charged_usd}`);
  }
  return detail;
}

function isCharged(t: ExecutionContext, detail: RequestDetail, outcome: RequestDetail["outcome"]): void {
  t.is(detail.outcome, outcome);
  t.true(usd(detail.charged_usd ?? "0") > 0n, "its time was free");
  t.true(Number(detail.elapsed_us) > 0);
}

test("when the client leaves, the upstream is left too, and the time used is charged", async (t) => {
  const { nim, gateway } = await begin(t, 100);
  const leaving = new AbortController();
  const asked = askImage(gateway.url, { steps: 100, signal: leaving.signal });
  await eventually("the upstream works", () => nim.inFlight() === 1);
  const left = performance.now();
  leaving.abort();
  await eventually("the upstream was left", () => nim.aborted() === 1);
  t.log(`the upstream saw it after ${Math.round(performance.now() - left)} ms`);
  await asked;
  isCharged(t, await theEnded(gateway), "aborted");
  const line = await eventually("the access log is written", () => gateway.accessLines()[0]);
  t.is(line.outcome, "aborted");
});

test("a client that leaves in the middle of its upload is charged for what was used", async (t) => {
  const { nim, gateway } = await begin(t);
  const leaving = new AbortController();
  const half = ask(`${gateway.url}/v1/infer`, {
    body: Buffer.alloc(200_000, "{"),
    headers: { "Content-Length": 400_000, "Content-Type": "application/octet-stream" },
    signal: leaving.signal,
  });
  await eventually("the upstream has a part of it", () => (nim.requests[0]?.bytes ?? 0) > 0);
  leaving.abort();
  await half;
  isCharged(t, await theEnded(gateway), "aborted");
  await eventually("the upstream was left", () => nim.inFlight() === 0);
});

const isBroken = test.macro(async (t, fault: string) => {
  const { gateway } = await begin(t);
  const reply = await askImage(gateway.url, { steps: 20, headers: { "X-Nim-Fault": fault } });
  t.false(reply.isWhole, "the client takes it for the whole");
  isCharged(t, await theEnded(gateway), "truncated");
});

test("a reply that its upstream cuts off never looks complete", isBroken, '{"kind":"truncate","after":1000}');
test("a reply whose chunks are broken never looks complete", isBroken, "bad_chunk");
test("a reply that its upstream resets never looks complete", isBroken, '{"kind":"reset","at":"body"}');

test("a reply that is delimited by closing arrives whole", async (t) => {
  const { gateway } = await begin(t);
  const reply = await askImage(gateway.url, { headers: { "X-Nim-Fault": "close_delimited" } });
  t.true(reply.status === 200 && reply.isWhole);
  t.is(typeof jsonOf(reply).artifacts, "object");
  isCharged(t, await theEnded(gateway), "relayed");
});

test("a request that an operator cancels ends at once, and the client is told", async (t) => {
  const { nim, gateway } = await begin(t, 100);
  const asked = askImage(gateway.url, { steps: 100 });
  await eventually("the upstream works", () => nim.inFlight() === 1);
  const [running] = (await gateway.client.requests({ outcome: "running" })).items;
  t.like(await gateway.client.cancel(running?.id ?? ""), { cancelled: true });
  const reply = await asked;
  t.is(reply.status, 499);
  t.is((jsonOf(reply).error as Record<string, unknown>).code, "cancelled");
  t.is(reply.headers["x-should-retry"], "false");
  await eventually("the upstream was left", () => nim.inFlight() === 0);
  isCharged(t, await theEnded(gateway), "aborted");
  await t.throwsAsync(gateway.client.cancel(running?.id ?? ""), { message: /not under way/ });
});

test("an upstream that takes too long is a 504, and its time is charged", async (t) => {
  const nim = await startNim({ scale: 100 });
  const gateway = await startGateway(
    POLICY(nim).replace("price:", "timeouts: { first_byte: 300ms }, price:"),
  );
  t.teardown(() => Promise.all([gateway.stop(), nim.close()]));
  const reply = await askImage(gateway.url, { steps: 100 });
  t.is(reply.status, 504);
  t.is(reply.headers["x-should-retry"], "false");
  isCharged(t, await theEnded(gateway), "failed");
});

test("an upstream that refuses is no failure of the gateway's: its status and its time are recorded", async (t) => {
  const { gateway } = await begin(t);
  const fault = '{"kind":"refuse","status":503}';
  const reply: Reply = await askImage(gateway.url, { headers: { "X-Nim-Fault": fault } });
  t.is(reply.status, 503);
  t.like(await theEnded(gateway), { outcome: "relayed", status: 503 });
});

test("who still waits when the gateway stops is told so, and charged", async (t) => {
  const { nim, gateway } = await begin(t);
  const asked = askImage(gateway.url, { headers: { "X-Nim-Fault": "hang" } });
  await eventually("the upstream works", () => nim.inFlight() === 1);
  await gateway.daemon.stop(200);
  const reply = await asked;
  t.is(reply.status, 499);
  t.regex(reply.reason, /cancelled because the gateway is stopping/);
  const [line] = gateway.accessLines();
  t.like(line, { outcome: "aborted", reason: "cancelled because the gateway is stopping" });
  t.true(usd(String(line?.charged_usd)) > 0n, "its time was free");
});

test("a reply that is delimited by closing never looks whole because the gateway stops", async (t) => {
  const { gateway } = await begin(t);
  const { hostname, port } = new URL(gateway.url);
  const fault = '{"kind":"trickle","bytes":1,"ms":50}';
  t.is(hostname, "127.0.0.1");
  const body = imageBody();
  const client = await rawClient(
    Number(port),
    `POST /v1/infer HTTP/1.0\r\nHost: localhost:${port}\r\nX-Nim-Fault: ${fault}\r\n` +
      `Content-Length: ${body.length}\r\nContent-Type: application/json\r\n\r\n${body}`,
  );
  await client.until(/\r\n\r\n.{5}/s);
  const [how] = await Promise.all([client.closed, gateway.daemon.stop(200)]);
  t.is(how, "reset");
});
