// Who is let in. Every row is a request as its sender would write it, and what it must get.

import { request as send } from "node:http";
import { connect } from "node:net";
import test, { type ExecutionContext } from "ava";
import { isLoopback } from "../../src/admin/loopback.ts";
import { Problem } from "../../src/sdk/problem.ts";
import { houseOf, openAdmin, TOKEN_PATH } from "./house-of-functions.ts";

type Headers = Record<string, string>;

interface Sent {
  readonly method?: string;
  readonly path?: string;
  /** PORT stands for the port that the surface got. */
  readonly headers?: Headers;
  readonly body?: string;
}

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

function exchange(
  port: number,
  { method = "GET", path = "/api/v1/status", headers = {}, body }: Sent,
): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const said = Object.entries(headers).map(([name, value]) => [name, value.replace("PORT", String(port))]);
  const request = send(
    { host: "127.0.0.1", port, method, path, headers: Object.fromEntries(said) },
    (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => {
        text += piece;
      });
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers as Headers, text }),
      );
    },
  );
  request.on("error", reject);
  request.end(body);
  return promise;
}

const PAGE = "http://comfy.example:8188";
const ADMIN = { authorization: "Bearer admin-token" };
const JSON_TYPE = { "content-type": "application/json" };
const MODE = { method: "PUT", path: "/api/v1/mode", body: '{"mode":"local"}' };
const signed = { ...ADMIN, ...JSON_TYPE };
const TOO_LARGE = JSON.stringify({ text: "x".repeat(256 * 1024) });

const table: readonly (Sent & { readonly title: string; readonly expected: number })[] = [
  { title: "the name localhost may ask", headers: { host: "localhost:PORT" }, expected: 200 },
  { title: "the address of IPv6 loopback may ask", headers: { host: "[::1]:PORT" }, expected: 200 },
  { title: "a name of the policy may ask", headers: { host: "studio.example:PORT" }, expected: 200 },
  {
    title: "another name may not: a page re-pointed at this machine",
    headers: { host: "evil.example:PORT" },
    expected: 421,
  },
  { title: "a name that only ends in ours may not", headers: { host: "not-localhost:PORT" }, expected: 421 },
  { title: "our name with another port may not", headers: { host: "localhost:1" }, expected: 421 },
  { title: "an odd name may not", headers: { host: "local host" }, expected: 400 },
  { title: "a page of our own may read", headers: { origin: "http://localhost:PORT" }, expected: 200 },
  {
    title: "a page that the policy names may read",
    headers: { origin: "http://comfy.example:8188" },
    expected: 200,
  },
  { title: "a page of another site may not", headers: { origin: "http://evil.example" }, expected: 403 },
  {
    title: "a page of another port of this machine may not",
    headers: { origin: "http://localhost:8188" },
    expected: 403,
  },
  { title: "a page without an origin may not", headers: { origin: "null" }, expected: 403 },
  { title: "a cross-site fetch may not", headers: { "sec-fetch-site": "cross-site" }, expected: 403 },
  { title: "a same-site fetch may not", headers: { "sec-fetch-site": "same-site" }, expected: 403 },
  { title: "an address typed into the browser may", headers: { "sec-fetch-site": "none" }, expected: 200 },
  { title: "reads need no token", expected: 200 },
  {
    title: "reads with a wrong token are told so",
    headers: { authorization: "Bearer wrong" },
    expected: 401,
  },
  {
    title: "reads with a name of Object's prototype as token are told so",
    headers: { "x-api-key": "__proto__" },
    expected: 401,
  },
  { title: "an empty credential is none", headers: { "x-api-key": "", authorization: "" }, expected: 200 },
  { title: "a bearer of nothing has no token", headers: { authorization: "Bearer " }, expected: 200 },
  {
    ...MODE,
    title: "a write with an empty credential is refused",
    headers: { ...JSON_TYPE, "x-api-key": "" },
    expected: 401,
  },
  { ...MODE, title: "a write without a token is refused", headers: JSON_TYPE, expected: 401 },
  {
    ...MODE,
    title: "a write with a wrong token is refused",
    headers: { ...JSON_TYPE, "x-api-key": "no" },
    expected: 401,
  },
  {
    ...MODE,
    title: "a write with basic credentials is refused",
    headers: { ...JSON_TYPE, authorization: "Basic YTpi" },
    expected: 401,
  },
  {
    ...MODE,
    title: "a write of a role without the right is refused",
    headers: { ...JSON_TYPE, "x-api-key": "reader-token" },
    expected: 403,
  },
  {
    ...MODE,
    title: "a write by X-API-Key passes",
    headers: { ...JSON_TYPE, "x-api-key": "admin-token" },
    expected: 200,
  },
  { ...MODE, title: "a write by bearer token passes", headers: signed, expected: 200 },
  {
    ...MODE,
    title: "a write from another page is refused even with the token",
    headers: { ...signed, origin: "http://evil.example" },
    expected: 403,
  },
  {
    ...MODE,
    title: "plain text is no JSON",
    headers: { ...ADMIN, "content-type": "text/plain" },
    expected: 415,
  },
  {
    ...MODE,
    title: "a form is no JSON",
    headers: { ...ADMIN, "content-type": "application/x-www-form-urlencoded" },
    expected: 415,
  },
  {
    ...MODE,
    title: "what only begins like JSON's type is no JSON",
    headers: { ...ADMIN, "content-type": "application/jsonx" },
    expected: 415,
  },
  { ...MODE, title: "a body without a type is no JSON", headers: ADMIN, expected: 415 },
  {
    ...MODE,
    title: "JSON with a charset passes",
    headers: { ...ADMIN, "content-type": "application/json; charset=utf-8" },
    expected: 200,
  },
  { ...MODE, title: "broken JSON is refused", headers: signed, body: '{"mode":', expected: 400 },
  {
    ...MODE,
    title: "a mode that is none is refused",
    headers: signed,
    body: '{"mode":"cheapest"}',
    expected: 400,
  },
  {
    ...MODE,
    title: "an unknown member is refused",
    headers: signed,
    body: '{"mode":"local","x":1}',
    expected: 400,
  },
  { title: "a page of 101 is refused", path: "/api/v1/requests?limit=101", expected: 400 },
  { title: "a misspelled filter is refused", path: "/api/v1/requests?usr=alice", expected: 400 },
  {
    title: "a body over 256 kB is refused",
    method: "POST",
    path: "/api/v1/policy/check",
    headers: JSON_TYPE,
    body: TOO_LARGE,
    expected: 413,
  },
  {
    title: "a body over 256 kB in chunks is refused",
    method: "POST",
    path: "/api/v1/policy/check",
    headers: { ...JSON_TYPE, "transfer-encoding": "chunked" },
    body: TOO_LARGE,
    expected: 413,
  },
  {
    title: "a small body in chunks passes",
    method: "POST",
    path: "/api/v1/policy/check",
    headers: { ...JSON_TYPE, "transfer-encoding": "chunked" },
    body: '{"text":"a"}',
    expected: 200,
  },
];

