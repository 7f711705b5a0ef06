// A web page that `origins` lists can be used in a browser: its preflight is granted, its replies can be read.
// No other page gets a word of it. Raw sockets, because a client would write the headers its own way.

import { createServer } from "node:http";
import test, { type ExecutionContext } from "ava";
import { startGateway } from "../support/gateway.ts";
import { listen, portOf, rawClient } from "../support/sockets.ts";

const PAGE = "https://dash.studio.example";

/** An upstream that is generous to every page, and says what its reply varies by. */
async function opened(t: ExecutionContext) {
  const upstream = createServer((_request, response) => {
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Access-Control-Allow-Credentials", "true");
    response.setHeader("Vary", "Accept");
    response.end("{}");
  });
  await listen(upstream);
  const gateway = await startGateway(`version: 1
mode: lowest_price
origins: ["${PAGE}"]
upstreams:
  pod: { provider: other, url: "http://127.0.0.1:${portOf(upstream)}", price: { usd_per_request: 0.01 } }
models:
  flux-dev: { upstreams: [pod] }
budgets:
  - { id: guests, when: { user: guest }, limit_usd: 0.001, period: daily, on_limit: block }
`);
  t.teardown(async () => {
    await gateway.stop();
    upstream.close();
  });
  const say = async (target: string, origin: string, lines: readonly string[], body = "") => {
    const port = Number(new URL(gateway.url).port);
    const head = [`${target} HTTP/1.1`, `Host: 127.0.0.1:${port}`, `Origin: ${origin}`, "Connection: close"];
    const client = await rawClient(port, `${[...head, ...lines].join("\r\n")}\r\n\r\n${body}`);
    await client.closed;
    return client.received();
  };
  return say;
}

const PREFLIGHT = [
  "Access-Control-Request-Method: POST",
  "Access-Control-Request-Headers: authorization,content-type, x-budgetguard-user,x-evil,x-stainless-os",
  "Access-Control-Request-Private-Network: true",
];
const POST = ["Content-Type: application/json", "Content-Length: 2"];

test("a listed page's preflight is granted, for the headers that mean something here", async (t) => {
  const say = await opened(t);
  const reply = await say("OPTIONS /v1/infer", PAGE, PREFLIGHT);
  t.regex(reply, /^HTTP\/1\.1 204 /);
  t.regex(reply, /^Access-Control-Allow-Origin: https:\/\/dash\.studio\.example\r$/m);
  t.regex(reply, /^Vary: Origin\r$/m);
  t.regex(reply, /^Access-Control-Allow-Methods: .*\bPOST\b/m);
  const granted = /^Access-Control-Allow-Headers: (.*)\r$/m.exec(reply)?.[1];
  t.is(granted, "authorization, content-type, x-budgetguard-user, x-stainless-os");
  t.notRegex(reply, /private-network|\*/i);
});

test("a listed page may read what is served and what is refused, and the upstream has no say", async (t) => {
  const say = await opened(t);
  const served = await say("POST /v1/infer", PAGE, POST, "{}");
  t.regex(served, /^HTTP\/1\.1 200 /);
  t.deepEqual(served.match(/^access-control-.*$/gim), [`Access-Control-Allow-Origin: ${PAGE}`]);
  t.deepEqual(served.match(/^vary: .*$/gim)?.sort(), ["Vary: Accept", "Vary: Origin"]);
  const refused = await say("POST /v1/infer", PAGE, ["X-BudgetGuard-User: guest", ...POST], "{}");
  t.regex(refused, /^HTTP\/1\.1 402 /);
  t.deepEqual(refused.match(/^access-control-.*$/gim), [`Access-Control-Allow-Origin: ${PAGE}`]);
});

for (const origin of [`${PAGE}.evil.example`, "http://dash.studio.example", "https://evil.example", "null"]) {
  test(`a page of ${origin} is told nothing`, async (t) => {
    const say = await opened(t);
    for (const reply of [
      await say("OPTIONS /v1/infer", origin, PREFLIGHT),
      await say("POST /v1/infer", origin, POST, "{}"),
    ]) {
      t.regex(reply, /^HTTP\/1\.1 403 /);
      t.notRegex(reply, /access-control/i);
    }
  });
}
