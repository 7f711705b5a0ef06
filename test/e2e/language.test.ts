// LLM NIMs through the gateway: events leave as they come, to the last, and what a reply says it took is in the
// ledger, by user and by agent.

import test, { type ExecutionContext } from "ava";
import { startGateway } from "../support/gateway.ts";
import { ask, eventually } from "../support/gateway-client.ts";
import { rawClient, rawUpstream, within } from "../support/sockets.ts";

const BODY = '{"model":"llama","messages":[],"stream":true}';

/** One upstream at the price that is given. */
async function begin(t: ExecutionContext, price: string, upstream: Awaited<ReturnType<typeof rawUpstream>>) {
  const gateway = await startGateway(`version: 1
mode: lowest_price
upstreams:
  llama-pod: { provider: other, url: "${upstream.url}", price: ${price} }
models:
  llama: { upstreams: [llama-pod], estimate: 5s }
`);
  t.teardown(() => Promise.all([gateway.stop(), upstream.close()]));
  return gateway;
}

const BY_HOUR = "{ usd_per_hour: 3.6 }";
const BY_TOKEN = "{ usd_per_million_tokens: { input: 10, output: 20 } }";

const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const EVENTS = [
  'data: {"choices":[{"delta":{"content":"a"}}],"usage":null}\n\n',
  'data: {"choices":[{"delta":{"content":"b"}}],"usage":null}\n\n',
  'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}\n\n',
  'data: {"choices":[],"usage":{"prompt_tokens":1200,"completion_tokens":34,"total_tokens":1234}}\n\n',
  "data: [DONE]\n\n",
];
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

for (const [what, price] of [
  ["time", BY_HOUR],
  ["tokens", BY_TOKEN],
] as const) {
  test(`priced by ${what}, each event is at the client before the next is sent, [DONE] before the end`, async (t) => {
    const steps = [...EVENTS, ""].map(() => Promise.withResolvers<void>());
    const upstream = await rawUpstream(async (socket) => {
      socket.write(HEAD);
      for (const [index, step] of steps.entries()) {
        await step.promise;
        socket.write(index < EVENTS.length ? chunk(EVENTS[index] ?? "") : "0\r\n\r\n");
      }
    });
    const { url } = await begin(t, price, upstream);
    const { port, host } = new URL(url);
    const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n`;
    const client = await rawClient(Number(port), `${head}Content-Length: ${BODY.length}\r\n\r\n${BODY}`);
    await within(10_000, client.until(/\r\n\r\n/), "the head");
    for (const [index, event] of EVENTS.entries()) {
      steps[index]?.resolve();
      // The next one is not sent before this one is seen: a gateway that buffers waits here for ever.
      await within(
        10_000,
        client.until((text) => text.includes(event)),
        `event ${index}`,
      );
    }
    t.notRegex(client.received(), /\r\n0\r\n\r\n$/);
    steps.at(-1)?.resolve();
    await within(10_000, client.until(/\r\n0\r\n\r\n$/), "the end");
    client.socket.destroy();
  });
}

/** Answers each request with the stream, or with the bytes that are given. */
function replying(reply = HEAD + EVENTS.map(chunk).join("") + "0\r\n\r\n") {
  return rawUpstream((socket) => void socket.end(reply));
}

test("A26: what an answer took is counted by user, workflow and model, whatever its price goes by", async (t) => {
  for (const price of [BY_HOUR, BY_TOKEN]) {
    const gateway = await begin(t, price, await replying());
    const asks = (user: string, workflow: string) =>
      ask(`${gateway.url}/m/llama/v1/chat/completions`, {
        body: BODY,
        headers: { "X-BudgetGuard-User": user, "X-BudgetGuard-Workflow": workflow },
      });
    for (const [user, workflow] of [
      ["alice", "research-agent"],
      ["alice", "writer-agent"],
      ["bob", "writer-agent"],
    ] as const) {
      t.is((await asks(user, workflow)).status, 200);
    }
    const told = async (by: "user" | "workflow" | "model" | "total") =>
      (await gateway.client.spend({ by })).rows
        .map(({ value, input_tokens, output_tokens }) => `${value} ${input_tokens} ${output_tokens}`)
        .sort();
    t.deepEqual(await told("user"), ["alice 2400 68", "bob 1200 34"]);
    t.deepEqual(await told("workflow"), ["research-agent 1200 34", "writer-agent 2400 68"]);
    t.deepEqual(await told("model"), ["llama 3600 102"]);
    t.like(await gateway.client.usage({ user: "bob" }), { input_tokens: 1200, output_tokens: 34 });
    const counter = /^budgetguard_tokens_total\{.*kind="(\w+)".*\} (\d+)$/gm;
    const scraped = await eventually("all three are counted", async () => {
      const found = [...(await gateway.client.metrics()).matchAll(counter)].map(
        ([, kind, sum]) => `${kind} ${sum}`,
      );
      return found.includes("input 3600") && found;
    });
    t.deepEqual(scraped.sort(), ["input 3600", "output 102"]);
  }
});

test("tokens of an answer that failed are not counted, and those that nobody told count as they were held", async (t) => {
  const json = (status: string, body: string) =>
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const usage = '{"usage":{"prompt_tokens":7,"completion_tokens":7}}';
  for (const [what, reply, path, output] of [
    ["no usage", json("200 OK", '{"choices":[]}'), "/v1/completions", 1024],
    ["an error", json("400 Bad Request", usage), "/v1/completions", 0],
    ["a truncated stream", HEAD + chunk(EVENTS[3] ?? ""), "/v1/completions", 1024],
    ["no LLM's path", json("200 OK", usage), "/v1/infer", 0],
  ] as const) {
    const gateway = await begin(t, BY_HOUR, await replying(reply));
    await ask(`${gateway.url}${path}`, { body: BODY });
    const total = await eventually("it is counted", async () => {
      const found = await gateway.client.usage({});
      return found.requests === 1 && found;
    });
    t.like(total, { output_tokens: output }, what);
  }
});

test("the gateway asks no upstream for usage that its client did not ask for", async (t) => {
  const bodies: string[] = [];
  const upstream = await rawUpstream((socket, head) => {
    const take = (more: string) => {
      bodies.push(more);
      socket.end(HEAD + chunk("data: [DONE]\n\n") + "0\r\n\r\n");
    };
    const [, rest = ""] = head.split("\r\n\r\n");
    if (rest === "") socket.once("data", (more) => take(more.toString()));
    else take(rest);
  });
  const gateway = await begin(t, BY_TOKEN, upstream);
  t.is((await ask(`${gateway.url}/v1/chat/completions`, { body: BODY })).status, 200);
  t.deepEqual(bodies, [BODY]);
  const [record] = (await gateway.client.requests()).items;
  t.is(record?.charged_usd, record?.hold_usd, "tokens that nobody counted are charged as held");
});
