// How a relay ends when one of the two sides does not keep to the rules: by name, with the clock stopped, and
// never with a reply that looks complete and is not.

import { once } from "node:events";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { seconds } from "../../src/metering/time.ts";
import type { Timeouts } from "../../src/policy/policy.ts";
import type { RelayJob } from "../../src/proxy/relay-job.ts";
import { type Rig, type RigOptions, relayRig } from "../support/relay-rig.ts";
import { type RawClient, rawClient, rawUpstream, within } from "../support/sockets.ts";

type Script = (socket: Socket, head: string) => void;

async function start(t: ExecutionContext, script: Script, options: RigOptions = {}) {
  const upstream = await rawUpstream(script);
  const rig = await relayRig(upstream.url, options);
  t.teardown(async () => {
    await rig.close();
    await upstream.close();
  });
  return { upstream, rig };
}

function get(rig: Rig, method = "GET"): Promise<RawClient> {
  return rawClient(rig.port, `${method} /v1/x HTTP/1.1\r\nHost: localhost:${rig.port}\r\n\r\n`);
}

const OK = "HTTP/1.1 200 OK\r\n";

for (const [what, bytes, how] of [
  ["is cut short of its Content-Length", `${OK}Content-Length: 10\r\n\r\nabc`, "end"],
  ["is reset in mid-body", `${OK}Content-Length: 10\r\n\r\nabc`, "reset"],
  ["is chunked and lacks its terminator", `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`, "end"],
  ["has a bad chunk", `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n`, "stay"],
  ["is delimited by closing and reset", `${OK}\r\nabc`, "reset"],
] as const) {
  test(`a reply that ${what} is truncated: the client's connection breaks`, async (t) => {
    const { rig } = await start(t, (socket) => {
      socket.write(bytes, () => {
        if (how === "end") socket.end();
        else if (how === "reset") setTimeout(() => socket.resetAndDestroy(), 30);
      });
    });
    const client = await get(rig);
    const { relayed, clock } = await within(3000, rig.next(), what);
    t.like(relayed, { kind: "ended", headSent: true, fault: { kind: "broken" } });
    t.like(relayed.kind === "ended" && relayed.ending, { outcome: "truncated", status: 200 });
    t.deepEqual(clock, ["begin", "stop"]);
    t.is(await within(1000, client.closed, "the client's connection to break"), "reset");
    t.notRegex(client.received(), /\r\n0\r\n/);
  });
}

