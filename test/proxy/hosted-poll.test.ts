// A request to NVIDIA's hosted API that is answered later: asked for until it is there, and by nobody any more
// once the client is gone. Real sockets, and a fake that writes down what it sees.

import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { COMFYUI_BODY } from "../../src/demo/artist.ts";
import { seconds } from "../../src/metering/time.ts";
import type { Upstream } from "../../src/policy/policy.ts";
import { PollingPools } from "../../src/proxy/hosted-poll.ts";
import { Pools } from "../../src/proxy/pools.ts";
import { ANSWER, type Behaviour, fakeNvidia } from "../support/fake-nvidia.ts";
import { ask, eventually } from "../support/gateway-client.ts";
import { relayRig } from "../support/relay-rig.ts";
import { rawClient, rawUpstream, within } from "../support/sockets.ts";

const KEY = "nvapi-canary-key";

async function start(t: ExecutionContext, behaviours: Behaviour[], changes: Partial<Upstream> = {}) {
  const nvidia = await fakeNvidia(KEY);
  nvidia.behave(...behaviours);
  const rig = await rigAt(t, `${nvidia.origin}/v1/genai/black-forest-labs/flux.1-schnell`, changes);
  t.teardown(() => nvidia.close());
  return { nvidia, rig };
}

async function rigAt(t: ExecutionContext, url: string, changes: Partial<Upstream> = {}) {
  const pools = new Pools();
  const rig = await relayRig(url, {
    upstream: {
      provider: "nvidia-hosted",
      auth: { kind: "bearer", secret: { kind: "env", name: "K" } },
      ...changes,
    },
    job: { pools: new PollingPools(pools), secretOf: () => KEY },
  });
  t.teardown(async () => {
    await rig.close();
    await pools.destroy();
  });
  return rig;
}

