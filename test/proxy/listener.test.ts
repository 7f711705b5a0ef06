// What may come in, and where: tried with raw sockets, because clients would not send most of it.

import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { createFrontServer } from "../../src/proxy/front-server.ts";
import { type ListenerRules, Listeners, type Serve } from "../../src/proxy/listener.ts";
import { freePort } from "../support/free-port.ts";
import { listen, portOf, rawClient, within } from "../support/sockets.ts";

const RULES: ListenerRules = {
  hosts: ["studio.example"],
  origins: ["https://studio.example"],
  body: 1000,
  connections: 1024,
};

/** Says what it was asked for; reads no body. */
const say: Serve = (_request, response, place, path) => {
  const text = `served ${path} of ${place.modelPort ?? "all"}`;
  response.writeHead(200, { "content-length": text.length }).end(text);
};

async function open(t: ExecutionContext, rules: Partial<ListenerRules> = {}, serve: Serve = say) {
  const notes: string[] = [];
  const listeners = new Listeners(
    serve,
    () => ({ ...RULES, ...rules }),
    (text) => notes.push(text),
  );
  t.teardown(() => listeners.close(0));
  const problems = await listeners.adopt([{ address: "127.0.0.1:0" }]);
  t.deepEqual(problems, []);
  return { listeners, port: listeners.addresses()[0]?.port ?? 0, notes };
}

/** `P` stands for the port. */
const doors: [what: string, request: string, expected: RegExp][] = [
  [
    "a plain request",
    "GET /v1/x?y HTTP/1.1\r\nHost: localhost:P\r\n\r\n",
    /^HTTP\/1.1 200 .*served \/v1\/x\?y of all$/s,
  ],
  ["Trailer on a GET", "GET /v1/x HTTP/1.1\r\nHost: localhost:P\r\nTrailer: x\r\n\r\n", /^HTTP\/1.1 200 /],
  ["a configured name", "GET / HTTP/1.1\r\nHost: studio.example\r\n\r\n", /^HTTP\/1.1 200 /],
  ["another name", "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", /^HTTP\/1.1 421 BudgetGuard: /],
  ["a name with ours as its head", "GET / HTTP/1.1\r\nHost: localhost.evil:P\r\n\r\n", /^HTTP\/1.1 421 /],
  ["no Host", "GET / HTTP/1.1\r\n\r\n", /^HTTP\/1.1 421 /],
  [
    "two Hosts",
    "GET / HTTP/1.1\r\nHost: localhost:P\r\nHost: localhost:P\r\n\r\n",
    /^HTTP\/1.1 400 .*one Host/s,
  ],
  [
    "absolute-form to us",
    "GET http://localhost:P/v1/x HTTP/1.1\r\nHost: localhost:P\r\n\r\n",
    /served \/v1\/x of all$/,
  ],
  [
    "absolute-form to another",
    "GET http://evil.example/ HTTP/1.1\r\nHost: localhost:P\r\n\r\n",
    /^HTTP\/1.1 421 /,
  ],
  [
    "absolute-form of https",
    "GET https://localhost:P/ HTTP/1.1\r\nHost: localhost:P\r\n\r\n",
    /^HTTP\/1.1 400 /,
  ],
  ["CONNECT", "CONNECT localhost:P HTTP/1.1\r\nHost: localhost:P\r\n\r\n", /^HTTP\/1.1 405 .*"detail"/s],
  ["TRACE", "TRACE / HTTP/1.1\r\nHost: localhost:P\r\n\r\n", /^HTTP\/1.1 405 .*Allow: GET/s],
  [
    "a foreign page",
    "POST / HTTP/1.1\r\nHost: localhost:P\r\nOrigin: http://evil.example\r\n\r\n",
    /^HTTP\/1.1 403 /,
  ],
  [
    "a page of another port",
    "GET / HTTP/1.1\r\nHost: localhost:P\r\nOrigin: http://localhost:8188\r\n\r\n",
    /^HTTP\/1.1 403 /,
  ],
  ["Origin null", "GET / HTTP/1.1\r\nHost: localhost:P\r\nOrigin: null\r\n\r\n", /^HTTP\/1.1 403 /],
  [
    "a listed page",
    "GET / HTTP/1.1\r\nHost: localhost:P\r\nOrigin: https://studio.example\r\nSec-Fetch-Site: cross-site\r\n\r\n",
    /^HTTP\/1.1 200 /,
  ],
  [
    "cross-site without Origin",
    "GET / HTTP/1.1\r\nHost: localhost:P\r\nSec-Fetch-Site: cross-site\r\n\r\n",
    /^HTTP\/1.1 403 /,
  ],
  [
    "same-site without Origin",
    "GET / HTTP/1.1\r\nHost: localhost:P\r\nSec-Fetch-Site: same-site\r\n\r\n",
    /^HTTP\/1.1 403 /,
  ],
  [
    "a typed address",
    "GET / HTTP/1.1\r\nHost: localhost:P\r\nSec-Fetch-Site: none\r\n\r\n",
    /^HTTP\/1.1 200 /,
  ],
  [
    "Connection naming our headers",
    "GET / HTTP/1.1\r\nHost: localhost:P\r\nConnection: x-budgetguard-user\r\n\r\n",
    /^HTTP\/1.1 400 /,
  ],
  [
    "a body over the limit",
    "POST / HTTP/1.1\r\nHost: localhost:P\r\nContent-Length: 1001\r\n\r\n",
    /^HTTP\/1.1 413 /,
  ],
  [
    "length and chunks",
    "POST / HTTP/1.1\r\nHost: localhost:P\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    /^HTTP\/1.1 400 .*"detail"/s,
  ],
  [
    "two lengths",
    "POST / HTTP/1.1\r\nHost: localhost:P\r\nContent-Length: 1\r\ncontent-length: 2\r\n\r\nx",
    /^HTTP\/1.1 400 /,
  ],
  [
    "an odd transfer coding",
    "POST / HTTP/1.1\r\nHost: localhost:P\r\nTransfer-Encoding: xchunked\r\n\r\n",
    /^HTTP\/1.1 400 /,
  ],
  ["a folded header", "GET / HTTP/1.1\r\nHost: localhost:P\r\nX: a\r\n b\r\n\r\n", /^HTTP\/1.1 400 /],
  ["a space before the colon", "GET / HTTP/1.1\r\nHost : localhost:P\r\n\r\n", /^HTTP\/1.1 400 /],
  ["a bare line feed", "GET / HTTP/1.1\nHost: localhost:P\n\n", /^HTTP\/1.1 400 /],
  ["garbage", "\x16\x03\x01\x02\x00\x01\r\n\r\n", /^HTTP\/1.1 400 .*"code":"bad_request"/s],
  [
    "17 kB of headers",
    `GET / HTTP/1.1\r\nHost: localhost:P\r\nX: ${"y".repeat(17_000)}\r\n\r\n`,
    /^HTTP\/1.1 431 /,
  ],
  [
    "an unknown expectation",
    "GET / HTTP/1.1\r\nHost: localhost:P\r\nExpect: tea\r\n\r\n",
    /^HTTP\/1.1 417 .*"detail"/s,
  ],
  [
    "a header named __proto__",
    "GET / HTTP/1.1\r\nHost: localhost:P\r\n__proto__: x\r\n\r\n",
    /^HTTP\/1.1 200 /,
  ],
];

