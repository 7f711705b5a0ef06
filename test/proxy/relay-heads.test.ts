// What an upstream and a client see of each other's heads: the bytes themselves.

import test, { type ExecutionContext } from "ava";
import { nanoUsd } from "../../src/metering/money.ts";
import type { Upstream } from "../../src/policy/policy.ts";
import { ownLocation } from "../../src/proxy/redirect.ts";
import { Running } from "../../src/proxy/running.ts";
import { VIA } from "../../src/proxy/via.ts";
import { type RigOptions, relayRig } from "../support/relay-rig.ts";
import { rawClient, rawUpstream } from "../support/sockets.ts";

const NODE_BODY = '{"width": 64, "height": 64, "text_prompts": [{"text": "x"}], "mode": "base", "seed": 7}';

interface Seen {
  readonly head: string;
  readonly reply: string;
}

/** Sends what a ComfyUI node sends, with `extra` headers; the upstream answers `reply`. */
async function cross(
  t: ExecutionContext,
  reply: string,
  extra = "",
  options: RigOptions = {},
): Promise<Seen> {
  let head = "";
  const upstream = await rawUpstream((socket, text) => {
    head = text;
    socket.write(reply);
  });
  const rig = await relayRig(upstream.url, {
    ...options,
    upstream: { ...options.upstream, url: `${upstream.url}/base` },
  });
  t.teardown(async () => {
    await rig.close();
    await upstream.close();
  });
  const client = await rawClient(
    rig.port,
    `POST /v1/infer?a=b HTTP/1.1\r\nHost: localhost:${rig.port}\r\nUser-Agent: python-requests/2.34.2\r\n` +
      `Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n` +
      `Content-Length: ${NODE_BODY.length}\r\nContent-Type: application/json\r\n${extra}\r\n${NODE_BODY}`,
  );
  await rig.next();
  return { head, reply: await client.until(/\r\n\r\n(?:ok|\{.*\})?$/s) };
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n";

test("the upstream gets the request of the ComfyUI node under its own name and path", async (t) => {
  const { head } = await cross(t, `${OK}\r\nok`);
  const [first, ...headers] = (head.split("\r\n\r\n")[0] ?? "").split("\r\n");
  t.is(first, "POST /base/v1/infer?a=b HTTP/1.1");
  t.regex(headers[0] ?? "", /^host: 127\.0\.0\.1:\d+$/);
  t.deepEqual(headers.slice(1), [
    "connection: keep-alive",
    "User-Agent: python-requests/2.34.2",
    "Accept-Encoding: gzip, deflate",
    "Accept: */*",
    "Content-Type: application/json",
    "X-Request-Id: r-test",
    `${VIA[0]}: ${VIA[1]}`,
    `content-length: ${NODE_BODY.length}`,
  ]);
});

test("no credential of a client reaches an upstream, and the upstream's own does", async (t) => {
  const auth: Upstream["auth"] = { kind: "bearer", secret: { kind: "env", name: "KEY" } };
  const { head } = await cross(
    t,
    `${OK}\r\nok`,
    "Authorization: Bearer canary\r\nCookie: canary\r\nX-API-Key: canary\r\nProxy-Authorization: canary\r\n" +
      "X-BudgetGuard-User: canary\r\n",
    { upstream: { auth }, job: { secretOf: () => "upstream-key\n" } },
  );
  t.notRegex(head, /canary/);
  t.regex(head, /Authorization: Bearer upstream-key\r\n/);
});

test("what says another method or path than was priced goes no further", async (t) => {
  const { head } = await cross(
    t,
    `${OK}\r\nok`,
    "X-HTTP-Method-Override: other\r\nX-HTTP-Method: other\r\nX-Method-Override: other\r\n" +
      "X-Original-URL: /other\r\nX-Rewrite-URL: /other\r\n",
  );
  t.notRegex(head, /other/);
});

test("an upstream whose secret is missing gets nothing, and the answer says which", async (t) => {
  const auth: Upstream["auth"] = { kind: "bearer", secret: { kind: "env", name: "KEY" } };
  const { head, reply } = await cross(t, `${OK}\r\nok`, "", { upstream: { auth } });
  t.is(head, "");
  t.regex(reply, /^HTTP\/1.1 502 .*env KEY/);
});

test("a client sees the upstream's headers as they are, without cookies and CORS, and ours behind them", async (t) => {
  const { reply } = await cross(
    t,
    `${OK}X-ODD-Case: Yes\r\nSet-Cookie: a=b\r\nAccess-Control-Allow-Origin: *\r\nX-Two: 1\r\nX-Two: 2\r\n` +
      "Date: Sun, 22 Nov 2026 10:00:00 GMT\r\nTrailer: x\r\n\r\nok",
  );
  t.is(
    reply,
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-ODD-Case: Yes\r\nX-Two: 1\r\nX-Two: 2\r\n" +
      "Date: Sun, 22 Nov 2026 10:00:00 GMT\r\nX-BudgetGuard-Upstream: up\r\n" +
      "Connection: keep-alive\r\nKeep-Alive: timeout=75, max=10000\r\n\r\nok",
  );
});

const JSON_ERROR =
  "HTTP/1.1 422 Unprocessable Content\r\nContent-Type: application/problem+json\r\nContent-Length: 2\r\n\r\nok";

test("an upstream's own error passes with its status, reason and body, where it is JSON", async (t) => {
  const { reply } = await cross(t, JSON_ERROR);
  t.regex(reply, /^HTTP\/1.1 422 Unprocessable Content\r\n.*\r\n\r\nok$/s);
});

const ERROR_PAGES = {
  "an error page": "HTTP/1.1 503 Busy\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>",
  "an error without a body":
    "HTTP/1.1 503 Busy\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n",
  "an error of one kilobyte that is packed": `HTTP/1.1 503 Busy\r\nContent-Encoding: br\r\nContent-Length: 1000\r\n\r\n${"x".repeat(1000)}`,
};

for (const [what, page] of Object.entries(ERROR_PAGES)) {
  test(`${what} keeps its status and is told in JSON, because clients parse before they look`, async (t) => {
    const { reply } = await cross(t, page);
    t.regex(
      reply,
      /^HTTP\/1.1 503 BudgetGuard: upstream up: it answered 503 Service Unavailable, and not in JSON\r\n/,
    );
    const { error } = JSON.parse(reply.split("\r\n\r\n")[1] ?? "");
    t.like(error, { type: "upstream_error", code: "upstream_refused" });
  });
}

test("an error in plain text is told in JSON with its text, and says when to come back", async (t) => {
  const page =
    "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n4\r\noops\r\n0\r\n\r\n";
  const { reply } = await cross(t, page);
  t.regex(
    reply,
    /^HTTP\/1.1 503 BudgetGuard: upstream up: it answered 503 Service Unavailable: oops\r\n.*Retry-After: 7\r\n/s,
  );
});

test("of an endless error page no more than a megabyte is read", async (t) => {
  const upstream = await rawUpstream((socket) => {
    socket.write("HTTP/1.1 500 No\r\nContent-Type: text/plain\r\nContent-Length: 900000000\r\n\r\n");
    const fill = () => {
      while (socket.writable && socket.write(Buffer.alloc(65_536)));
    };
    socket.on("drain", fill);
    fill();
  });
  const rig = await relayRig(upstream.url);
  t.teardown(async () => {
    await rig.close();
    await upstream.close();
  });
  const client = await rawClient(rig.port, `GET /v1/x HTTP/1.1\r\nHost: localhost:${rig.port}\r\n\r\n`);
  await client.until(/^HTTP\/1.1 500 BudgetGuard: /);
  const { relayed } = await rig.next();
  t.like(relayed, { ending: { outcome: "relayed", status: 500 }, headSent: false });
  t.true(relayed.kind === "ended" && relayed.bytes < 2_000_000);
});

const redirected = test.macro({
  title: (_, status: number, location: string, expected: RegExp) =>
    `a ${status} to ${location} is told as ${expected.source}`,
  async exec(t, status: number, location: string, expected: RegExp) {
    const { reply } = await cross(
      t,
      `HTTP/1.1 ${status} Go\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`,
      "",
      {
        prefix: "/m/flux-dev",
      },
    );
    t.regex(reply, expected);
  },
});

test("a place whose path would be another host to the client is no place of the upstream's", (t) => {
  const asked = { method: "GET", path: "/v1/x", prefix: "", base: "http://up:8000" };
  for (const location of [
    "http://up:8000//evil.example/x",
    "http://up:8000/\\evil.example/x",
    "/.//evil.example/x",
    "/v1/..//evil.example/x",
  ])
    t.is(ownLocation(location, asked), undefined, location);
  t.is(ownLocation("http://up:8000/evil//example", asked), "/evil//example");
  t.is(ownLocation("/base//evil.example", { ...asked, base: "http://up:8000/base" }), undefined);
});

const GOES_PAST = /^HTTP\/1.1 502 BudgetGuard: upstream up: it redirects \(30.\) past this gateway/;
test(redirected, 302, "http://169.254.169.254/", GOES_PAST);
test(redirected, 307, "http://169.254.169.254/base/v1/infer", GOES_PAST);
test(redirected, 307, "/elsewhere/v1/infer", GOES_PAST);
test(redirected, 307, "//169.254.169.254/base/x", GOES_PAST);
test(redirected, 307, "/base/../secret", GOES_PAST);
test(
  redirected,
  307,
  "/base/v1/other?x=1",
  /^HTTP\/1.1 307 Go\r\nLocation: \/m\/flux-dev\/v1\/other\?x=1\r\n/,
);
test(redirected, 308, "other", /^HTTP\/1.1 308 Go\r\nLocation: \/m\/flux-dev\/v1\/other\r\n/);
test(redirected, 302, "/base/v1/other", /^HTTP\/1.1 502 BudgetGuard: .*would lose the request's body/);

test("a reply in a coding that nobody asked for is not passed on as if it were plain", async (t) => {
  const { reply } = await cross(
    t,
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  );
  t.regex(reply, /^HTTP\/1.1 502 /);
});

test("where tokens are priced the reply is asked for uncompressed and its usage is read", async (t) => {
  const body = '{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}';
  let head = "";
  const upstream = await rawUpstream((socket, text) => {
    head = text;
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  });
  const million = nanoUsd(1_000_000_000n);
  const price = { kind: "tokens", input: million, output: million, source: { kind: "policy" } } as const;
  const rig = await relayRig(upstream.url, { upstream: { price } });
  t.teardown(async () => {
    await rig.close();
    await upstream.close();
  });
  await rawClient(
    rig.port,
    `GET /v1/x HTTP/1.1\r\nHost: localhost:${rig.port}\r\nAccept-Encoding: gzip\r\n\r\n`,
  );
  t.like(await rig.next(), { relayed: { ending: { tokens: { input: 3, output: 4 } } } });
  t.notRegex(head, /accept-encoding/i);
});

test("a running request is cancelled by its id, and nobody but a budget can say cut", (t) => {
  const running = new Running();
  const { signal, leave } = running.enter("r-1");
  t.false(running.cancel("r-2", "by hand"));
  t.true(running.cancel("r-1", "cut"));
  t.is(signal.reason, "by a cut");
  leave();
  t.is(running.size, 0);
  t.false(running.cancel("r-1", "by hand"));
});
