// Clients that come by TLS: what is promised to them over TCP holds there too, and a handshake that nobody
// ends holds nothing up.

import { setTimeout as sleep } from "node:timers/promises";
import { connect as tlsConnect } from "node:tls";
import test, { type ExecutionContext } from "ava";
import { type Certified, createFrontServer } from "../../src/proxy/front-server.ts";
import { Listeners, type Serve } from "../../src/proxy/listener.ts";
import { relayRig } from "../support/relay-rig.ts";
import { CERTIFICATE, KEY } from "../support/self-signed.ts";
import { listen, portOf, rawClient, rawTlsClient, rawUpstream, within } from "../support/sockets.ts";

const certificate: Certified = {
  shown: () => ({ cert: CERTIFICATE, key: KEY, minVersion: "TLSv1.2" }),
  follow: () => () => undefined,
};

const RULES = { hosts: [], origins: [], body: 1000, connections: 1024 };

async function listeners(
  t: ExecutionContext,
  rules: Partial<typeof RULES> = {},
  serve: Serve = (_request, response) => void response.end("served"),
) {
  const opened = new Listeners(
    serve,
    () => ({ ...RULES, ...rules }),
    () => {},
    { certificate },
  );
  t.teardown(() => opened.close(0));
  t.deepEqual(await opened.adopt([{ address: "0.0.0.0:0" }, { address: "localhost:0", model: "m" }]), []);
  const [open, own] = opened.addresses();
  return { opened, open: open?.port ?? 0, own: own?.port ?? 0 };
}

const get = (port: number) => `GET /v1/x HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`;

test("an address off loopback speaks TLS alone, those of this machine http alone", async (t) => {
  const { opened, open, own } = await listeners(t);
  t.deepEqual(
    [...new Set(opened.addresses().map(({ wanted, scheme }) => `${wanted} ${scheme}`))],
    ["0.0.0.0:0 https", "localhost:0 http"],
  );
  t.regex(await (await rawTlsClient(open, CERTIFICATE, get(open))).until(/served/), /^HTTP\/1.1 200 /);
  t.regex(await (await rawClient(own, get(own))).until(/served/), /^HTTP\/1.1 200 /);
  const plain = await rawClient(open, get(open));
  await plain.closed;
  t.is(plain.received().includes("HTTP/1.1 200"), false);
  await t.throwsAsync(rawTlsClient(own, CERTIFICATE));
});

test("no version of TLS before 1.2 is spoken", async (t) => {
  const { open } = await listeners(t);
  const shake = (maxVersion: "TLSv1.1" | "TLSv1.2") =>
    new Promise<string>((resolve) => {
      const old = { minVersion: "TLSv1", maxVersion, ciphers: "DEFAULT@SECLEVEL=0" } as const;
      const socket = tlsConnect({
        port: open,
        host: "127.0.0.1",
        servername: "localhost",
        ca: CERTIFICATE,
        ...old,
      });
      socket.on("error", () => resolve("refused"));
      socket.on("secureConnect", () => {
        resolve(socket.getProtocol() ?? "");
        socket.destroy();
      });
    });
  t.is(await shake("TLSv1.1"), "refused");
  t.is(await shake("TLSv1.2"), "TLSv1.2");
});

/** A reply that its upstream breaks off in the middle, for a client that takes a close for the end or not. */
for (const [what, request, reply] of [
  [
    "delimited by closing",
    "GET /v1/x HTTP/1.0",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
  ],
  ["of chunks", "GET /v1/x HTTP/1.1", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"],
  ["with a length", "GET /v1/x HTTP/1.1", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"],
] as const) {
  test(`a truncated reply ${what} never ends over TLS as if it were whole`, async (t) => {
    const breaking = Promise.withResolvers<void>();
    const upstream = await rawUpstream(async (socket) => {
      socket.write(reply);
      await breaking.promise;
      socket.resetAndDestroy();
    });
    const rig = await relayRig(upstream.url, { certificate });
    t.teardown(() => Promise.all([rig.close(), upstream.close()]));
    const client = await rawTlsClient(
      rig.port,
      CERTIFICATE,
      `${request}\r\nHost: localhost:${rig.port}\r\n\r\n`,
    );
    await client.until(/abc/);
    breaking.resolve();
    const { relayed } = await rig.next();
    t.like(relayed, { kind: "ended", ending: { outcome: "truncated" } });
    t.is(await within(5000, client.closed, "the end"), "reset", "no FIN and no close_notify");
  });
}

test("an upstream is left when its client leaves over TLS", async (t) => {
  const upstream = await rawUpstream((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  });
  const rig = await relayRig(upstream.url, { certificate });
  t.teardown(() => Promise.all([rig.close(), upstream.close()]));
  const client = await rawTlsClient(rig.port, CERTIFICATE, get(rig.port));
  await client.until(/abc/);
  client.socket.destroy();
  t.like((await rig.next()).relayed, { kind: "ended", ending: { outcome: "aborted" } });
  await within(5000, upstream.firstGone, "the upstream's end");
});

test("connections count before their handshake, and those beyond the limit get none", async (t) => {
  const { opened, open } = await listeners(t, { connections: 2 });
  const silent = [await rawClient(open), await rawClient(open)];
  await t.throwsAsync(rawTlsClient(open, CERTIFICATE));
  t.is(opened.connections, 2);
  for (const { socket } of silent) socket.destroy();
  await within(
    5000,
    (async () => {
      while (opened.connections > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    })(),
    "the places to be free",
  );
  const served = await rawTlsClient(open, CERTIFICATE, get(open));
  t.regex(await served.until(/served/), /^HTTP\/1.1 200 /);
});

test("closing ends idle TLS connections at once, whether anything came by them or not", async (t) => {
  const { opened, open } = await listeners(t);
  const unused = await rawTlsClient(open, CERTIFICATE);
  const shaking = await rawClient(open);
  const used = await rawTlsClient(open, CERTIFICATE, get(open));
  await used.until(/served/);
  await within(5000, opened.close(60_000), "the close");
  await Promise.all([unused.closed, shaking.closed, used.closed]);
  t.is(opened.connections, 0);
});

test("closing lets a request that came over TLS end", async (t) => {
  const letGo = Promise.withResolvers<void>();
  const came = Promise.withResolvers<void>();
  const { opened, open } = await listeners(t, {}, (_request, response) => {
    came.resolve();
    void letGo.promise.then(() => response.end("served late"));
  });
  const client = await rawTlsClient(open, CERTIFICATE, get(open));
  await came.promise;
  const closing = opened.close(60_000);
  // More than one sweep of what is idle.
  await sleep(150);
  letGo.resolve();
  t.regex(await client.until(/served late/), /^HTTP\/1.1 200 /);
  await within(5000, closing, "the close");
});

test("a handshake or a head that does not come in time is closed", async (t) => {
  const server = createFrontServer({
    serve: (_request, response) => void response.end("served"),
    connected: () => {},
    certificate,
  });
  await listen(server);
  t.teardown(() => server.close());
  const silent = await rawClient(portOf(server));
  // The first bytes of a ClientHello, and no more.
  const stalled = await rawClient(portOf(server), Buffer.from([22, 3, 1, 2, 0, 1, 0, 1]));
  const slow = await rawTlsClient(portOf(server), CERTIFICATE, "GET / HTTP/1.1\r\nHost: loc");
  await within(13_000, Promise.all([silent.closed, stalled.closed, slow.closed]), "the timeouts");
  t.regex(slow.received(), /^HTTP\/1.1 408 /);
});
