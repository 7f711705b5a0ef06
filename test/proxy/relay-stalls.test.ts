// Who is it that stalls? Each side's patience is its own: a client that sends or takes slowly is not the
// upstream's fault, and an upstream that does nothing is not the client's.

import { createServer, request, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { seconds } from "../../src/metering/time.ts";
import { Deadlines, type Expired, type Phase } from "../../src/proxy/deadlines.ts";
import { Downstream } from "../../src/proxy/downstream.ts";
import { signOf } from "../../src/proxy/vital-sign.ts";
import { type RigOptions, relayRig } from "../support/relay-rig.ts";
import { listen, portOf, type RawUpstream, rawClient, rawUpstream, within } from "../support/sockets.ts";

const TIMEOUTS = { connect: seconds(5), firstByte: seconds(5), idle: seconds(5), total: seconds(20) };

async function start(t: ExecutionContext, upstream: RawUpstream, options: RigOptions) {
  const rig = await relayRig(upstream.url, options);
  t.teardown(async () => {
    await rig.close();
    await upstream.close();
  });
  return rig;
}

function posted(port: number, length: number): string {
  return `POST /v1/infer HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: ${length}\r\n\r\n`;
}

test("a client that stops in the middle of its upload is told so, and its upstream is not blamed", async (t) => {
  const options = {
    upstream: { timeouts: { ...TIMEOUTS, firstByte: seconds(0.1) } },
    limits: { stallMs: 600 },
  };
  const rig = await start(t, await rawUpstream(() => {}), options);
  const client = await rawClient(rig.port, `${posted(rig.port, 300_000)}${"x".repeat(100_000)}`);
  t.like(await within(3000, rig.next(), "the stall"), {
    relayed: { ending: { outcome: "aborted" }, fault: { kind: "stalled" } },
  });
  t.regex(await client.until(/\}$/), /^HTTP\/1.1 408 .*"code":"body_stalled"/s);
});

test("a client whose upload trickles until the total is over is told so, and its upstream is not blamed", async (t) => {
  const options = { upstream: { timeouts: { ...TIMEOUTS, total: seconds(0.5) } } };
  const rig = await start(t, await rawUpstream((socket) => socket.resume()), options);
  const client = await rawClient(rig.port, `${posted(rig.port, 300_000)}${"x".repeat(100_000)}`);
  const trickle = setInterval(() => client.socket.write("x"), 50);
  t.teardown(() => clearInterval(trickle));
  const { relayed } = await within(3000, rig.next(), "the total");
  t.like(relayed, { ending: { outcome: "aborted" }, fault: { kind: "stalled" } });
  t.is(signOf(relayed).kind, "unclear");
  t.regex(await client.until(/\}$/), /^HTTP\/1.1 408 .*"code":"body_stalled"/s);
});

test("a client that goes on after a rest longer than first_byte has its upload relayed whole", async (t) => {
  const upstream = await rawUpstream((socket, head) => {
    let bytes = head.length;
    socket.on("data", (chunk) => {
      bytes += chunk.length;
      if (bytes >= 300_000) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  const rig = await start(t, upstream, { upstream: { timeouts: { ...TIMEOUTS, firstByte: seconds(0.15) } } });
  const client = await rawClient(rig.port, `${posted(rig.port, 300_000)}${"x".repeat(100_000)}`);
  await sleep(500);
  client.socket.write("x".repeat(200_000));
  t.regex(await within(3000, client.until(/ok$/), "the reply"), /^HTTP\/1.1 200 /);
});

for (const [what, length, script] of [
  ["has the whole upload and does not reply", 100_000, (socket) => socket.resume()],
  ["does not read the upload", 60_000_000, (socket) => socket.pause()],
] satisfies [string, number, Parameters<typeof rawUpstream>[0]][]) {
  test(`an upstream that ${what} is out of time after first_byte`, async (t) => {
    const options = {
      upstream: { timeouts: { ...TIMEOUTS, firstByte: seconds(0.3) } },
      limits: { stallMs: 9000 },
    };
    const rig = await start(t, await rawUpstream(script), options);
    const client = await rawClient(rig.port, posted(rig.port, length));
    client.socket.write(Buffer.alloc(length));
    const { relayed } = await within(5000, rig.next(), "the timeout");
    t.like(relayed, { ending: { outcome: "failed" }, fault: { kind: "timeout" } });
    t.regex(await client.until(/\}$/), /^HTTP\/1.1 504 /);
  });
}

test("a client that takes nothing is left after idle, and it is the client's fault", async (t) => {
  const upstream = await rawUpstream((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\n");
    socket.write(Buffer.alloc(60_000_000));
  });
  const rig = await start(t, upstream, { upstream: { timeouts: { ...TIMEOUTS, idle: seconds(0.3) } } });
  const client = await rawClient(rig.port, `GET /v1/x HTTP/1.1\r\nHost: localhost:${rig.port}\r\n\r\n`);
  client.socket.pause();
  const { relayed } = await within(3000, rig.next(), "the client's timeout");
  t.like(relayed, { ending: { outcome: "aborted" }, fault: { kind: "client_gone" } });
});

test("a client that takes some of what waits for it has moved, long before it has taken all", async (t) => {
  const begun = Promise.withResolvers<ServerResponse>();
  const server = createServer((_request, response) => begun.resolve(response));
  await listen(server);
  t.teardown(() => server.closeAllConnections());
  t.teardown(() => server.close());
  const asked = request({ port: portOf(server), host: "127.0.0.1" });
  asked.end();
  t.teardown(() => asked.destroy());
  const response = await begun.promise;
  const downstream = new Downstream(response);
  downstream.begin({ status: 200, reason: "OK", headers: [], length: undefined });
  const [reply] = await new Promise<Parameters<Parameters<typeof asked.on>[1]>>((resolve) =>
    asked.on("response", (...args) => resolve(args)),
  );
  reply.pause();
  let written = 0;
  for (let mayGoOn = true; mayGoOn && written < 200_000_000; written += 1_000_000) {
    mayGoOn = downstream.write(Buffer.alloc(1_000_000)) || (await drains(response));
  }
  downstream.hasTaken();
  await sleep(100);
  t.false(downstream.hasTaken(), "it took nothing and is said to have moved");
  let taken = 0;
  reply.on("data", (chunk: Buffer) => {
    taken += chunk.length;
    // The kernels hold up to some 40 MB of it: with this much gone they take what waits in this process.
    if (taken > written * 0.9) reply.pause();
  });
  reply.resume();
  await sleep(500);
  t.true(taken > 0 && taken < written, `it took ${taken} bytes of ${written}, so nothing is proved`);
  t.true(downstream.hasTaken(), "it took some and is said to have stalled");
  t.false(downstream.hasTaken(), "it is said to have moved twice for the same bytes");
});

/** Whether it drains within 300 ms. */
async function drains(response: ServerResponse): Promise<boolean> {
  const drained = new Promise<true>((resolve) => response.once("drain", () => resolve(true)));
  return Promise.race([drained, sleep(300, false)]);
}

test("a phase that is excused begins anew; the total is never excused", async (t) => {
  const asked: Phase[] = [];
  const { promise, resolve } = Promise.withResolvers<Expired>();
  const limits = { connect: seconds(5), firstByte: seconds(0.05), idle: seconds(0.05), total: seconds(0.4) };
  const deadlines = new Deadlines(limits, resolve, (phase) => {
    asked.push(phase);
    return true;
  });
  deadlines.enter("first_byte");
  t.is(await within(2000, promise, "the total"), "total");
  t.true(asked.length >= 3 && asked.every((phase) => phase === "first_byte"), `it was asked ${asked}`);
});