for (const [what, script] of [
  ["closes without a reply", (socket) => socket.end()],
  ["resets the connection", (socket) => socket.resetAndDestroy()],
  ["sends garbage", (socket) => socket.write("SSH-2.0-OpenSSH_9.2\r\n\r\n")],
  ["breaks off in its headers", (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Le")],
  [
    "breaks off after a head that was not passed on",
    (socket) => socket.end(`${OK}Content-Length: 9\r\n\r\n`),
  ],
  [
    "has control characters in its reason",
    (s) => s.write("HTTP/1.1 200 OK\x0bX\r\nContent-Length: 2\r\n\r\nok"),
  ],
  ["has a status that is none", (s) => s.write("HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok")],
  ["has 40 kB of headers", (socket) => socket.write(`${OK}X: ${"y".repeat(40_000)}\r\n\r\n`)],
  ["has two different lengths", (s) => s.write(`${OK}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc`)],
  [
    "has a length and chunks",
    (s) => s.write(`${OK}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`),
  ],
  [
    "switches protocols unasked",
    (s) => s.write("HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
  ],
] satisfies [string, Script][]) {
  test(`an upstream that ${what} has failed: the client gets a 502 in JSON`, async (t) => {
    const { rig } = await start(t, script);
    const client = await get(rig);
    const { relayed, clock } = await within(3000, rig.next(), what);
    t.like(relayed, { kind: "ended", headSent: false, fault: { kind: "broken" } });
    t.is(relayed.kind === "ended" && relayed.ending.outcome, "failed");
    t.deepEqual(clock, ["begin", "stop"]);
    const text = await client.until(/\}$/);
    t.regex(text, /^HTTP\/1.1 502 BudgetGuard: upstream up: /);
    t.regex(text, /"code":"upstream_failed"/);
  });
}

test("an upstream that cannot be reached is unsent, and another one may be asked", async (t) => {
  const upstream = await rawUpstream(() => {});
  await upstream.close();
  const rig = await relayRig(upstream.url);
  t.teardown(() => rig.close());
  const client = await get(rig);
  const { relayed, clock } = await rig.next();
  t.like(relayed, { kind: "unsent", why: "unreachable", replayable: true });
  t.deepEqual(clock, []);
  t.regex(await client.until(/\}$/), /^HTTP\/1.1 502 BudgetGuard: nothing was sent to upstream up: /);
});

test("a stray byte after a reply neither reaches the client nor harms the next request", async (t) => {
  const { rig } = await start(t, (socket) => {
    socket.on("data", () => socket.write(`${OK}Content-Length: 2\r\n\r\nok`));
    socket.write(`${OK}Content-Length: 2\r\n\r\nokX`);
  });
  const client = await get(rig);
  await client.until(/ok$/);
  client.socket.write(`GET /v1/y HTTP/1.1\r\nHost: localhost:${rig.port}\r\n\r\n`);
  const text = await within(3000, client.until(/ok.*ok$/s), "the second reply");
  t.notRegex(text, /okX/);
});

function timeouts(changes: Partial<Record<keyof Timeouts, number>>): RigOptions {
  const wanted = { connect: 5, firstByte: 5, idle: 5, total: 5, ...changes };
  const timeouts = {
    connect: seconds(wanted.connect),
    firstByte: seconds(wanted.firstByte),
    idle: seconds(wanted.idle),
    total: seconds(wanted.total),
  };
  return { upstream: { timeouts } };
}

test("an upstream that never replies times out: 504, its connection destroyed", async (t) => {
  const { rig, upstream } = await start(t, () => {}, timeouts({ firstByte: 0.15 }));
  const client = await get(rig);
  const { relayed, clock } = await within(2000, rig.next(), "the first-byte timeout");
  t.like(relayed, {
    fault: { kind: "timeout", reason: "the upstream did not begin to reply within 0.15 s" },
  });
  t.deepEqual(clock, ["begin", "stop"]);
  t.regex(await client.until(/\}$/), /^HTTP\/1.1 504 /);
  await within(1000, upstream.firstGone, "the upstream's socket to go");
});

test("a flood of 1xx does not put off the first-byte timeout", async (t) => {
  const { rig } = await start(
    t,
    (socket) => {
      const flood = setInterval(() => socket.write("HTTP/1.1 102 Processing\r\n\r\n"), 10);
      socket.on("close", () => clearInterval(flood));
    },
    timeouts({ firstByte: 0.2 }),
  );
  await get(rig);
  const { relayed } = await within(2000, rig.next(), "the timeout");
  t.like(relayed, { fault: { kind: "timeout" } });
});

test("an upstream that stops in mid-reply times out and is truncated", async (t) => {
  const { rig } = await start(
    t,
    (socket) => socket.write(`${OK}Content-Length: 10\r\n\r\nabc`),
    timeouts({ idle: 0.15 }),
  );
  const client = await get(rig);
  const { relayed } = await within(2000, rig.next(), "the idle timeout");
  t.like(relayed, { ending: { outcome: "truncated" }, fault: { kind: "timeout" } });
  t.is(await client.closed, "reset");
});

