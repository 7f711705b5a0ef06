// One tunnel between two real sockets: that nothing of it is lost, changed or left behind, whoever ends it and
// however badly.

import { createServer as createPlainServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createServer } from "node:tls";
import test, { type ExecutionContext } from "ava";
import { seconds } from "../../src/metering/time.ts";
import type { Timeouts, Upstream } from "../../src/policy/policy.ts";
import { tunnel } from "../../src/proxy/tunnel.ts";
import { eventually } from "../support/gateway-client.ts";
import {
  clientFrame,
  type Realtime,
  SWITCHING,
  startRealtime,
  talk,
  tunnelHead,
} from "../support/realtime.ts";
import { upstreamAt } from "../support/relay-rig.ts";
import { CERTIFICATE, KEY } from "../support/self-signed.ts";
import { listen, portOf, type RawUpstream, rawClient, rawUpstream, within } from "../support/sockets.ts";
import { tunnelRig } from "../support/tunnel-rig.ts";

const TIMEOUTS: Timeouts = {
  connect: seconds(5),
  firstByte: seconds(30),
  idle: seconds(30),
  total: seconds(60),
};

async function realtime(t: ExecutionContext): Promise<Realtime> {
  const nim = await startRealtime();
  t.teardown(() => nim.close());
  return nim;
}

async function scripted(
  t: ExecutionContext,
  script: Parameters<typeof rawUpstream>[0],
): Promise<RawUpstream> {
  const upstream = await rawUpstream(script);
  t.teardown(() => upstream.close());
  return upstream;
}

async function openRaw(t: ExecutionContext, url: string, changes: Partial<Upstream> = {}) {
  const rig = await tunnelRig(t, url, changes);
  const client = await rawClient(rig.port, tunnelHead(rig.port));
  t.teardown(() => void client.socket.destroy());
  const theEnd = () => eventually("the tunnel has ended", () => rig.ended[0]);
  return { rig, client, theEnd };
}

test("what is said in a tunnel comes through, both ways", async (t) => {
  const nim = await realtime(t);
  const { port } = await tunnelRig(t, nim.url);
  const { ask, socket, closed } = await talk(`http://127.0.0.1:${port}/v1/realtime`);
  t.is(await ask("hello"), "hello");
  const long = "x".repeat(3_000_000);
  t.true((await ask(long)) === long, "a long message was changed");
  socket.close(1000);
  t.is(await closed, 1000);
});

test("bytes that a client sends before the tunnel is open go through it first", async (t) => {
  const nim = await realtime(t);
  const { port } = await tunnelRig(t, nim.url);
  const head = Buffer.from(tunnelHead(port));
  const client = await rawClient(port, Buffer.concat([head, clientFrame("early")]));
  t.teardown(() => void client.socket.destroy());
  client.socket.write(clientFrame("later"));
  t.regex(await client.until(/later/), /^HTTP\/1.1 101 .*\r\n\r\n.*early.*later/s);
});

test("bytes that the upstream sends with its 101 go through", async (t) => {
  const upstream = await scripted(t, (socket) => socket.write(`${SWITCHING}at once`));
  const { client } = await openRaw(t, upstream.url);
  t.regex(await client.until(/at once/), /\r\n\r\nat once$/);
});

test("the clock starts before the first byte leaves and stops once, when the upstream has ended", async (t) => {
  const seen: string[] = [];
  const upstream = await scripted(t, (socket) => {
    seen.push(...rig.clock);
    socket.write(SWITCHING);
    socket.once("data", () => socket.end("bye"));
  });
  const { rig, client, theEnd } = await openRaw(t, upstream.url);
  await client.until(/\r\n\r\n/);
  t.deepEqual(seen, ["begin"]);
  t.deepEqual(rig.clock, ["begin", "by slice"]);
  client.socket.write("go");
  t.like(await theEnd(), { ending: { outcome: "relayed", status: 101 }, fault: undefined, bytes: 3 });
  t.deepEqual(rig.clock, ["begin", "by slice", "stop"]);
  await client.until(/bye$/);
  t.is(await within(1_000, client.closed, "the client is told"), "end");
});

test("30 clients that reset as they ask leave no connection to the upstream", async (t) => {
  const nim = await realtime(t);
  const rig = await tunnelRig(t, nim.url);
  await Promise.all(
    Array.from({ length: 30 }, async (_, index) => {
      const { socket } = await rawClient(rig.port, tunnelHead(rig.port));
      await sleep(index % 3);
      socket.resetAndDestroy();
    }),
  );
  await eventually("all have ended", () => rig.ended.length === 30);
  await eventually("no connection is left", () => nim.open() === 0);
  t.is(rig.clock.filter((what) => what === "begin").length, rig.clock.length / 2);
  t.log(`the upstream saw ${nim.accepted()} of them`);
});

