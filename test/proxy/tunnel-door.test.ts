// Who may ask for a tunnel, seen from outside: what is refused reaches no upstream.

import test, { type ExecutionContext } from "ava";
import { type Realtime, startRealtime, tunnelHead } from "../support/realtime.ts";
import { rawClient } from "../support/sockets.ts";
import { tunnelRig } from "../support/tunnel-rig.ts";

async function begin(t: ExecutionContext): Promise<{ port: number; nim: Realtime }> {
  const nim = await startRealtime();
  t.teardown(() => nim.close());
  return { port: (await tunnelRig(t, nim.url)).port, nim };
}

const refused: [what: string, line: string, expected: RegExp][] = [
  ["a page of another origin", "Origin: https://evil.example", /^HTTP\/1.1 403 .*foreign_origin/s],
  ["a page of another port", "Origin: http://localhost:3000", /^HTTP\/1.1 403 /],
  ["a sandboxed page", "Origin: null", /^HTTP\/1.1 403 /],
  ["another site that hides its origin", "Sec-Fetch-Site: cross-site", /^HTTP\/1.1 403 /],
  ["a name that was re-pointed here", "Host: evil.example", /^HTTP\/1.1 421 .*unknown_host/s],
  ["a second Host", "Host: localhost\r\nHost: localhost", /^HTTP\/1.1 400 /],
  ["a second key", "Sec-WebSocket-Key: a\r\nSec-WebSocket-Key: b", /^HTTP\/1.1 400 .*duplicate_header/s],
  ["a body", "Content-Length: 5", /^HTTP\/1.1 400 .*tunnel_body/s],
  ["a chunked body", "Transfer-Encoding: chunked", /^HTTP\/1.1 400 .*tunnel_body/s],
  ["a nominated control header", "Connection: Upgrade, Authorization", /^HTTP\/1.1 400 .*bad_connection/s],
];
for (const [what, line, expected] of refused) {
  test(`${what} is refused a tunnel before the upstream sees anything`, async (t) => {
    const { port, nim } = await begin(t);
    const client = await rawClient(port, `${tunnelHead(port, [line])}early`);
    t.is(await client.closed, "end");
    t.regex(client.received(), expected);
    t.notThrows(() => JSON.parse(client.received().split("\r\n\r\n")[1] ?? ""));
    t.is(nim.accepted(), 0);
  });
}

const ignored: [what: string, head: (port: number) => string][] = [
  ["to h2c", (port) => tunnelHead(port, ["Upgrade: h2c"])],
  ["of a POST", (port) => tunnelHead(port, ["Content-Length: 0"]).replace("GET", "POST")],
  ["that Connection does not name", (port) => tunnelHead(port, ["Connection: keep-alive"])],
  ["of what the gateway answers itself", (port) => tunnelHead(port, [], "/m/x/v1/health/ready?a")],
];
for (const [what, head] of ignored) {
  test(`an upgrade ${what} is ignored, and the connection serves on`, async (t) => {
    const { port, nim } = await begin(t);
    const client = await rawClient(port, head(port));
    t.teardown(() => void client.socket.destroy());
    await client.until(/^HTTP\/1.1 200 .*plain$/s);
    client.socket.write(`GET /v1/x HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`);
    await client.until(/plain.*plain$/s);
    t.is(nim.accepted(), 0);
  });
}

test("beyond limits.connections a tunnel is refused like any request", async (t) => {
  const nim = await startRealtime();
  const rig = await tunnelRig(t, nim.url, {}, 1);
  t.teardown(() => nim.close());
  const first = await rawClient(rig.port, tunnelHead(rig.port));
  t.teardown(() => void first.socket.destroy());
  await first.until(/^HTTP\/1.1 101 /);
  const second = await rawClient(rig.port, tunnelHead(rig.port));
  await second.until(/^HTTP\/1.1 503 .*too_many_connections/s);
  t.is(nim.accepted(), 1);
});