for (const [what, request, expected] of doors) {
  test(`${what}: ${expected.source.match(/ (\d{3})/)?.[1] ?? "served"}`, async (t) => {
    const { port } = await open(t);
    const client = await rawClient(port, request.replaceAll("localhost:P", `localhost:${port}`));
    await within(2000, client.until(/(?:\}|of all)$/), what);
    t.regex(client.received(), expected);
  });
}

test("HEAD of a refused request has no body and leaves the connection usable", async (t) => {
  const { port } = await open(t);
  const client = await rawClient(port, "HEAD / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
  t.regex(await client.until(/\r\n\r\n/), /^HTTP\/1.1 421 /);
  client.socket.write(`GET /2 HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`);
  t.regex(await client.until(/of all$/), /\r\n\r\nHTTP\/1.1 200 /);
});

test("a 100 is said only to whom the door has let in", async (t) => {
  const { port } = await open(t);
  const text = "POST / HTTP/1.1\r\nHost: evil.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
  const client = await rawClient(port, text);
  await client.until(/\}$/);
  await sleep(50);
  t.notRegex(client.received(), / 100 /);
});

test("garbage behind a request that is under way breaks the connection and does not mix into the reply", async (t) => {
  const { port } = await open(t, {}, (_request, response) => {
    response.writeHead(200, { "content-length": 9 });
    response.write("half");
  });
  const client = await rawClient(port, `GET / HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`);
  await client.until(/half$/);
  client.socket.write("\x00\x01garbage\r\n\r\n");
  await within(1000, client.closed, "the connection to break");
  t.regex(client.received(), /half$/);
});

test("beyond the limit of connections a request is answered 503", async (t) => {
  const { port } = await open(t, { connections: 2 });
  const get = `GET / HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`;
  const [first] = [await rawClient(port), await rawClient(port)];
  const third = await rawClient(port, get);
  t.regex(await third.until(/\}$/), /^HTTP\/1.1 503 .*too_many_connections/s);
  t.is(await third.closed, "end");
  first.socket.destroy();
  await sleep(50);
  const fourth = await rawClient(port, get);
  t.regex(await fourth.until(/of all$/), /^HTTP\/1.1 200 /);
});