test("a tunnel that is called off while its connection opens leaves none", async (t) => {
  const nim = await realtime(t);
  const server = createPlainServer();
  await listen(server);
  t.teardown(() => server.close());
  const { socket } = await rawClient(portOf(server));
  t.teardown(() => void socket.destroy());
  const control = new AbortController();
  const job = {
    path: "/v1/realtime",
    rawHeaders: [],
    requestId: "r-test",
    rewriteModel: undefined,
    replyHeaders: [],
  };
  const opening = tunnel({
    ...{ ...job, upstream: upstreamAt(nim.url), client: socket, head: Buffer.alloc(0) },
    held: { begin: () => t.fail("its clock was started"), bySlice: () => undefined, stop: () => {} },
    secretOf: () => undefined,
    signal: control.signal,
  });
  control.abort("by alice");
  t.like(await opening, { kind: "unsent", why: "cancelled", replayable: false });
  await eventually("its connection came and went", () => nim.accepted() === 1 && nim.open() === 0);
});

test("a client that breaks off takes its upstream with it within a second", async (t) => {
  const upstream = await scripted(t, (socket) => socket.write(SWITCHING));
  const { client, theEnd } = await openRaw(t, upstream.url);
  await client.until(/\r\n\r\n/);
  client.socket.resetAndDestroy();
  await within(1_000, upstream.firstGone, "the upstream is left");
  t.like(await theEnd(), { ending: { outcome: "aborted" }, fault: { kind: "client_gone" } });
});