test("an endless trickle ends with the total timeout", async (t) => {
  const { rig } = await start(
    t,
    (socket) => {
      socket.write(`${OK}Transfer-Encoding: chunked\r\n\r\n`);
      const trickle = setInterval(() => socket.write("1\r\nx\r\n"), 20);
      socket.on("close", () => clearInterval(trickle));
    },
    timeouts({ idle: 0.5, total: 0.3 }),
  );
  await get(rig);
  const { relayed } = await within(2000, rig.next(), "the total timeout");
  t.like(relayed, {
    ending: { outcome: "truncated" },
    fault: { reason: "the request took longer than 0.3 s" },
  });
});

for (const [when, reply] of [
  ["before the reply", ""],
  ["in the middle of the reply", `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`],
] as const) {
  for (const how of ["close", "half-close", "reset"] as const) {
    test(`a client that goes away ${when} (${how}) aborts the upstream within a second`, async (t) => {
      const { rig, upstream } = await start(t, (socket) => socket.write(reply));
      const client = await get(rig);
      await rig.started();
      await sleep(80);
      if (how === "close") client.socket.destroy();
      else if (how === "half-close") client.socket.end();
      else client.socket.resetAndDestroy();
      await within(1000, upstream.firstGone, "the upstream to be aborted");
      const { relayed, clock } = await rig.next();
      t.like(relayed, { ending: { outcome: "aborted" }, fault: { kind: "client_gone" } });
      t.deepEqual(clock, ["begin", "stop"]);
    });
  }
}

for (const [reason, outcome, kind] of [
  ["cut", "cut", "cut"],
  ["cancelled by the operator", "aborted", "cancelled"],
] as const) {
  test(`a signal with the reason "${reason}" ends the request as ${outcome}`, async (t) => {
    const { rig, upstream } = await start(t, () => {});
    const client = await get(rig);
    const control = await rig.started();
    await sleep(50);
    control.abort(reason);
    const { relayed, clock } = await within(1000, rig.next(), "the cut");
    t.like(relayed, { ending: { outcome }, fault: { kind } });
    t.deepEqual(clock, ["begin", "stop"]);
    await within(1000, upstream.firstGone, "the upstream to be aborted");
    t.regex(await client.until(/\}$/), reason === "cut" ? /^HTTP\/1.1 402 / : /^HTTP\/1.1 499 /);
  });
}

test("a signal that comes before anything is sent leaves nothing begun", async (t) => {
  const { rig, upstream } = await start(t, () => {}, { job: { signal: AbortSignal.abort("cut") } });
  await get(rig);
  const { relayed, clock } = await rig.next();
  t.like(relayed, { kind: "unsent", why: "cut", replayable: false });
  t.deepEqual(clock, []);
  t.is(upstream.connections(), 0);
});

for (const [what, held, script] of [
  ["begun", { begin: fail, stop: () => {} }, () => {}],
  [
    "stopped at the reply's end",
    { begin: () => {}, stop: fail },
    (s) => s.write(`${OK}Content-Length: 0\r\n\r\n`),
  ],
  ["stopped when the upstream breaks", { begin: () => {}, stop: fail }, (s) => s.resetAndDestroy()],
] satisfies [string, RelayJob["held"], Script][]) {
  test(`a permit that cannot be ${what} is a mistake that is told, never a client that waits`, async (t) => {
    const { rig, upstream } = await start(t, script, { job: { held } });
    const client = await get(rig);
    t.is((await within(2000, rig.mistake(), what)).message, "a bug in the ledger");
    if (what === "begun") await within(1000, upstream.firstGone, "the upstream to be aborted");
    client.socket.destroy();
  });
}

function fail(): void {
  throw new Error("a bug in the ledger");
}

test("a reply to a client that has gone meanwhile is still relayed: what ended has ended", async (t) => {
  const { rig } = await start(t, (socket) => socket.write(`${OK}Content-Length: 2\r\n\r\nok`), {
    finishes: false,
  });
  const client = await get(rig);
  const { relayed, response } = await rig.next();
  client.socket.destroy();
  await once(response, "close");
  t.like(relayed, { ending: { outcome: "relayed" } });
  t.notThrows(() => relayed.kind === "ended" && relayed.finish());
});