for (const { title, expected, ...sent } of table) {
  test(title, async (t) => {
    const { house, port } = await opened(t);
    const reply = await exchange(port, sent);
    t.is(reply.status, expected, reply.text);
    if (expected !== 200) {
      t.is(reply.headers["content-type"], "application/problem+json");
      t.is(Problem.parse(JSON.parse(reply.text)).status, expected);
      t.deepEqual(house.heard.modes, []);
    }
    t.is(reply.headers["access-control-allow-origin"], sent.headers?.origin === PAGE ? PAGE : undefined);
  });
}

const PREFLIGHT = {
  "access-control-request-method": "PUT",
  "access-control-request-headers": "authorization",
};

test("a page that the policy lists is told that it may call, and with what", async (t) => {
  const { port, house } = await opened(t);
  const asked = { method: "OPTIONS", path: "/api/v1/mode", headers: { origin: PAGE, ...PREFLIGHT } };
  const { status, headers } = await exchange(port, asked);
  t.is(status, 204);
  t.like(headers, {
    "access-control-allow-origin": PAGE,
    "access-control-allow-headers": "authorization, content-type",
    "access-control-allow-methods": "GET, HEAD, POST, PUT",
    vary: "Origin",
  });
  t.deepEqual(house.heard.modes, []);
  const api = await exchange(port, { path: "/api/openapi.json" });
  const methods = Object.values(JSON.parse(api.text).paths).flatMap((path) => Object.keys(path as object));
  t.deepEqual([...new Set(methods)].sort(), ["get", "post", "put"]);
});

test("a listed page reads what it asked for and why it was refused; another is told nothing", async (t) => {
  const { port } = await opened(t);
  for (const path of ["/api/v1/status", "/api/v1/requests/r-404", "/nothing", "/metrics"]) {
    const { headers } = await exchange(port, { path, headers: { origin: PAGE } });
    t.is(headers["access-control-allow-origin"], PAGE, path);
    t.is(headers.vary, "Origin");
    t.is(headers["cross-origin-resource-policy"], undefined);
    t.is((await exchange(port, { path })).headers["cross-origin-resource-policy"], "same-origin");
  }
  const unsigned = await exchange(port, { ...MODE, headers: { origin: PAGE, ...JSON_TYPE } });
  t.is(unsigned.status, 401);
  t.is(unsigned.headers["access-control-allow-origin"], PAGE);
  for (const origin of ["http://comfy.example", `${PAGE}.evil.example`, "http://localhost:PORT", "null"]) {
    for (const method of ["GET", "OPTIONS"]) {
      const { headers } = await exchange(port, { method, headers: { origin, ...PREFLIGHT } });
      const told = Object.keys(headers).filter((name) => name.startsWith("access-control-"));
      t.deepEqual(told, [], `${method} ${origin}`);
    }
  }
});

