// Numbers that no request can mean and no reply can have: whoever sends them, the ledger goes on and the money
// adds up.

import test, { type ExecutionContext } from "ava";
import { startGateway } from "../support/gateway.ts";
import { ask, eventually, jsonOf } from "../support/gateway-client.ts";
import { rawUpstream } from "../support/sockets.ts";

const POLICY = (url: string) => `version: 1
mode: lowest_price
limits: { body: 1MB }
upstreams:
  llm: { provider: other, url: "${url}", price: { usd_per_million_tokens: { input: 1, output: 10 } } }
models:
  llama: { upstreams: [llm] }
budgets:
  - { id: studio-day, limit_usd: 20, period: daily, on_limit: block }
`;
const HUGE = String(Number.MAX_SAFE_INTEGER);

/** A gateway before an upstream whose every reply says this usage. */
async function start(t: ExecutionContext, usage: string) {
  const body = `{"choices":[],"usage":${usage}}`;
  const upstream = await rawUpstream((socket) =>
    socket.write(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`),
  );
  const gateway = await startGateway(POLICY(upstream.url));
  t.teardown(() => Promise.all([gateway.stop(), upstream.close()]));
  const say = (text: string, headers = {}) =>
    ask(`${gateway.url}/v1/chat/completions`, { body: text, headers: { Connection: "close", ...headers } });
  const charged = () =>
    eventually("it is settled", async () => {
      const [last] = (await gateway.client.requests()).items;
      return last?.charged_usd ?? undefined;
    });
  return { gateway, say, charged };
}

test("a maximum of tokens beyond all bounds is as if none was said", async (t) => {
  const { gateway, say, charged } = await start(t, '{"prompt_tokens":1000,"completion_tokens":100}');
  for (const key of ["max_tokens", "max_completion_tokens"]) {
    t.is((await say(`{"${key}":${HUGE}}`)).status, 200);
    t.is(await charged(), "0.002");
  }
  t.true((await gateway.client.readiness()).ready);
});

test("as many choices of as many tokens as can be said are refused for their price, not fatal", async (t) => {
  const { gateway, say } = await start(t, '{"prompt_tokens":1,"completion_tokens":1}');
  const refused = await say(`{"max_tokens":100000000,"n":${HUGE}}`);
  t.is(refused.status, 402);
  t.is((jsonOf(refused).budgetguard as { needed_usd?: string }).needed_usd, "1000000.00");
  t.is((await say("{}")).status, 200);
  t.true((await gateway.client.readiness()).ready);
});

test("a usage beyond all bounds is none: what was held is charged", async (t) => {
  const { gateway, say, charged } = await start(t, `{"prompt_tokens":${HUGE},"completion_tokens":1}`);
  t.is((await say('{"max_tokens":1000}')).status, 200);
  t.is(await charged(), "0.010005");
  t.true((await gateway.client.readiness()).ready);
});

test("a chunked body is priced too: by its bytes where it is short, as the longest where it is long", async (t) => {
  const { gateway, say } = await start(t, "null");
  const chunked = { "Transfer-Encoding": "chunked" };
  const short = await say(`{"max_tokens":0,"x":"${"y".repeat(3980)}"}`, chunked);
  t.is(short.headers["x-budgetguard-estimate-usd"], "0.001001");
  const long = await say(`{"max_tokens":0,"x":"${"y".repeat(100_000)}"}`, chunked);
  t.is(long.headers["x-budgetguard-estimate-usd"], "0.25");
  t.true((await gateway.client.readiness()).ready);
});
