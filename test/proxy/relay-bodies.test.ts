// What crosses the gateway crosses it whole, unchanged and no faster than the slower side takes it.

import { createHash, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { type Rig, type RigOptions, relayRig } from "../support/relay-rig.ts";
import { listen, portOf, rawClient, rawUpstream, within } from "../support/sockets.ts";

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

async function start(t: ExecutionContext, answer: Answer, options: RigOptions = {}): Promise<Rig> {
  const server = createServer(answer);
  await listen(server);
  const rig = await relayRig(`http://127.0.0.1:${portOf(server)}`, options);
  t.teardown(async () => {
    await rig.close();
    server.closeAllConnections();
    server.close();
  });
  return rig;
}

interface Got {
  readonly status: number;
  readonly body: Buffer;
  readonly rawHeaders: readonly string[];
}

function post(rig: Rig, body: Buffer, headers: Record<string, string> = {}): Promise<Got> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        port: rig.port,
        host: "127.0.0.1",
        method: "POST",
        path: "/v1/infer",
        headers: { host: `localhost:${rig.port}`, ...headers },
      },
      (reply) => {
        const chunks: Buffer[] = [];
        reply.on("data", (chunk: Buffer) => chunks.push(chunk));
        reply.on("error", reject);
        reply.on("end", () =>
          resolve({
            status: reply.statusCode ?? 0,
            body: Buffer.concat(chunks),
            rawHeaders: reply.rawHeaders,
          }),
        );
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

function collect(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    message.on("data", (chunk: Buffer) => chunks.push(chunk));
    message.on("end", () => resolve(Buffer.concat(chunks)));
  });
}

/** Answers with what it was sent. */
const echo: Answer = async (request, response) => response.end(await collect(request));

for (const size of [0, 1, 139, 65_535, 65_536, 65_537, 4_201_700]) {
  for (const framing of ["content-length", "chunked"] as const) {
    test(`a body of ${size} bytes (${framing}) and a reply as large cross byte for byte`, async (t) => {
      const rig = await start(t, echo);
      const body = randomBytes(size);
      const headers =
        framing === "chunked" ? { "transfer-encoding": "chunked" } : { "content-length": `${size}` };
      const got = await post(rig, body, headers);
      t.is(got.status, 200);
      t.true(got.body.equals(body));
    });
  }
}

test("a body that is wholly in the window has a Content-Length, and can be sent again", async (t) => {
  const rig = await start(t, (request, response) => response.end(JSON.stringify(request.headers)));
  const got = await post(rig, Buffer.from("{}"), { "transfer-encoding": "chunked" });
  const headers = JSON.parse(got.body.toString()) as Record<string, string>;
  t.is(headers["content-length"], "2");
  t.is(headers["transfer-encoding"], undefined);
});

test("the model name in a whole body is replaced, and nothing else in it", async (t) => {
  const rig = await start(t, echo, { job: { rewriteModel: 'black-forest/"x"' } });
  const body = '{"prompt": "a \\"model\\": 1", "model" : "flux-dev", "n": 2.50}';
  const got = await post(rig, Buffer.from(body));
  t.is(got.body.toString(), body.replace('"flux-dev"', '"black-forest/\\"x\\""'));
});

for (const size of [65_535, 65_536, 65_537, 200_000]) {
  for (const framing of ["announced", "in chunks"]) {
    test(`the model name in ${size} bytes ${framing} is replaced too`, async (t) => {
      const rig = await start(t, echo, { job: { rewriteModel: "meta/llama-3.1-8b-instruct" } });
      const opening = '{"model": "llama", "messages": ["';
      const body = `${opening}${"x".repeat(size - opening.length - 3)}"]}`;
      const headers = framing === "announced" ? {} : { "transfer-encoding": "chunked" };
      const got = await post(rig, Buffer.from(body), headers);
      t.is(got.body.toString(), body.replace('"llama"', '"meta/llama-3.1-8b-instruct"'));
    });
  }
}

test("a client that leaves while its upload waits for another upstream harms nobody", async (t) => {
  const rig = await relayRig("http://127.0.0.1:1", { finishes: false });
  t.teardown(() => rig.close());
  const client = await rawClient(
    rig.port,
    `POST /v1/infer HTTP/1.1\r\nHost: localhost:${rig.port}\r\nContent-Length: 200000\r\n\r\n${"x".repeat(100_000)}`,
  );
  const { relayed } = await rig.next();
  t.like(relayed, { kind: "unsent", why: "unreachable", replayable: true });
  client.socket.resetAndDestroy();
  // An error that nobody listens to would end this process.
  await sleep(100);
  t.pass();
});