async function opened(t: ExecutionContext, anonymous: "loopback" | "nobody" = "loopback") {
  const house = houseOf();
  const { admin, port } = await openAdmin(house, anonymous);
  t.teardown(() => admin.close());
  return { house, port };
}

test("whoever lacks the token is told where it is", async (t) => {
  const { port } = await opened(t);
  const reply = await exchange(port, { ...MODE, headers: JSON_TYPE });
  t.true(Problem.parse(JSON.parse(reply.text)).detail.includes(TOKEN_PATH));
  t.is(reply.headers["www-authenticate"], 'Bearer realm="budgetguard"');
});

test("two Host headers are refused", async (t) => {
  const { port } = await opened(t);
  const text = await raw(
    port,
    `GET /healthz HTTP/1.1\r\nHost: localhost:${port}\r\nHost: evil.example\r\nConnection: close\r\n\r\n`,
  );
  t.regex(text, /^HTTP\/1\.1 4\d\d /);
});

test("what is not HTTP is answered with a problem, and the surface goes on serving", async (t) => {
  const { port } = await opened(t);
  t.regex(await raw(port, "\u0016\u0003\u0001 hello\r\n\r\n"), /^HTTP\/1\.1 400 [\s\S]*"bad_request"/);
  const long = `GET / HTTP/1.1\r\nHost: localhost:${port}\r\nX: ${"x".repeat(20_000)}\r\n\r\n`;
  t.regex(await raw(port, long), /^HTTP\/1\.1 431 /);
  t.is((await exchange(port, {})).status, 200);
});

function raw(port: number, text: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect({ host: "127.0.0.1", port });
  let got = "";
  socket.setEncoding("utf8");
  socket.on("data", (piece: string) => {
    got += piece;
  });
  socket.on("error", () => resolve(got));
  socket.on("close", () => resolve(got));
  socket.write(text);
  return promise;
}

test("every reply forbids sniffing, storing, scripts and framing", async (t) => {
  const { port } = await opened(t);
  for (const sent of [
    {},
    { path: "/nothing" },
    { path: "/metrics" },
    { headers: { host: "evil.example" } },
    { headers: { host: "a b" } },
  ]) {
    const { headers } = await exchange(port, sent);
    t.is(headers["x-content-type-options"], "nosniff");
    t.is(headers["cache-control"], "no-store");
    t.is(headers["content-security-policy"], "default-src 'none'; frame-ancestors 'none'");
  }
});

test("no GET changes anything", async (t) => {
  const { house, port } = await opened(t);
  for (const path of [
    "/api/v1/mode?mode=local",
    "/api/v1/requests/r-3/cancel",
    "/api/v1/tokens",
    "/api/v1/spending?stopped=true",
    "/api/v1/estimate",
  ]) {
    await exchange(port, { path, headers: ADMIN });
  }
  t.deepEqual(house.heard, { spend: [], modes: [], cancelled: [], tokens: [], stops: [] });
});

test("behind a proxy nobody is anonymous, and nobody is told where the admin token lies", async (t) => {
  const { port } = await opened(t, "nobody");
  for (const path of ["/api/v1/status", "/api/v1/requests/r-1", "/metrics"]) {
    const reply = await exchange(port, { path });
    t.is(reply.status, 401, path);
    t.false(reply.text.includes(TOKEN_PATH));
    t.is((await exchange(port, { path, headers: ADMIN })).status, 200, path);
  }
  t.is((await exchange(port, { path: "/readyz" })).status, 200);
});

test("only this machine may ask without a token", (t) => {
  const here = ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"];
  const elsewhere = [
    "192.168.1.5",
    "::ffff:192.168.1.5",
    "0.0.0.0",
    "::",
    "fe80::1",
    "localhost",
    "",
    undefined,
  ];
  for (const address of here) t.true(isLoopback(address), address);
  for (const address of elsewhere) t.false(isLoopback(address), address);
});

test("a caller whose address is not known to be this machine's needs a token", async (t) => {
  const { admin, port } = await openAdmin(houseOf());
  t.teardown(() => admin.close());
  const ask = (headers: Headers) =>
    admin.fetch(new Request(`http://localhost:${port}/api/v1/status`, { headers }));
  const host = `localhost:${port}`;
  t.is((await ask({ host })).status, 401);
  t.is((await ask({ host, ...ADMIN })).status, 200);
});
