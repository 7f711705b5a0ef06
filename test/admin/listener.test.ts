// Opening and closing the admin surface's sockets.

import { createServer } from "node:net";
import test, { type ExecutionContext } from "ava";
import { createAdmin } from "../../src/admin/admin.ts";
import { LIMITS, Listener } from "../../src/admin/listener.ts";
import { Metrics } from "../../src/admin/metrics.ts";
import { freePort } from "../support/free-port.ts";
import { rawClient, within } from "../support/sockets.ts";
import { houseOf, openAdmin } from "./house-of-functions.ts";

const idle = () => {
  const options = {
    metrics: new Metrics(),
    version: "0",
    authenticate: () => undefined,
    tokenPath: "",
    anonymous: "loopback" as const,
    onBug: () => {},
  };
  return createAdmin(houseOf(), options);
};

test("a taken port is a sentence that says what to do, and leaves nothing open", async (t) => {
  const { admin: first, port } = await openAdmin(houseOf());
  t.teardown(() => first.close());
  const second = idle();
  const listening = await second.listen([
    { host: "127.0.0.1", port: 0 },
    { host: "127.0.0.1", port },
  ]);
  t.deepEqual(listening, {
    kind: "failed",
    text: `127.0.0.1:${port} is taken by another program: end it, or choose another with --admin localhost:PORT`,
  });
  const third = idle();
  const again = await third.listen([{ host: "127.0.0.1", port: 0 }]);
  t.is(again.kind, "listening");
  await third.close();
});

test("localhost is 127.0.0.1 and, where the machine has it, ::1, on one port", async (t) => {
  const admin = idle();
  t.teardown(() => admin.close());
  const listening = await admin.listen([
    { host: "127.0.0.1", port: 0 },
    { host: "::1", port: 0 },
  ]);
  if (listening.kind === "failed") return t.fail(listening.text);
  const ports = new Set(listening.addresses.map(({ port }) => port));
  t.is(ports.size, 1);
  for (const { host, port } of listening.addresses) {
    const name = host.includes(":") ? `[${host}]` : host;
    t.is((await fetch(`http://${name}:${port}/healthz`)).status, 200);
  }
});

test("an address that this machine does not have is a sentence too", async (t) => {
  const listening = await idle().listen([{ host: "192.0.2.1", port: 0 }]);
  t.is(listening.kind, "failed");
  t.regex(
    listening.kind === "failed" ? listening.text : "",
    /^192\.0\.2\.1:0 cannot be listened on .*--admin localhost:PORT$/,
  );
});

test("closing ends idle connections at once and frees the port", async (t) => {
  const port = await freePort();
  const took: number[] = [];
  // What is waited for takes two seconds each time; what a busy machine takes differs.
  for (let time = 0; time < 3; time++) {
    const admin = idle();
    await admin.listen([{ host: "127.0.0.1", port }]);
    await (await fetch(`http://127.0.0.1:${port}/healthz`)).text();
    const began = performance.now();
    await admin.close();
    took.push(performance.now() - began);
  }
  t.true(Math.min(...took) < 1_500, `${took}`);
  const heir = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  heir.once("error", reject);
  heir.listen(port, "127.0.0.1", resolve);
  await t.notThrowsAsync(promise);
  heir.close();
});

async function limited(t: ExecutionContext, limits: Partial<typeof LIMITS>): Promise<number> {
  const listener = new Listener(() => new Response("{}"), { ...LIMITS, ...limits });
  t.teardown(() => listener.close());
  const listening = await listener.listen([{ host: "127.0.0.1", port: 0 }]);
  return listening.kind === "listening" ? (listening.addresses[0]?.port ?? 0) : 0;
}

const BEGUN = "GET / HTTP/1.1\r\nHost: localhost\r\n";

test("a head that does not come in time is answered 408, so that nobody holds a connection by it", async (t) => {
  const port = await limited(t, { headersTimeout: 100, connectionsCheckingInterval: 20 });
  const slow = await rawClient(port, BEGUN);
  t.regex(await within(10_000, slow.until(/bad_request/), "an answer"), /^HTTP\/1\.1 408 /);
});

test("one connection more than the limit is closed, and those that are open go on", async (t) => {
  const port = await limited(t, { maxConnections: 2 });
  const first = await rawClient(port, BEGUN);
  const second = await rawClient(port, BEGUN);
  const third = await rawClient(port, BEGUN);
  await within(10_000, third.closed, "the third is closed");
  for (const client of [first, second]) {
    client.socket.write("Connection: close\r\n\r\n");
    t.regex(await within(10_000, client.until(/\{\}/), "an answer"), /^HTTP\/1\.1 200 /);
  }
});

test("a head may take ten seconds and 16 KiB, and 256 connections may be open", (t) => {
  t.like(LIMITS, { maxConnections: 256, headersTimeout: 10_000, maxHeaderSize: 16_384 });
});

test("the same surface answers without a socket only to its own names", async (t) => {
  const reply = await idle().fetch(
    new Request("http://127.0.0.1:7071/healthz", { headers: { host: "127.0.0.1:7071" } }),
  );
  t.is(reply.status, 421);
});