test("1000 random splits of a request make the same request", async (t) => {
  const rig = await start(t, echo);
  const body = '{"width": 64, "height": 64, "steps": 4}';
  const text = `POST /v1/infer HTTP/1.1\r\nHost: localhost:${rig.port}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const seed = randomBytes(4).readUInt32BE();
  let state = seed;
  const random = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % below;
  };
  const client = await rawClient(rig.port);
  client.socket.setNoDelay(true);
  for (let round = 1; round <= 1000; round++) {
    const cuts = Array.from({ length: 1 + random(4) }, () => random(text.length)).sort((a, b) => a - b);
    let from = 0;
    for (const cut of [...cuts, text.length]) {
      if (cut > from) client.socket.write(text.slice(from, cut));
      from = Math.max(from, cut);
      if (random(4) === 0) await sleep(0);
      else await new Promise(setImmediate);
    }
    await rig.next();
    await client.until((received) => received.split(body).length === round + 1);
  }
  t.log(`seed ${seed}`);
  t.pass();
});

test("a client that reads slowly pauses the upstream: memory stays bounded", async (t) => {
  let written = 0;
  const upstream = await rawUpstream((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n");
    const chunk = Buffer.alloc(1_000_000);
    const fill = () => {
      while (written < 200) {
        written++;
        if (!socket.write(chunk)) return void socket.once("drain", fill);
      }
    };
    fill();
  });
  const rig = await relayRig(upstream.url);
  t.teardown(async () => {
    await rig.close();
    await upstream.close();
  });
  const client = await rawClient(rig.port, `GET /v1/x HTTP/1.1\r\nHost: localhost:${rig.port}\r\n\r\n`);
  client.socket.pause();
  let early = -1;
  while (early !== written) {
    early = written;
    await sleep(1000);
  }
  t.true(early > 0 && early < 40, `${early} MB were taken from the upstream`);
  client.socket.destroy();
  t.like(await rig.next(), { relayed: { ending: { outcome: "aborted" } } });
});

test("a client that stops reading for a while still gets every byte", async (t) => {
  const body = randomBytes(30_000_000);
  const rig = await start(t, (_request, response) => response.end(body));
  const client = await rawClient(rig.port, `GET /v1/x HTTP/1.1\r\nHost: localhost:${rig.port}\r\n\r\n`);
  client.socket.pause();
  await sleep(150);
  client.socket.resume();
  await rig.next();
  client.socket.end();
  await client.closed;
  t.true(client.bytes().subarray(-body.length).equals(body));
});

test("an upstream that reads slowly pauses the client: memory stays bounded", async (t) => {
  const upstream = await rawUpstream((socket) => socket.pause());
  const rig = await relayRig(upstream.url);
  t.teardown(async () => {
    await rig.close();
    await upstream.close();
  });
  const head = `POST /v1/x HTTP/1.1\r\nHost: localhost:${rig.port}\r\nContent-Length: 60000000\r\n\r\n`;
  const client = await rawClient(rig.port, head);
  const sent = await fillUntilStuck(client.socket, 60);
  t.true(sent < 40, `${sent} MB were taken from the client`);
});

async function fillUntilStuck(socket: Socket, most: number): Promise<number> {
  const chunk = Buffer.alloc(1_000_000);
  let sent = 0;
  while (sent < most) {
    sent++;
    if (socket.write(chunk)) continue;
    const drained = new Promise((resolve) => socket.once("drain", () => resolve(true)));
    if ((await Promise.race([drained, sleep(400)])) === undefined) return sent;
  }
  return sent;
}

test("a reply that comes while the upload runs is relayed, and the connection serves the next request", async (t) => {
  const rig = await start(t, (request, response) => {
    if (request.method === "GET") return void response.end("next");
    response.writeHead(413, { "content-type": "application/json" });
    response.end('{"detail":"too large for me"}');
  });
  const size = 3_000_000;
  const client = await rawClient(
    rig.port,
    `POST /v1/infer HTTP/1.1\r\nHost: localhost:${rig.port}\r\nContent-Length: ${size}\r\n\r\n`,
  );
  client.socket.write(Buffer.alloc(size));
  await within(3000, client.until(/too large for me/), "the early reply");
  client.socket.write(`GET /v1/x HTTP/1.1\r\nHost: localhost:${rig.port}\r\n\r\n`);
  await within(3000, client.until(/next/), "the next reply");
  t.pass();
});

test("a chunked body over the limit is a 413, and the upstream is aborted", async (t) => {
  const upstream = await rawUpstream(() => {});
  const rig = await relayRig(upstream.url, { limits: { bytes: 200_000 } });
  t.teardown(async () => {
    await rig.close();
    await upstream.close();
  });
  const client = await rawClient(
    rig.port,
    `POST /v1/infer HTTP/1.1\r\nHost: localhost:${rig.port}\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  for (let at = 0; at < 30; at++) client.socket.write(`2710\r\n${"x".repeat(10_000)}\r\n`);
  const { relayed, clock } = await within(3000, rig.next(), "the limit");
  t.like(relayed, { ending: { outcome: "aborted" }, fault: { kind: "too_large" } });
  t.deepEqual(clock, ["begin", "stop"]);
  await within(1000, upstream.firstGone, "the upstream to be aborted");
  t.regex(await client.until(/\}$/), /^HTTP\/1.1 413 /);
});