function post(port: number, path = "/v1/infer", body = COMFYUI_BODY, headers = "") {
  const head = `POST ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Type: application/json\r\n${headers}`;
  return rawClient(port, `${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

const isWhole = (text: string) => text.includes("\r\n\r\n") && text.endsWith("}");

test("a picture is asked for at NVIDIA's own address, in its words, with our key and without the client's", async (t) => {
  const { nvidia, rig } = await start(t, []);
  const headers =
    "Authorization: Bearer mine\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nNVCF-Function: x\r\n";
  const client = await post(rig.port, "/v1/infer?x=1", COMFYUI_BODY, headers);
  t.regex(await client.until(isWhole), /^HTTP\/1.1 200 OK\r\n/);
  const [got] = nvidia.got;
  t.is(got?.path, "/v1/genai/black-forest-labs/flux.1-schnell");
  t.like(got?.headers, {
    authorization: `Bearer ${KEY}`,
    "nvcf-poll-seconds": "300",
    accept: "application/json",
  });
  t.is(got?.headers["accept-encoding"], undefined);
  t.is(got?.headers["nvcf-function"], undefined);
  t.deepEqual(await rig.next().then(({ clock }) => clock), ["begin", "stop"]);
});

for (const [said, sent] of [
  ["60", "60"],
  ["0", "1"],
  ["99999", "3600"],
  ["1e3", "300"],
  ["5, 6", "300"],
] as const) {
  test(`a client that would wait "${said}" seconds waits ${sent}`, async (t) => {
    const { nvidia, rig } = await start(t, []);
    const client = await post(rig.port, "/v1/infer", COMFYUI_BODY, `NVCF-POLL-SECONDS: ${said}\r\n`);
    await client.until(isWhole);
    t.is(nvidia.got[0]?.headers["nvcf-poll-seconds"], sent);
  });
}

test("202 is asked on until the answer is there, which passes byte for byte; the clock runs once", async (t) => {
  const { nvidia, rig } = await start(t, [{ kind: "accepted", polls: 3, heldMs: 20 }]);
  const client = await post(rig.port);
  const text = await client.until(isWhole);
  t.is(text.split("\r\n\r\n")[1], ANSWER);
  t.regex(text, /^HTTP\/1.1 200 OK\r\n/);
  t.deepEqual(
    nvidia.got.map(({ method }) => method),
    ["POST", "GET", "GET", "GET", "GET"],
  );
  const [post0, ...polls] = nvidia.got;
  t.is(new Set(polls.map(({ path }) => path)).size, 1);
  t.regex(polls[0]?.path ?? "", /^\/v1\/status\/[0-9a-f-]{36}$/);
  for (const { headers, body } of polls) {
    t.is(headers.authorization, post0?.headers.authorization);
    t.is(headers["content-type"], undefined);
    t.is(body, "");
  }
  const { relayed, clock } = await rig.next();
  t.deepEqual(clock, ["begin", "stop"]);
  t.like(relayed, { kind: "ended", fault: undefined, bytes: ANSWER.length });
});

test("a 202 without an id that may stand in a path is told as an error, and nothing is asked for", async (t) => {
  for (const id of [undefined, "../../v1/models", "a/b", "x", "a".repeat(101), "%2e%2e%2f%2e%2e"]) {
    const { nvidia, rig } = await start(t, [{ kind: "accepted", polls: 0, id }]);
    const client = await post(rig.port);
    t.regex(
      await client.until(isWhole),
      /^HTTP\/1.1 502 nvidia-hosted: upstream up: it answered 202 and no id/,
    );
    t.is(nvidia.got.length, 1);
  }
});

test("a result that is gone is an error of the upstream, not a 404 of the path", async (t) => {
  const end = { kind: "problem", status: 404, title: "Not Found", detail: "x" } as const;
  const { rig } = await start(t, [{ kind: "accepted", polls: 1, end }]);
  const client = await post(rig.port);
  t.regex(await client.until(isWhole), /^HTTP\/1.1 502 BudgetGuard: upstream up: its result is gone \(404\)/);
  const { relayed, clock } = await rig.next();
  t.is(relayed.kind === "ended" && relayed.ending.outcome, "failed");
  t.deepEqual(clock, ["begin", "stop"]);
});

test("a poll that is lost is asked again, a POST never", async (t) => {
  const lost = await start(t, [{ kind: "accepted", polls: 0, end: { kind: "abrupt" } }]);
  const client = await post(lost.rig.port);
  // The fake forgets a request once it was answered for, so what is asked again is gone.
  t.regex(await client.until(isWhole), /^HTTP\/1.1 502 BudgetGuard: upstream up: its result is gone/);
  t.deepEqual(
    lost.nvidia.got.map(({ method }) => method),
    ["POST", "GET", "GET"],
  );

  const { nvidia, rig } = await start(t, [{ kind: "abrupt" }]);
  const other = await post(rig.port);
  t.regex(await other.until(isWhole), /^HTTP\/1.1 502 /);
  t.is(nvidia.got.length, 1);
});

for (const status of [429, 502, 503, 504]) {
  test(`a poll that meets a ${status} of whoever is in front is asked again, and the result is not lost`, async (t) => {
    let polls = 0;
    const upstream = await rawUpstream((socket, head) => {
      polls += head.startsWith("GET") ? 1 : 0;
      const [said, body] = [
        ["202 Accepted\r\nnvcf-reqid: 0e6f1d2c-aaaa", ""],
        [`${status} Oh`, "<html>"],
        ["200 OK\r\nnvcf-status: fulfilled\r\nContent-Type: application/json", "{}"],
      ][polls] ?? ["500 No", ""];
      socket.end(`HTTP/1.1 ${said}\r\nConnection: close\r\nContent-Length: ${body?.length}\r\n\r\n${body}`);
    });
    t.teardown(() => upstream.close());
    const rig = await rigAt(t, `${upstream.url}/v1/genai/black-forest-labs/flux.1-schnell`);
    const client = await post(rig.port);
    t.regex(await within(10_000, client.until(isWhole), "the result"), /^HTTP\/1.1 200 OK\r\n.*\{\}$/s);
    t.is(polls, 2);
  });
}

test("polls that are all refused with 429 come to an end", async (t) => {
  let polls = 0;
  const upstream = await rawUpstream((socket, head) => {
    const isPoll = head.startsWith("GET");
    polls += isPoll ? 1 : 0;
    const status = isPoll ? "429 Slow" : "202 Accepted\r\nnvcf-reqid: 0e6f1d2c-aaaa";
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  });
  t.teardown(() => upstream.close());
  const rig = await rigAt(t, `${upstream.url}/v1/genai/black-forest-labs/flux.1-schnell`);
  const client = await post(rig.port);
  t.regex(await within(15_000, client.until(isWhole), "an end"), /^HTTP\/1.1 502 .*429 each time/);
  t.is(polls, 6);
});

for (const [where, behaviour] of [
  ["while the POST is held", { kind: "held" }],
  ["while a poll is held", { kind: "accepted", polls: 1, heldMs: 60_000 }],
  ["while the reply trickles", { kind: "trickle", everyMs: undefined }],
] satisfies [string, Behaviour][]) {
  test(`a client that leaves ${where} leaves NVIDIA within a second`, async (t) => {
    const { nvidia, rig } = await start(t, [behaviour]);
    const client = await post(rig.port);
    const wanted = behaviour.kind === "accepted" ? 2 : 1;
    await eventually("the request is there", () => nvidia.got.length === wanted);
    await sleep(50);
    client.socket.destroy();
    await within(1000, nvidia.got.at(-1)?.gone ?? Promise.reject(), "NVIDIA's connection to close");
    const { relayed, clock } = await rig.next();
    t.is(relayed.kind === "ended" && relayed.ending.outcome, "aborted");
    t.deepEqual(clock, ["begin", "stop"]);
  });
}

test("a client that leaves between two polls is asked for no more, and its time ends at once", async (t) => {
  const { nvidia, rig } = await start(t, [{ kind: "accepted", polls: 1000 }]);
  const client = await post(rig.port);
  await eventually("several polls, so that the pauses are long", () => nvidia.got.length === 5);
  client.socket.destroy();
  const { relayed, clock } = await within(1000, rig.next(), "the end");
  t.is(relayed.kind === "ended" && relayed.ending.outcome, "aborted");
  t.deepEqual(clock, ["begin", "stop"]);
  const before = nvidia.got.length;
  await sleep(2500);
  t.is(nvidia.got.length, before);
});

test("a budget that cuts ends a held request at NVIDIA", async (t) => {
  const { nvidia, rig } = await start(t, [{ kind: "accepted", polls: 1, heldMs: 60_000 }]);
  const client = await post(rig.port);
  const control = await rig.started();
  await eventually("the poll is there", () => nvidia.got.length === 2);
  control.abort("cut");
  await within(1000, nvidia.got.at(-1)?.gone ?? Promise.reject(), "NVIDIA's connection to close");
  t.regex(await client.until(isWhole), /^HTTP\/1.1 402 BudgetGuard: /);
});

test("202s do not put off the first byte for ever", async (t) => {
  const timeouts = { connect: seconds(5), firstByte: seconds(1), idle: seconds(30), total: seconds(60) };
  const { nvidia, rig } = await start(t, [{ kind: "accepted", polls: 1000, heldMs: 100 }], { timeouts });
  const client = await post(rig.port);
  const text = await within(5000, client.until(isWhole), "the time-out");
  t.regex(text, /^HTTP\/1.1 504 BudgetGuard: .*did not begin to reply within 1 s/);
  t.true(nvidia.got.length > 1);
});

test("a result that stops coming is cut off, and never looks complete", async (t) => {
  const timeouts = { connect: seconds(5), firstByte: seconds(5), idle: seconds(1), total: seconds(60) };
  const end = { kind: "trickle", everyMs: undefined } as const;
  const { nvidia, rig } = await start(t, [{ kind: "accepted", polls: 0, end }], { timeouts });
  const client = await post(rig.port);
  t.is(await within(5000, client.closed, "the client's connection to break"), "reset");
  t.false(client.received().endsWith("}"));
  await within(1000, nvidia.got.at(-1)?.gone ?? Promise.reject(), "NVIDIA's connection to close");
  const { relayed } = await rig.next();
  t.is(relayed.kind === "ended" && relayed.ending.outcome, "truncated");
});

test("a download is not fetched, and the key goes nowhere else", async (t) => {
  let others = 0;
  const storage = await rawUpstream(() => {
    others += 1;
  });
  t.teardown(() => storage.close());
  const location = `${storage.url}/result.zip?X-Amz-Signature=abc`;
  const { rig } = await start(t, [{ kind: "accepted", polls: 1, end: { kind: "storage", location } }]);
  const client = await post(rig.port);
  const text = await client.until(isWhole);
  t.regex(text, /^HTTP\/1.1 502 nvidia-hosted: .*too large to be sent.*: ask for less/);
  t.notRegex(text, /Amz|Location/i);
  const { relayed } = await rig.next();
  t.like(relayed.kind === "ended" && relayed.ending, { outcome: "relayed", status: 302 });
  t.is(others, 0);
});

test("5 MB of answer pass as they are", async (t) => {
  const { rig } = await start(t, [{ kind: "accepted", polls: 1, end: { kind: "inline", bytes: 5_000_000 } }]);
  const reply = await ask(`http://127.0.0.1:${rig.port}/v1/infer`, { body: COMFYUI_BODY });
  t.true(reply.isWhole);
  const { artifacts } = JSON.parse(reply.body.toString("latin1"));
  t.is(artifacts[0].base64.length, 6_666_668);
});