test("a client that closes its side ends the tunnel, though the upstream never closes its own", async (t) => {
  let heard = "";
  const gone = Promise.withResolvers<void>();
  const server = createPlainServer({ allowHalfOpen: true }, (socket) => {
    socket.write(SWITCHING);
    socket.on("data", (chunk) => {
      heard += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    // It is told that nothing more comes, and goes on speaking until nobody listens.
    const speaking = setInterval(() => socket.write("x"), 100);
    socket.once("close", () => {
      clearInterval(speaking);
      gone.resolve();
    });
  });
  await listen(server);
  t.teardown(() => server.close());
  const { client, theEnd } = await openRaw(t, `http://127.0.0.1:${portOf(server)}`);
  await client.until(/\r\n\r\n/);
  client.socket.end("last words");
  await within(5_000, gone.promise, "the upstream is left");
  t.like(await theEnd(), { ending: { outcome: "relayed" } });
  t.regex(heard, /last words$/);
});

test("an upstream that breaks off is no end that a client could take for one", async (t) => {
  const upstream = await scripted(t, (socket) => {
    socket.write(SWITCHING);
    socket.once("data", () => socket.resetAndDestroy());
  });
  const { client, theEnd } = await openRaw(t, upstream.url);
  await client.until(/\r\n\r\n/);
  client.socket.write("x");
  t.is(await within(1_000, client.closed, "the client is told"), "reset");
  t.like(await theEnd(), { ending: { outcome: "truncated", status: 101 }, fault: { kind: "broken" } });
});

test("one that takes nothing slows the other down instead of filling the gateway", async (t) => {
  let written = 0;
  let isHeld = false;
  const upstream = await scripted(t, (socket) => {
    socket.write(SWITCHING);
    const piece = Buffer.alloc(256 * 1024);
    const pour = () => {
      while (written < 200_000_000) {
        written += piece.length;
        if (!socket.write(piece)) {
          isHeld = true;
          socket.once("drain", pour);
          return;
        }
      }
    };
    pour();
  });
  const { client } = await openRaw(t, upstream.url);
  await client.until(/\r\n\r\n/);
  client.socket.pause();
  let before = -1;
  await eventually("the upstream is slowed down", async () => {
    const stands = isHeld && written === before;
    before = written;
    await sleep(200);
    return stands;
  });
  t.true(written < 100_000_000, `the upstream could send ${written} bytes to nobody`);
});

const answers: [what: string, answer: string, status: number, outcome: string, code: string][] = [
  [
    "400 in HTML",
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nSet-Cookie: a=b\r\nContent-Length: 4\r\n\r\n<p/>",
    ...([400, "relayed", "upstream_refused"] as const),
  ],
  ["402 of its own", "HTTP/1.1 402 Pay\r\nContent-Length: 0\r\n\r\n", 402, "relayed", "upstream_refused"],
  ["500 that never ends", "HTTP/1.1 500 X\r\nContent-Length: 9\r\n\r\n", 500, "relayed", "upstream_refused"],
  ["200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 502, "failed", "upstream_failed"],
  ["302", "HTTP/1.1 302 X\r\nLocation: http://169.254.169.254/\r\n\r\n", 502, "failed", "upstream_failed"],
  ["a 101 to something else", SWITCHING.replace("websocket", "h2c"), 502, "failed", "upstream_failed"],
  ["no HTTP", "SSH-2.0-x\r\n\r\n", 502, "failed", "upstream_failed"],
  ["nothing", "", 502, "failed", "upstream_failed"],
  ["a head without an end", `HTTP/1.1 101 X\r\nA: ${"a".repeat(40_000)}`, 502, "failed", "upstream_failed"],
];

for (const [what, answer, status, outcome, code] of answers) {
  test(`an upstream that answers with ${what} is told as ${status} in JSON`, async (t) => {
    const upstream = await scripted(t, (socket) => {
      if (answer === "") socket.destroy();
      else socket.write(answer);
    });
    const { rig, client, theEnd } = await openRaw(t, upstream.url);
    t.is(await client.closed, "end");
    const [head = "", body = ""] = client.received().split("\r\n\r\n");
    t.regex(head, new RegExp(`^HTTP/1.1 ${status} BudgetGuard: `));
    t.notRegex(head, /Set-Cookie|Location/i);
    t.is(JSON.parse(body).error.code, code);
    t.like(await theEnd(), { ending: { outcome }, headSent: false });
    t.deepEqual(rig.clock, ["begin", "stop"]);
    await within(1_000, upstream.firstGone, "the upstream is left");
  });
}

test("an upstream that takes no connection was sent nothing, and another one may be asked", async (t) => {
  const { rig, client, theEnd } = await openRaw(t, "http://127.0.0.1:1");
  await client.until(/^HTTP\/1.1 502 /);
  t.like(await theEnd(), { kind: "unsent", why: "unreachable", replayable: true });
  t.deepEqual(rig.clock, []);
});

test("a certificate that nobody vouches for ends it before a byte of the request leaves", async (t) => {
  let heard = "";
  const server = createServer({ key: KEY, cert: CERTIFICATE }, (socket) => {
    socket.on("data", (chunk) => {
      heard += chunk;
    });
    socket.on("error", () => {});
  });
  server.on("tlsClientError", () => {});
  t.teardown(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const port = (server.address() as { port: number }).port;
  const { rig, theEnd } = await openRaw(t, `https://127.0.0.1:${port}`);
  t.like(await theEnd(), { kind: "unsent", why: "unreachable" });
  t.is(heard, "");
  t.deepEqual(rig.clock, []);
});

test("a tunnel in which nobody says anything is closed after the idle time", async (t) => {
  const upstream = await scripted(t, (socket) => socket.write(SWITCHING));
  const { client, theEnd } = await openRaw(t, upstream.url, { timeouts: { ...TIMEOUTS, idle: seconds(1) } });
  const ended = await theEnd();
  t.like(ended, { ending: { outcome: "truncated" }, fault: { kind: "timeout" } });
  t.is(await client.closed, "reset");
});

test("one side that speaks keeps a tunnel open beyond the idle time", async (t) => {
  const upstream = await scripted(t, (socket) => socket.write(SWITCHING));
  const { rig, client } = await openRaw(t, upstream.url, { timeouts: { ...TIMEOUTS, idle: seconds(1) } });
  for (let said = 0; said < 8; said++) {
    client.socket.write("x");
    await sleep(200);
  }
  t.deepEqual(rig.ended, []);
});

test("an upstream that does not answer in time is a 504", async (t) => {
  const upstream = await scripted(t, () => {});
  const timeouts = { ...TIMEOUTS, firstByte: seconds(1) };
  const { client, theEnd } = await openRaw(t, upstream.url, { timeouts });
  await client.until(/^HTTP\/1.1 504 BudgetGuard: /);
  t.like(await theEnd(), { ending: { outcome: "failed" }, fault: { kind: "timeout" } });
});

test("a flood of 1xx is no answer in time", async (t) => {
  const upstream = await scripted(t, (socket) => {
    const flood = setInterval(() => socket.write("HTTP/1.1 102 Processing\r\n\r\n"), 50);
    socket.once("close", () => clearInterval(flood));
  });
  const timeouts = { ...TIMEOUTS, firstByte: seconds(1) };
  const { client } = await openRaw(t, upstream.url, { timeouts });
  t.regex(await client.until(/\r\n\r\n/), /^HTTP\/1.1 504 /);
});

test("a tunnel ends after its total time, however lively", async (t) => {
  const upstream = await scripted(t, (socket) => {
    socket.write(SWITCHING);
    const beat = setInterval(() => socket.write("x"), 50);
    socket.once("close", () => clearInterval(beat));
  });
  const { theEnd } = await openRaw(t, upstream.url, { timeouts: { ...TIMEOUTS, total: seconds(1) } });
  t.like(await theEnd(), { ending: { outcome: "truncated" }, fault: { kind: "timeout" } });
});

for (const [reason, outcome] of [
  ["cut", "cut"],
  ["by alice", "aborted"],
] as const) {
  test(`told "${reason}", an open tunnel ends ${outcome}, on both sides`, async (t) => {
    const upstream = await scripted(t, (socket) => socket.write(SWITCHING));
    const { rig, client, theEnd } = await openRaw(t, upstream.url);
    await client.until(/\r\n\r\n/);
    rig.control().abort(reason);
    t.is(await within(1_000, client.closed, "the client is told"), "reset");
    await within(1_000, upstream.firstGone, "the upstream is left");
    t.like(await theEnd(), { ending: { outcome, status: 101 } });
    t.deepEqual(rig.clock, ["begin", "by slice", "stop"]);
  });
}
