// What http-proxy 1.18.1 and its kin were seen to do wrong, each as a claim about this gateway: on real
// sockets, with an upstream that keeps what it is sent.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { type Rig, relayRig } from "../support/relay-rig.ts";
import { listen, portOf, type RawClient, rawClient, rawUpstream, within } from "../support/sockets.ts";

const OK = "HTTP/1.1 200 OK\r\n";
const LONGEST_MS = 30_000;

type Script = (socket: Socket, head: string) => void;

async function raw(t: ExecutionContext, script: Script) {
  const upstream = await rawUpstream(script);
  const rig = await relayRig(upstream.url);
  t.teardown(async () => {
    await rig.close();
    await upstream.close();
  });
  return { upstream, rig };
}

async function serving(t: ExecutionContext, answer: (q: IncomingMessage, r: ServerResponse) => void) {
  const open = new Set<Socket>();
  let connections = 0;
  const server = createServer(answer);
  server.on("connection", (socket) => {
    connections++;
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  await listen(server);
  const rig = await relayRig(`http://127.0.0.1:${portOf(server)}`);
  t.teardown(async () => {
    await rig.close();
    server.closeAllConnections();
    server.close();
  });
  return { rig, open, connections: () => connections };
}

function get(rig: Rig, target = "/v1/x", headers = ""): Promise<RawClient> {
  return rawClient(rig.port, `GET ${target} HTTP/1.1\r\nHost: localhost:${rig.port}\r\n${headers}\r\n`);
}

for (const [when, seen] of [
  ["before the reply", ""],
  ["in the middle of a stream", `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`],
] as const) {
  test(`a client that goes away ${when} takes its upstream connection with it, within a second`, async (t) => {
    const { rig, upstream } = await raw(t, (socket) => socket.write(seen));
    const client = await get(rig);
    await rig.started();
    if (seen !== "") await client.until(/abc/);
    client.socket.destroy();
    await within(1000, upstream.firstGone, "the upstream to be left");
    t.like(await rig.next(), { relayed: { ending: { outcome: "aborted" } }, clock: ["begin", "stop"] });
  });
}

for (const [framing, bytes] of [
  ["a length", `${OK}Content-Length: 10\r\n\r\nabc`],
  ["chunks", `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`],
] as const) {
  test(`an upstream that dies in a body with ${framing} leaves no client waiting`, async (t) => {
    const { rig } = await raw(t, (socket) => socket.write(bytes, () => socket.destroy()));
    const client = await get(rig);
    t.is(await within(1000, client.closed, "the client to be told"), "reset");
  });
}

test("after an early 413 to a 3 MB upload the same connection serves the next request", async (t) => {
  const { rig } = await serving(t, (request, response) => {
    const isUpload = request.method === "POST";
    const text = isUpload ? "{}" : '"next"';
    const headers = { "content-type": "application/json", "content-length": text.length };
    response.writeHead(isUpload ? 413 : 200, headers).end(text);
  });
  const head = `POST /v1/infer HTTP/1.1\r\nHost: localhost:${rig.port}\r\nContent-Length: 3000000\r\n\r\n`;
  const client = await rawClient(rig.port, head);
  client.socket.write(Buffer.alloc(3_000_000));
  await within(3000, client.until(/^HTTP\/1.1 413 .*\{\}$/s), "the early reply");
  client.socket.write(`GET /v1/x HTTP/1.1\r\nHost: localhost:${rig.port}\r\n\r\n`);
  t.regex(await within(3000, client.until(/"next"$/), "the next reply"), /\{\}HTTP\/1.1 200 /);
});

test("a 103 is not the reply: the 200 behind it is", async (t) => {
  const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
  const { rig } = await raw(t, (socket) => socket.write(`${hints}${OK}Content-Length: 2\r\n\r\nok`));
  t.regex(await (await get(rig)).until(/ok$/), /^HTTP\/1.1 200 OK\r\n/);
});

test("20 requests on one connection are one connection upstream, and nobody is told to close", async (t) => {
  const { rig, connections } = await serving(t, (_request, response) => response.end("ok"));
  const client = await rawClient(rig.port);
  for (let count = 1; count <= 20; count++) {
    client.socket.write(`GET /v1/x HTTP/1.1\r\nHost: localhost:${rig.port}\r\n\r\n`);
    await client.until((received) => received.split("\r\n\r\nok").length === count + 1);
  }
  t.is(connections(), 1);
  t.notRegex(client.received(), /connection: close/i);
});

test("an upstream that refuses the connection is a 502, and the next request is served", async (t) => {
  const upstream = await rawUpstream(() => {});
  await upstream.close();
  const rig = await relayRig(upstream.url);
  t.teardown(() => rig.close());
  const client = await get(rig);
  await client.until(/upstream_unreachable.*\}$/s);
  client.socket.write(`GET /v1/y HTTP/1.1\r\nHost: localhost:${rig.port}\r\n\r\n`);
  await client.until(/upstream_unreachable.*upstream_unreachable.*\}$/s);
  t.pass();
});

test("a stray byte behind a reply kills neither the gateway nor the next request", async (t) => {
  const { rig } = await raw(t, (socket) => socket.write(`${OK}Content-Length: 2\r\n\r\nokX`));
  for (let round = 0; round < 5; round++) t.regex(await (await get(rig)).until(/ok$/), /^HTTP\/1.1 200 /);
});

