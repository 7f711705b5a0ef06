// What is no request as RFC 9112 has it reaches no upstream, not even as a connection; and what stands behind
// it on the same connection is not served either. The second half was found by torture (test/fuzz).

import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { relayRig } from "../support/relay-rig.ts";
import { rawClient, rawUpstream, within } from "../support/sockets.ts";

async function start(t: ExecutionContext) {
  const heads: string[] = [];
  const upstream = await rawUpstream((socket, head) => {
    heads.push(head);
    const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    socket.on("data", (chunk) => {
      heads.push(chunk.toString("latin1"));
      socket.write(answer);
    });
    socket.write(answer);
  });
  const rig = await relayRig(upstream.url);
  t.teardown(async () => {
    await rig.close();
    await upstream.close();
  });
  return { heads, upstream, port: rig.port };
}

const POST = "POST /v1/infer HTTP/1.1\r\nHost: HOST\r\n";
const CHUNKS = "2\r\n{}\r\n0\r\n\r\n";

const refused: Record<string, [request: string, status: number]> = {
  "two Hosts": ["GET /v1/x HTTP/1.1\r\nHost: HOST\r\nhost: HOST\r\n\r\n", 400],
  "a Host with a user": ["GET /v1/x HTTP/1.1\r\nHost: a@HOST\r\n\r\n", 421],
  "a Host that is a list": ["GET /v1/x HTTP/1.1\r\nHost: HOST, evil.example\r\n\r\n", 421],
  "a Host with a path": ["GET /v1/x HTTP/1.1\r\nHost: HOST/x\r\n\r\n", 421],
  "an empty Host": ["GET /v1/x HTTP/1.1\r\nHost:\r\n\r\n", 421],
  "a length and chunks": [`${POST}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKS}`, 400],
  "chunks and a length": [`${POST}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n${CHUNKS}`, 400],
  "two lengths that differ by case": [`${POST}Content-Length: 2\r\ncontent-length: 2\r\n\r\n{}`, 400],
  "two lengths in a list": [`${POST}Content-Length: 2, 2\r\n\r\n{}`, 400],
  "a signed length": [`${POST}Content-Length: +2\r\n\r\n{}`, 400],
  "a hexadecimal length": [`${POST}Content-Length: 0x2\r\n\r\n{}`, 400],
  "two transfer codings": [`${POST}Transfer-Encoding: gzip, chunked\r\n\r\n${CHUNKS}`, 400],
  "chunked twice": [`${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKS}`, 400],
  "a chunked that is none": [`${POST}Transfer-Encoding: \x0bchunked\r\n\r\n${CHUNKS}`, 400],
  "chunks in HTTP/1.0": [`${POST.replace("1.1", "1.0")}Transfer-Encoding: chunked\r\n\r\n${CHUNKS}`, 400],
  "a target of another authority": ["GET http://evil.example/v1/x HTTP/1.1\r\nHost: HOST\r\n\r\n", 421],
  "a target that hides its authority": [
    "GET http://HOST@evil.example/v1/x HTTP/1.1\r\nHost: HOST\r\n\r\n",
    400,
  ],
  "a target of another scheme": ["GET file:///etc/passwd HTTP/1.1\r\nHost: HOST\r\n\r\n", 400],
  "a free path that goes on behind a fragment": [
    `${POST.replace("/v1/infer", "/tokenize#/../v1/infer")}Content-Length: 2\r\n\r\n{}`,
    400,
  ],
  "the target *": ["OPTIONS * HTTP/1.1\r\nHost: HOST\r\n\r\n", 400],
  CONNECT: ["CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n\r\n", 405],
  TRACE: ["TRACE /v1/x HTTP/1.1\r\nHost: HOST\r\n\r\n", 405],
  "a folded line": ["GET /v1/x HTTP/1.1\r\nHost: HOST\r\nX: a\r\n\tb\r\n\r\n", 400],
  "a space before the colon": ["GET /v1/x HTTP/1.1\r\nHost: HOST\r\nX : a\r\n\r\n", 400],
  "a line that ends in a bare line feed": ["GET /v1/x HTTP/1.1\r\nHost: HOST\r\nX: a\n\r\n\r\n", 400],
  "a NUL in a header": ["GET /v1/x HTTP/1.1\r\nHost: HOST\r\nX: a\0\r\n\r\n", 400],
  "no version, which is HTTP/0.9": ["GET /v1/xHTTP/1.1\r\nHost: HOST\r\n\r\n", 400],
  "HTTP/2.0 in the words of 1.1": ["GET /v1/x HTTP/2.0\r\nHost: HOST\r\n\r\n", 400],
  "the preface of HTTP/2": ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
  "Connection naming Content-Length": [
    `${POST}Content-Length: 2\r\nConnection: Content-Length\r\n\r\n{}`,
    400,
  ],
  "Connection naming our headers": [
    "GET /v1/x HTTP/1.1\r\nHost: HOST\r\nConnection: x-budgetguard-user\r\n\r\n",
    400,
  ],
  "Connection naming the credentials": [
    "GET /v1/x HTTP/1.1\r\nHost: HOST\r\nConnection: authorization\r\n\r\n",
    400,
  ],
};

