// Replies before the reply: of an upstream's 1xx a client sees none, and no flood of them outlasts its bound.

import type { Socket } from "node:net";
import test, { type ExecutionContext } from "ava";
import { MOST_INTERIMS } from "../../src/proxy/interim.ts";
import { eventually } from "../support/gateway-client.ts";
import { SWITCHING, tunnelHead } from "../support/realtime.ts";
import { relayRig } from "../support/relay-rig.ts";
import { rawClient, rawUpstream, within } from "../support/sockets.ts";
import { tunnelRig } from "../support/tunnel-rig.ts";

const HINTS =
  "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nSet-Cookie: a=b\r\n" +
  "Access-Control-Allow-Origin: *\r\nX-BudgetGuard-Upstream: forged\r\n\r\n";
const PROCESSING = "HTTP/1.1 102 Processing\r\nX-Progress: 40\r\n\r\n";
const REPLY = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Last: yes\r\n\r\nok";

async function upstream(t: ExecutionContext, script: (socket: Socket, head: string) => void) {
  const server = await rawUpstream(script);
  t.teardown(() => server.close());
  return server;
}

async function asked(t: ExecutionContext, script: (socket: Socket, head: string) => void, method = "GET") {
  const server = await upstream(t, script);
  const rig = await relayRig(server.url);
  t.teardown(() => rig.close());
  const client = await rawClient(rig.port, `${method} /v1/x HTTP/1.1\r\nHost: localhost:${rig.port}\r\n\r\n`);
  return { server, rig, client };
}

for (const [what, interims] of [
  ["a 103", HINTS],
  ["a 102", PROCESSING],
  ["a 103, a 102 and an unknown one", `${HINTS}${PROCESSING}HTTP/1.1 199 What\r\n\r\n`],
  ["as many as are allowed", PROCESSING.repeat(MOST_INTERIMS)],
] as const) {
  test(`the reply behind ${what} is all that its client sees`, async (t) => {
    const { rig, client } = await asked(t, (socket) => socket.write(interims + REPLY));
    const text = await within(3000, client.until(/ok$/), what);
    t.is(text.match(/HTTP\/1\.1/g)?.length, 1, text.slice(0, 500));
    t.regex(text, /^HTTP\/1.1 200 OK\r\n/);
    t.regex(text, /X-Last: yes/);
    t.notRegex(text, /Link|Set-Cookie|Access-Control|X-Progress|forged/);
    t.like(await rig.next(), { relayed: { ending: { outcome: "relayed", status: 200 } } });
  });
}

test("a HEAD has the head behind them, and its client's connection goes on", async (t) => {
  const { rig, client } = await asked(
    t,
    (socket, head) =>
      socket.write(HINTS + PROCESSING + (head.startsWith("HEAD") ? REPLY.slice(0, -2) : REPLY)),
    "HEAD",
  );
  t.regex(await within(3000, client.until(/\r\n\r\n$/), "the head"), /^HTTP\/1.1 200 OK\r\n/);
  client.socket.write(`GET /v1/x HTTP/1.1\r\nHost: localhost:${rig.port}\r\n\r\n`);
  const text = await within(3000, client.until(/ok$/), "the next reply");
  t.is(text.match(/HTTP\/1\.1/g)?.length, 2);
});

test("they come apart from their reply, byte by byte, and a client sees nothing meanwhile", async (t) => {
  const { client, rig } = await asked(t, async (socket) => {
    for (const byte of HINTS + PROCESSING) {
      await new Promise((resolve) => socket.write(byte, () => setImmediate(resolve)));
    }
    t.is(client.received(), "");
    socket.write(REPLY);
  });
  t.regex(await within(5000, client.until(/ok$/), "the reply"), /^HTTP\/1.1 200 OK\r\n/);
  t.like(await rig.next(), { clock: ["begin", "stop"] });
});

test("one more than is allowed ends it: a 502, and the upstream's connection is destroyed", async (t) => {
  const flood = PROCESSING.repeat(MOST_INTERIMS + 1);
  const { rig, client, server } = await asked(t, (socket) => socket.write(flood + REPLY));
  t.regex(await within(3000, client.until(/\}$/), "the 502"), /^HTTP\/1.1 502 .*interim replies/);
  const { relayed, clock } = await rig.next();
  t.like(relayed, { ending: { outcome: "failed" }, fault: { kind: "broken" } });
  t.deepEqual(clock, ["begin", "stop"]);
  await within(1000, server.firstGone, "the upstream's connection to go");
});

// What undici does with it: it takes the connection for one that is out of step.
test("a 100 that nobody asked for is a 502, not a reply that is not one", async (t) => {
  const { rig, client } = await asked(t, (socket) => socket.write(`HTTP/1.1 100 Continue\r\n\r\n${REPLY}`));
  t.regex(await within(3000, client.until(/\}$/), "the 502"), /^HTTP\/1.1 502 /);
  t.like(await rig.next(), { relayed: { ending: { outcome: "failed" } }, clock: ["begin", "stop"] });
});

test("in front of a tunnel they are passed over too, up to the same bound", async (t) => {
  for (const [count, wanted] of [
    [MOST_INTERIMS, /^HTTP\/1.1 101 .*\r\n\r\nopen$/s],
    [MOST_INTERIMS + 1, /^HTTP\/1.1 502 .*interim replies/],
  ] as const) {
    const server = await upstream(t, (socket) => socket.write(`${PROCESSING.repeat(count)}${SWITCHING}open`));
    const rig = await tunnelRig(t, server.url);
    const client = await rawClient(rig.port, tunnelHead(rig.port));
    t.teardown(() => void client.socket.destroy());
    t.notRegex(await within(3000, client.until(wanted), `${count} interim replies`), /102/);
    if (count > MOST_INTERIMS) await eventually("it has ended", () => rig.ended[0]);
  }
});
