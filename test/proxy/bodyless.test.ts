// Replies that have no body, and questions that have none: each keeps its headers, and leaves the client's
// connection ready for the next request.

import test from "ava";
import { relayRig } from "../support/relay-rig.ts";
import { rawClient, rawUpstream, within } from "../support/sockets.ts";

for (const [what, method, reply, expected] of [
  [
    "HEAD keeps the length that a GET would have",
    "HEAD",
    "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nETag: a\r\n\r\n",
    /^HTTP\/1.1 200 OK\r\nContent-Length: 12345\r\nETag: a\r\n/,
  ],
  [
    "HEAD of chunks has none",
    "HEAD",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    /^HTTP\/1.1 200 OK\r\n/,
  ],
  [
    "a 204 says no length, whatever its upstream says",
    "GET",
    "HTTP/1.1 204 No Content\r\nX-A: b\r\nContent-Length: 0\r\n\r\n",
    /^HTTP\/1.1 204 No Content\r\nX-A: b\r\n(?!.*content-length)/is,
  ],
  [
    "a 304 keeps its ETag and its length",
    "GET",
    "HTTP/1.1 304 Not Modified\r\nETag: a\r\nContent-Length: 99\r\n\r\n",
    /^HTTP\/1.1 304 Not Modified\r\nETag: a\r\nContent-Length: 99\r\n/,
  ],
  [
    "OPTIONS is passed on, and its Allow comes back",
    "OPTIONS",
    "HTTP/1.1 200 OK\r\nAllow: POST\r\nContent-Length: 0\r\n\r\n",
    /^HTTP\/1.1 200 OK\r\nAllow: POST\r\nContent-Length: 0\r\n/,
  ],
] as const) {
  test(`${what}, and the next request on the connection is served`, async (t) => {
    const heads: string[] = [];
    const upstream = await rawUpstream((socket, first) => {
      const answer = (head: string) => {
        heads.push(head);
        socket.write(head.includes("/next") ? "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext" : reply);
      };
      answer(first);
      socket.on("data", (chunk) => answer(chunk.toString("latin1")));
    });
    const rig = await relayRig(upstream.url);
    t.teardown(async () => {
      await rig.close();
      await upstream.close();
    });
    const host = `Host: localhost:${rig.port}`;
    const client = await rawClient(rig.port, `${method} /v1/x HTTP/1.1\r\n${host}\r\n\r\n`);
    const head = await within(2000, client.until(/\r\n\r\n/), "the head");
    t.regex(head, expected);
    await rig.next();
    client.socket.write(`GET /next HTTP/1.1\r\n${host}\r\n\r\n`);
    const all = await within(2000, client.until(/next$/), "the next reply");
    // Nothing stands between the two.
    t.regex(all.slice(head.indexOf("\r\n\r\n")), /^\r\n\r\nHTTP\/1.1 200 OK\r\n/);
    t.is(heads[0]?.split(" ")[0], method);
  });
}