test("localhost is 127.0.0.1 and, where the machine has it, ::1, on one port", async (t) => {
  const { listeners, notes } = await open(t);
  const problems = await listeners.adopt([{ address: "localhost:0" }]);
  t.deepEqual(problems, []);
  const [four, six] = listeners.addresses();
  t.is(four?.host, "127.0.0.1");
  if (six === undefined) t.regex(notes[0] ?? "", /no ::1/);
  else t.deepEqual([six.host, six.port], ["::1", four?.port ?? -1]);
});

test("a taken port is said in a sentence that tells what to do", async (t) => {
  const { listeners } = await open(t);
  const other = createServer();
  await listen(other);
  t.teardown(() => other.close());
  const [problem] = await listeners.adopt([{ address: `127.0.0.1:${portOf(other)}`, model: "a" }]);
  t.regex(problem?.text ?? "", /is taken by another program: end it, or /);
  const [odd] = await listeners.adopt([{ address: "nonsense" }]);
  t.regex(odd?.text ?? "", /write HOST:PORT/);
});

test("a reload opens new ports, closes old ones while their requests end, and keeps the rest", async (t) => {
  const came = Promise.withResolvers<() => void>();
  const { listeners, port } = await open(t, {}, (_request, response, place) => {
    const end = () => response.end(`served ${place.modelPort ?? "all"}.`);
    if (place.modelPort === "old") came.resolve(end);
    else end();
  });
  const own = { address: "127.0.0.1:0" };
  const old = await freePort();
  await listeners.adopt([own, { address: `localhost:${old}`, model: "old" }]);
  const client = await rawClient(old, `GET / HTTP/1.1\r\nHost: localhost:${old}\r\n\r\n`);
  const letGo = await came.promise;
  await listeners.adopt([{ ...own, model: "new" }]);
  await t.throwsAsync(rawClient(old));
  letGo();
  t.regex(await client.until(/served old\./), /^HTTP\/1.1 200 /);
  const kept = await rawClient(port, `GET / HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`);
  await kept.until(/served new\./);
  t.pass();
});

test("closing lets requests end within the grace time, and no longer", async (t) => {
  const came = Promise.withResolvers<void>();
  const { listeners, port } = await open(t, {}, () => came.resolve());
  const idle = await rawClient(port);
  const client = await rawClient(port, `GET / HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`);
  await came.promise;
  const started = Date.now();
  await within(2000, listeners.close(200), "the close");
  t.true(Date.now() - started >= 190);
  await client.closed;
  await idle.closed;
});

test("of requests pipelined on one connection no more than a few are taken", async (t) => {
  let served = 0;
  const { port } = await open(t, {}, (_request, response) => {
    served++;
    setTimeout(() => response.end("late"), 50);
  });
  const client = await rawClient(port, `GET / HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`.repeat(100));
  await within(3000, client.until(/too_many_requests/), "the refusal");
  t.is(served, 16);
});

test("one connection brings a bounded number of requests, and the last of them says so", async (t) => {
  const server = createFrontServer({
    serve: (_request, response) => void response.end("served"),
    connected: () => {},
    requestsPerConnection: 3,
  });
  await listen(server);
  t.teardown(() => server.close());
  const client = await rawClient(portOf(server));
  for (const [index, connection] of ["keep-alive", "keep-alive", "close"].entries()) {
    client.socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const replies = await client.until((text) => text.split("served").length === index + 2);
    t.regex(replies.slice(replies.lastIndexOf("HTTP/1.1")), new RegExp(`\r\nConnection: ${connection}\r\n`));
  }
  t.is(await within(13_000, client.closed, "the end of the connection"), "end");
});

test("of clients that are slow with their headers none keeps a connection, however it trickles", async (t) => {
  const { listeners, port } = await open(t);
  const silent = await rawClient(port);
  const trickling = await rawClient(port, "GET / HTTP/1.1\r\nHost: localhost\r\n");
  const trickle = setInterval(() => trickling.socket.write("X: y\r\n"), 500);
  await within(13_000, Promise.all([silent.closed, trickling.closed]), "the timeouts");
  clearInterval(trickle);
  t.is(listeners.connections, 0);
});

test("a client that is slow with its headers is answered 408 and closed", async (t) => {
  const { port } = await open(t);
  const client = await rawClient(port, "GET / HTTP/1.1\r\nHost: loc");
  t.regex(await within(13_000, client.until(/\}$/), "the timeout"), /^HTTP\/1.1 408 /);
  t.is(await client.closed, "end");
});
