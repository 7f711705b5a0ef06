// No reply looks complete before `finish`: whatever delimits it, its last piece is still here.

import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { type Attempted, type Rig, relayRig } from "../support/relay-rig.ts";
import { type RawClient, rawClient, rawUpstream, within } from "../support/sockets.ts";

const GET = "GET /v1/x HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n";
/** Long enough for a byte that was let go to arrive. */
const SETTLE_MS = 60;

interface Held {
  readonly client: RawClient;
  readonly attempted: Attempted;
  readonly rig: Rig;
}

/** The upstream has replied with all of `reply`; nothing has been let go. */
async function held(t: ExecutionContext, reply: string[], request = GET): Promise<Held> {
  const upstream = await rawUpstream(async (socket) => {
    for (const piece of reply) {
      socket.write(piece);
      await sleep(15);
    }
    if (!/content-length|chunked| 204 | 304 /i.test(reply.join(""))) socket.end();
  });
  const rig = await relayRig(upstream.url, { finishes: false });
  t.teardown(async () => {
    await rig.close();
    await upstream.close();
  });
  const client = await rawClient(rig.port, request.replace("PORT", String(rig.port)));
  const attempted = await within(5000, rig.next(), "the upstream's reply to end");
  await sleep(SETTLE_MS);
  return { client, attempted, rig };
}

function finish({ relayed }: Attempted): void {
  if (relayed.kind === "ended") relayed.finish();
}

test("of a small reply nothing leaves before finish, then all of it", async (t) => {
  const { client, attempted } = await held(t, ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"]);
  t.is(client.received(), "");
  finish(attempted);
  t.regex(await client.until(/hello$/), /^HTTP\/1.1 200 OK\r\n/);
});

test("of a long reply with a Content-Length the chunk that completes it is withheld", async (t) => {
  const body = "x".repeat(300_000);
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length + 3}\r\n\r\n`;
  const { client, attempted } = await held(t, [head + body, "end"]);
  const before = client.received();
  t.true(before.length > 200_000 && !before.includes("end"));
  finish(attempted);
  t.true((await client.until(/end$/)).endsWith(`${body}end`));
});

test("of a chunked reply every chunk passes at once and only the terminator is withheld", async (t) => {
  const { client, attempted } = await held(t, [
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n",
    "9\r\ndata: 1\n\n\r\n",
    "e\r\ndata: [DONE]\n\n\r\n",
    "0\r\n\r\n",
  ]);
  t.regex(client.received(), /data: \[DONE\]\n\n\r\n$/);
  finish(attempted);
  t.regex(await client.until(/0\r\n\r\n$/), /data: 1\n\n/);
});

test("trailers leave with the terminator, and pass the same gate as headers", async (t) => {
  const { client, attempted } = await held(t, [
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhi\r\n",
    "0\r\nX-Sum: 7\r\nSet-Cookie: a=b\r\nProxy-X: 1\r\n\r\n",
  ]);
  t.notRegex(client.received(), /X-Sum/);
  finish(attempted);
  t.regex(await client.until(/X-Sum: 7\r\n\r\n$/), /0\r\nX-Sum: 7\r\n\r\n$/);
});

test("a reply that the upstream delimits by closing is chunked to the client, its terminator withheld", async (t) => {
  const { client, attempted } = await held(t, ["HTTP/1.1 200 OK\r\n\r\nabc"]);
  t.regex(client.received(), /Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n$/);
  finish(attempted);
  await client.until(/0\r\n\r\n$/);
  t.pass();
});

test("an HTTP/1.0 client gets no FIN before finish, and a reset where it is broken off", async (t) => {
  const request = "GET /v1/x HTTP/1.0\r\nHost: localhost:PORT\r\n\r\n";
  const reply = ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"];
  const good = await held(t, reply, request);
  t.regex(good.client.received(), /abc$/);
  t.is(await Promise.race([good.client.closed, sleep(SETTLE_MS)]), undefined);
  finish(good.attempted);
  t.is(await good.client.closed, "end");
  const bad = await held(t, reply, request);
  if (bad.attempted.relayed.kind === "ended") bad.attempted.relayed.destroy();
  t.is(await bad.client.closed, "reset");
});

for (const [what, reply, request] of [
  ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", GET.replace("GET", "HEAD")],
  ["204", "HTTP/1.1 204 No Content\r\n\r\n", GET],
  ["304", 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n', GET],
  ["Content-Length 0", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", GET],
] as const) {
  test(`of a reply without a body (${what}) the head is withheld`, async (t) => {
    const { client, attempted } = await held(t, [reply], request);
    t.is(client.received(), "");
    finish(attempted);
    const text = await client.until(/\r\n\r\n$/);
    t.is(/transfer-encoding/i.test(text), false);
    t.is(/content-length: 5/i.test(text), what === "HEAD");
  });
}

test("a reply that may not look complete is broken off, whatever was seen of it", async (t) => {
  const { client, attempted } = await held(t, ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"]);
  if (attempted.relayed.kind === "ended") attempted.relayed.destroy();
  t.is(await client.closed, "reset");
  t.is(client.received(), "");
});

test("the clock stops when the upstream's last byte is read, not when the client gets it", async (t) => {
  const { attempted } = await held(t, ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"]);
  t.deepEqual(attempted.clock, ["begin", "stop"]);
  if (attempted.relayed.kind !== "ended") return t.fail();
  t.like(attempted.relayed, { bytes: 5, headSent: false, fault: undefined });
  t.deepEqual(attempted.relayed.ending, { outcome: "relayed", status: 200, tokens: undefined });
});