test("48 clients that abort 2 MB replies leave no connection open upstream", async (t) => {
  const { rig, open } = await serving(t, (_request, response) => {
    response.writeHead(200, { "content-length": 2_000_000 });
    response.write(Buffer.alloc(1_900_000));
  });
  const clients = await Promise.all(Array.from({ length: 48 }, () => get(rig)));
  await Promise.all(clients.map((client) => client.until(/\r\n\r\n/)));
  t.is(open.size, 48);
  for (const { socket } of clients) socket.destroy();
  for (let waited = 0; open.size > 0 && waited < LONGEST_MS; waited += 20) await sleep(20);
  t.is(open.size, 0, "connections that nobody wants are still open");
});

test("names keep their case, and what Connection names goes no further, in both directions", async (t) => {
  let head = "";
  const { rig } = await raw(t, (socket, text) => {
    head = text;
    socket.write(`${OK}X-OwN: 1\r\nX-gOnE: 2\r\nConnection: x-gone\r\nContent-Length: 2\r\n\r\nok`);
  });
  const client = await get(rig, "/v1/x", "X-MiXeD: 1\r\nx-HoP: 2\r\nKeep-Alive: 3\r\nConnection: X-Hop\r\n");
  const reply = await client.until(/ok$/);
  t.regex(head, /\r\nX-MiXeD: 1\r\n/);
  t.notRegex(head, /x-hop|keep-alive: 3/i);
  t.regex(reply, /\r\nX-OwN: 1\r\n/);
  t.notRegex(reply, /x-gone/i);
});

/** Strings that have been altered, unescaped or choked on by proxies. */
const NAUGHTY = [
  "'",
  "it's",
  '"',
  "`",
  "a'b%27c%2527",
  "<script>alert('1')</script>",
  "1;DROP%20TABLE%20users--",
  "../../../etc/passwd%00",
  "..%2f..%5c",
  "{{7*7}}#{7*7}$" + "{7*7}",
  "$" + "{jndi:ldap://127.0.0.1/a}",
  "%s%n%x",
  "%",
  "%zz",
  "undefined=null&NaN=true&__proto__[a]=1",
  "a=1&a=2&a[]=3",
  "http://127.0.0.1:1/?u=p@h",
  "\\\\host\\share",
  "|ls;$(ls)&&~^*!",
  "a,b;c=d:e",
];

/** In a target these are no HTTP, and a 400; in a header they are. */
const BEYOND_ASCII = ["\xe9\xff\xa0", "\xc3\xa9\xe2\x82\xac"];

test("naughty strings cross in the query and in a header, byte for byte", async (t) => {
  for (const naughty of [...NAUGHTY, ...BEYOND_ASCII]) {
    // A fragment is no part of a target either.
    const query = BEYOND_ASCII.includes(naughty) ? "" : naughty.replaceAll("#", "");
    let head = "";
    const { rig } = await raw(t, (socket, text) => {
      head = text;
      socket.write(`${OK}X-Back: ${naughty}\r\nContent-Length: 2\r\n\r\nok`, "latin1");
    });
    const text = `GET /v1/x?${query} HTTP/1.1\r\nHost: localhost:${rig.port}\r\nX-There: ${naughty}\r\n\r\n`;
    const client = await rawClient(rig.port, Buffer.from(text, "latin1"));
    const reply = await within(2000, client.until(/ok$/), naughty);
    t.true(head.startsWith(`GET /v1/x?${query} HTTP/1.1\r\n`), `the query became ${head.split("\r\n")[0]}`);
    t.true(head.includes(`\r\nX-There: ${naughty}\r\n`), `the header became ${head}`);
    t.true(reply.includes(`\r\nX-Back: ${naughty}\r\n`), `the reply's header became ${reply}`);
  }
});

test("a character that no header may hold is a 400 from a client and a 502 from an upstream", async (t) => {
  for (const bad of ["\0", "\x01", "\x7f\x0b"]) {
    const { rig, upstream } = await raw(t, (socket) =>
      socket.write(`${OK}X-Bad: a${bad}b\r\nContent-Length: 2\r\n\r\nok`),
    );
    t.regex(await (await get(rig, "/v1/x", `X-Bad: a${bad}b\r\n`)).until(/\}$/), /^HTTP\/1.1 400 /);
    t.is(upstream.connections(), 0);
    t.regex(await (await get(rig)).until(/\}$/), /^HTTP\/1.1 502 /);
  }
});

test("headers named __proto__, constructor and Trailer are headers like others, or dropped, and harm nobody", async (t) => {
  let head = "";
  const { rig } = await raw(t, (socket, text) => {
    head = text;
    socket.write(`${OK}__proto__: 1\r\nconstructor: 2\r\nTrailer: X-Sum\r\nContent-Length: 2\r\n\r\nok`);
  });
  const client = await get(rig, "/v1/x", "__proto__: 1\r\nconstructor: 2\r\nTrailer: X-Sum\r\n");
  const reply = await client.until(/ok$/);
  for (const text of [head, reply]) {
    t.regex(text, /\r\n__proto__: 1\r\nconstructor: 2\r\n/);
    t.notRegex(text, /trailer/i);
  }
});