for (const [what, [request, status]] of Object.entries(refused)) {
  test(`a request with ${what} is answered ${status} and contacts no upstream`, async (t) => {
    const { upstream, port } = await start(t);
    const client = await rawClient(
      port,
      Buffer.from(request.replaceAll("HOST", `localhost:${port}`), "latin1"),
    );
    const text = await within(2000, client.until(/\}$/), what);
    t.is(Number(text.slice(9, 12)), status, text);
    await sleep(20);
    t.is(upstream.connections(), 0);
  });
}

test("a chunk size that is none ends the connection and contacts no upstream", async (t) => {
  const { upstream, port } = await start(t);
  const text = `${POST}Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n`;
  const client = await rawClient(port, text.replaceAll("HOST", `localhost:${port}`));
  await within(2000, client.closed, "the end");
  t.is(upstream.connections(), 0);
});

const NEXT = "GET /v1/next HTTP/1.1\r\nHost: HOST\r\n\r\n";

for (const what of ["two Hosts", "no version, which is HTTP/0.9", "Connection naming our headers"] as const) {
  test(`a request behind one with ${what} is not served: the connection ends with the 400`, async (t) => {
    const { upstream, port } = await start(t);
    const text = ((refused[what] ?? [""])[0] + NEXT).replaceAll("HOST", `localhost:${port}`);
    const client = await rawClient(port, text);
    t.is(await within(2000, client.closed, "the end"), "end");
    t.is(client.received().split("HTTP/1.1 400 ").length, 2);
    t.regex(client.received(), /\r\nConnection: close\r\n/);
    t.is(upstream.connections(), 0);
  });
}

test("a 100 is said in its turn, and never inside the reply that it belongs to", async (t) => {
  const upstream = await rawUpstream((socket, head) => {
    const answer = () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    setTimeout(answer, head.includes("slow") ? 200 : 0);
  });
  const rig = await relayRig(upstream.url);
  t.teardown(async () => {
    await rig.close();
    await upstream.close();
  });
  // The reply to the second is there before that to the first has made way for it.
  const slow = `GET /v1/slow HTTP/1.1\r\nHost: localhost:${rig.port}\r\n\r\n`;
  const second = `${POST.replace("HOST", `localhost:${rig.port}`)}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}`;
  const client = await rawClient(rig.port, slow + second);
  const got = await within(2000, client.until(/ok.*ok/s), "two replies");
  t.regex(got.split("HTTP/1.1 200 OK\r\n")[2] ?? "", /^(?:[^\r\n]+\r\n)+\r\nok$/);
});

test("a body that turns out wrong behind an early answer gets no second one: the connection breaks", async (t) => {
  const { port } = await start(t);
  const client = await rawClient(
    port,
    "POST /v1/infer HTTP/1.1\r\nHost: evil.example\r\nTransfer-Encoding: chunked\r\n\r\n",
  );
  await client.until(/^HTTP\/1.1 421 .*\}$/s);
  client.socket.write("no chunk at all\r\n");
  await within(2000, client.closed, "the connection to break");
  t.is(client.received().split("HTTP/1.1 ").length, 2);
});

test("what a request says of another base leads nowhere", async (t) => {
  const elsewhere = await rawUpstream((socket) => socket.end());
  t.teardown(() => elsewhere.close());
  const { heads, port } = await start(t);
  const body = JSON.stringify({ api_base: elsewhere.url, base_url: elsewhere.url, url: elsewhere.url });
  const client = await rawClient(
    port,
    `POST /v1/infer?api_base=${elsewhere.url} HTTP/1.1\r\nHost: localhost:${port}\r\nX-Api-Base: ${elsewhere.url}\r\n` +
      `X-Forwarded-Host: ${elsewhere.url}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await within(2000, client.until(/ok$/), "the reply");
  t.true(heads.length >= 1);
  t.is(elsewhere.connections(), 0);
});