test("a client that never sends its body is answered 408 after the stall time", async (t) => {
  const rig = await start(t, echo, { limits: { stallMs: 100 } });
  const client = await rawClient(
    rig.port,
    `POST /v1/infer HTTP/1.1\r\nHost: localhost:${rig.port}\r\nContent-Length: 10\r\n\r\nabc`,
  );
  t.regex(await within(2000, client.until(/\}$/), "the stall"), /^HTTP\/1.1 408 /);
});

test("a client that stops in the middle of a long upload ends it, and the upstream", async (t) => {
  const upstream = await rawUpstream(() => {});
  const rig = await relayRig(upstream.url, { limits: { stallMs: 150 } });
  t.teardown(async () => {
    await rig.close();
    await upstream.close();
  });
  const client = await rawClient(
    rig.port,
    `POST /v1/infer HTTP/1.1\r\nHost: localhost:${rig.port}\r\nContent-Length: 300000\r\n\r\n${"x".repeat(100_000)}`,
  );
  t.like(await within(2000, rig.next(), "the stall"), { relayed: { fault: { kind: "stalled" } } });
  await within(1000, upstream.firstGone, "the upstream to be aborted");
  t.regex(await client.until(/\}$/), /^HTTP\/1.1 408 /);
});

test("a refused upload is read to its end, so that the connection lives on", async (t) => {
  const upstream = await rawUpstream(() => {});
  await upstream.close();
  const rig = await relayRig(upstream.url);
  t.teardown(() => rig.close());
  const client = await rawClient(
    rig.port,
    `POST /v1/infer HTTP/1.1\r\nHost: localhost:${rig.port}\r\nContent-Length: 3000000\r\n\r\n`,
  );
  client.socket.write(Buffer.alloc(3_000_000));
  await within(3000, client.until(/upstream_unreachable/), "the 502");
  t.like(await rig.next(), { relayed: { kind: "unsent", replayable: true } });
  client.socket.write(`GET /v1/x HTTP/1.1\r\nHost: localhost:${rig.port}\r\n\r\n`);
  await within(
    3000,
    client.until((received) => received.split("upstream_unreachable").length === 3),
    "the second 502",
  );
  t.pass();
});

test("Expect: 100-continue is answered and goes no further", async (t) => {
  const rig = await start(t, (request, response) => response.end(JSON.stringify(request.headers)));
  const client = await rawClient(
    rig.port,
    `POST /v1/infer HTTP/1.1\r\nHost: localhost:${rig.port}\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n`,
  );
  await within(1000, client.until(/^HTTP\/1.1 100 Continue\r\n\r\n/), "the 100");
  client.socket.write("{}");
  t.notRegex(await client.until(/\}/), /expect/);
});

test("a gzipped reply passes untouched, with its digest", async (t) => {
  const body = randomBytes(100_000);
  const rig = await start(t, (_request, response) => {
    response.writeHead(200, { "content-encoding": "gzip", "x-digest": digest(body) });
    response.end(body);
  });
  const got = await post(rig, Buffer.from("{}"));
  t.is(got.rawHeaders[got.rawHeaders.indexOf("x-digest") + 1], digest(got.body));
});

function digest(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
