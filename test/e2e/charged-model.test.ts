// What is charged is what is asked for: an upstream that serves several models never hears of another one.

import { createServer } from "node:http";
import test from "ava";
import { startGateway } from "../support/gateway.ts";
import { ask } from "../support/gateway-client.ts";
import { listen, portOf } from "../support/sockets.ts";

test("an upstream of several models is asked for the one that is charged, in the body too", async (t) => {
  const bodies: string[] = [];
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    bodies.push(text);
    response.end("{}");
  });
  await listen(server);
  const gateway = await startGateway(`version: 1
mode: lowest_price
upstreams:
  small-pod: { provider: other, url: "http://127.0.0.1:${portOf(server)}", price: { usd_per_request: 0.01 } }
  large-pod: { provider: other, url: "http://127.0.0.1:${portOf(server)}", price: { usd_per_request: 5 } }
models:
  small: { upstreams: [small-pod] }
  large: { upstreams: [large-pod] }
`);
  t.teardown(async () => {
    await gateway.stop();
    server.close();
  });
  const url = `${gateway.url}/m/small/v1/chat/completions`;
  t.is((await ask(url, { body: '{"model": "large", "messages": []}' })).status, 200);
  t.is((await ask(url, { body: '{"model":"an-adapter","messages":[]}' })).status, 200);
  t.deepEqual(bodies, ['{"model": "small", "messages": []}', '{"model":"an-adapter","messages":[]}']);
  const refused = await ask(`${gateway.url}/m/small/v1/responses`, { body: '{"background": true}' });
  t.is(refused.status, 400);
  t.regex(refused.reason, /background: true goes on after its reply/);
  t.is(bodies.length, 2, "nothing was sent");
});
