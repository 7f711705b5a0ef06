// What a real server sees of a probe, and what each of its answers means.

import type { Socket } from "node:net";
import test, { type ExecutionContext } from "ava";
import type { Upstream } from "../../src/policy/policy.ts";
import { Pools } from "../../src/proxy/pools.ts";
import { type Answered, askReady } from "../../src/proxy/ready-probe.ts";
import { upstreamAt } from "../support/relay-rig.ts";
import { rawUpstream, within } from "../support/sockets.ts";

type Script = (socket: Socket, head: string) => void;

async function start(t: ExecutionContext, script: Script) {
  const heads: string[] = [];
  const server = await rawUpstream((socket, head) => {
    heads.push(head);
    script(socket, head);
  });
  const pools = new Pools();
  t.teardown(async () => {
    await pools.destroy();
    await server.close();
  });
  const ask = (over: Partial<Upstream> = {}, signal = new AbortController().signal): Promise<Answered> =>
    askReady(upstreamAt(server.url, over), signal, { pools, secretOf: () => "s3cret" });
  return { ask, heads, pools, url: server.url };
}

const says =
  (status: string, more = "") =>
  (socket: Socket) =>
    socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n${more}\r\n`);

for (const [status, kind] of [
  ["200 OK", "up"],
  ["204 No Content", "up"],
  ["302 Found", "up"],
  ["401 Unauthorized", "up"],
  ["404 Not Found", "up"],
  ["405 Method Not Allowed", "up"],
  ["429 Too Many Requests", "up"],
  ["501 Not Implemented", "up"],
  ["500 Internal Server Error", "down"],
  ["502 Bad Gateway", "down"],
  ["503 Service Unavailable", "down"],
  ["504 Gateway Timeout", "down"],
] as const) {
  test(`an upstream that answers ${status} is ${kind}`, async (t) => {
    const { ask } = await start(t, says(status));
    t.like(await ask(), kind === "up" ? { kind } : { kind, why: `it answered ${status.slice(0, 3)}` });
  });
}

test("a probe is a GET of the NIM's readiness path below the upstream's own, with its own credentials", async (t) => {
  const { ask, heads, url } = await start(t, says("200 OK"));
  const secret = { kind: "env", name: "KEY" } as const;
  await ask({ url: `${url}/nims/flux/`, auth: { kind: "bearer", secret } });
  await ask({ auth: { kind: "header", name: "X-Key", secret } });
  t.regex(heads[0] ?? "", /^GET \/nims\/flux\/v1\/health\/ready HTTP\/1\.1\r\n/);
  t.regex(heads[0] ?? "", /\r\nAuthorization: Bearer s3cret\r\n/i);
  t.regex(heads[1] ?? "", /\r\nX-Key: s3cret\r\n/);
  t.notRegex(heads[1] ?? "", /authorization/i);
});

test("a redirect is an answer and is not followed, whoever it leads to", async (t) => {
  const { ask, heads } = await start(t, says("302 Found", "Location: /elsewhere\r\n"));
  t.like(await ask(), { kind: "up" });
  t.is(heads.length, 1);
});

test("an upstream that cannot be reached, breaks off or talks no HTTP is down, and it is said how", async (t) => {
  const pools = new Pools();
  t.teardown(() => pools.destroy());
  const signal = new AbortController().signal;
  const nobody = upstreamAt("http://127.0.0.1:1");
  const refused = await askReady(nobody, signal, { pools, secretOf: () => undefined });
  t.is(refused.kind, "down");
  t.regex(refused.kind === "down" ? refused.why : "", /ECONNREFUSED/);
  const { ask } = await start(t, (socket) => socket.end());
  t.is((await ask()).kind, "down");
  const garbage = await start(t, (socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n\r\n"));
  t.is((await garbage.ask()).kind, "down");
});

test("one that never answers is down after a few seconds", async (t) => {
  const { ask } = await start(t, () => undefined);
  t.deepEqual(await within(10_000, ask(), "the probe gives up"), {
    kind: "down",
    why: "it did not answer within 3 s",
  });
});

test("an answer without end is not read to its end", async (t) => {
  const closed = Promise.withResolvers<void>();
  const { ask } = await start(t, (socket) => {
    socket.on("close", () => closed.resolve()).on("error", () => undefined);
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 900000000\r\n\r\n");
    const more = () => {
      if (!socket.destroyed) socket.write("x".repeat(65_536), () => setImmediate(more));
    };
    more();
  });
  t.like(await within(10_000, ask(), "the probe ends"), { kind: "up" });
  await within(5_000, closed.promise, "its connection is closed");
});

test("a probe that nobody wants any more, or that lacks its secret, says nothing about the upstream", async (t) => {
  const { ask, heads } = await start(t, () => undefined);
  const control = new AbortController();
  const asked = ask({}, control.signal);
  setTimeout(() => control.abort(), 30);
  t.deepEqual(await within(2000, asked, "the probe ends"), { kind: "unclear" });
  const pools = new Pools();
  const secret = { kind: "env", name: "KEY" } as const;
  const locked = upstreamAt("http://127.0.0.1:1", { auth: { kind: "bearer", secret } });
  const signal = new AbortController().signal;
  t.deepEqual(await askReady(locked, signal, { pools, secretOf: () => undefined }), { kind: "unclear" });
  t.true(heads.length <= 1);
});