test("on the OpenAI routes the body passes as it is, and a 202 is asked on there too", async (t) => {
  const nvidia = await fakeNvidia(KEY);
  t.teardown(() => nvidia.close());
  nvidia.behave({ kind: "accepted", polls: 1 });
  const rig = await rigAt(t, nvidia.origin);
  const body = '{"model": "meta/llama", "messages": []}';
  const client = await post(rig.port, "/v1/chat/completions", body, "NVCF-POLL-SECONDS: 9000\r\n");
  t.regex(await client.until(isWhole), /^HTTP\/1.1 200 OK\r\n/);
  t.like(nvidia.got[0], { path: "/v1/chat/completions", body });
  t.is(nvidia.got[0]?.headers["nvcf-poll-seconds"], "3600");
});

test("a 202 of anybody else is passed on, for it is no poll of NVIDIA's", async (t) => {
  const upstream = await rawUpstream((socket) => {
    socket.end("HTTP/1.1 202 Accepted\r\nnvcf-reqid: 0e6f1d2c-aaaa\r\nContent-Length: 2\r\n\r\n{}");
  });
  t.teardown(() => upstream.close());
  const rig = await relayRig(upstream.url);
  t.teardown(() => rig.close());
  const client = await post(rig.port);
  t.regex(await client.until(isWhole), /^HTTP\/1.1 202 Accepted\r\n/);
});
