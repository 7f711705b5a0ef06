// A name of the policy may be re-pointed by whoever answers for it: what it resolved to is checked, not only
// what is written.

import type { LookupAddress } from "node:dns";
import test, { type ExecutionContext } from "ava";
import { Pools } from "../../src/proxy/pools.ts";
import type { Lookup } from "../../src/proxy/upstream-address.ts";
import { freePort } from "../support/free-port.ts";
import { startGateway } from "../support/gateway.ts";
import { ask } from "../support/gateway-client.ts";
import { relayRig } from "../support/relay-rig.ts";
import { rawClient, rawUpstream } from "../support/sockets.ts";

/** Answers each question with the next list of addresses, the last one for ever. */
function names(...answers: readonly (readonly string[])[]) {
  const asked: string[] = [];
  const lookup: Lookup = (hostname, _options, callback) => {
    const addresses = answers[Math.min(asked.length, answers.length - 1)] ?? [];
    asked.push(hostname);
    const found: LookupAddress[] = addresses.map((address) => ({
      address,
      family: address.includes(":") ? 6 : 4,
    }));
    callback(null, found);
  };
  return { asked, lookup };
}

/** Each connection serves one request. */
function upstream(t: ExecutionContext) {
  const serving = rawUpstream((socket) => {
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  });
  t.teardown(async () => (await serving).close());
  return serving;
}

async function through(t: ExecutionContext, url: string, lookup: Lookup) {
  const rig = await relayRig(url, { lookup });
  t.teardown(() => rig.close());
  return async () => {
    const client = await rawClient(rig.port, `GET /v1/x HTTP/1.1\r\nHost: localhost:${rig.port}\r\n\r\n`);
    const { relayed, clock } = await rig.next();
    const text = await client.until(/\r\n\r\n(ok|.*\}$)/s);
    client.socket.destroy();
    return { relayed, clock, text };
  };
}

const FORBIDDEN = [
  "169.254.169.254",
  "169.254.170.2",
  "::ffff:169.254.169.254",
  "fe80::1%lo",
  "fd00:ec2::254",
  "64:ff9b::a9fe:a9fe",
  "100.100.100.200",
  "168.63.129.16",
  "0.0.0.0",
  "::",
];

for (const address of FORBIDDEN) {
  test(`a name that resolves to ${address} is sent nothing`, async (t) => {
    const { lookup } = names([address]);
    const { relayed, clock, text } = await (await through(t, "http://nim.studio:8000", lookup))();
    t.like(relayed, { kind: "unsent", why: "unreachable" });
    t.deepEqual(clock, []);
    t.regex(text, /^HTTP\/1.1 502 BudgetGuard: .*nim\.studio, which is at .*may not be an upstream/);
    t.true(text.includes(address));
  });
}

test("one forbidden address among good ones is enough", async (t) => {
  const serving = await upstream(t);
  const { lookup } = names(["127.0.0.1", "169.254.169.254"]);
  const { port } = new URL(serving.url);
  const { relayed } = await (await through(t, `http://nim.studio:${port}`, lookup))();
  t.like(relayed, { kind: "unsent", why: "unreachable" });
  t.is(serving.connections(), 0);
});

test("each connection is made to the addresses that were checked for it, however often the name turns", async (t) => {
  const serving = await upstream(t);
  const { asked, lookup } = names(["127.0.0.1"], ["169.254.169.254"], ["127.0.0.1"]);
  const { port } = new URL(serving.url);
  const asks = await through(t, `http://nim.studio:${port}`, lookup);
  const kinds = [(await asks()).relayed.kind, (await asks()).relayed.kind, (await asks()).relayed.kind];
  t.deepEqual(kinds, ["ended", "unsent", "ended"]);
  t.is(serving.connections(), 2);
  t.is(asked.length, 3, "no connection asks twice");
});

test("an address that no policy named, as a provider may tell one, is checked too", async (t) => {
  for (const host of ["169.254.169.254", "[fe80::1]", "[::ffff:a9fe:a9fe]", "0.0.0.0"]) {
    const pools = new Pools(() => t.fail("an address is not looked up"));
    const error = await t.throwsAsync(
      pools.of(`http://${host}:80`, 1000).request({ path: "/", method: "GET" }),
    );
    t.regex(error?.message ?? "", /may not be an upstream/, host);
    await pools.destroy();
  }
});

test("an upstream's key goes to its own address alone: not where it redirects, not where the next one is", async (t) => {
  const heads: string[] = [];
  const other = await rawUpstream((socket, head) => {
    heads.push(head);
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  });
  const keyed: string[] = [];
  const redirecting = await rawUpstream((socket, head) => {
    keyed.push(head);
    socket.end(
      `HTTP/1.1 307 Go\r\nLocation: ${other.url}/v1/infer\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
    );
  });
  process.env.BUDGETGUARD_TEST_KEY = "canary-of-the-key";
  const key = "auth: { bearer: { env: BUDGETGUARD_TEST_KEY } }, price: { usd_per_request: 0.01 }";
  const gateway = await startGateway(`version: 1
mode: lowest_price
upstreams:
  gone: { provider: other, url: "http://127.0.0.1:${await freePort()}", ${key} }
  redirects: { provider: other, url: "${redirecting.url}", ${key} }
  next: { provider: other, url: "${other.url}", price: { usd_per_request: 0.02 } }
models:
  falls-over: { upstreams: [gone, next] }
  is-led-away: { upstreams: [redirects] }
`);
  t.teardown(() => Promise.all([gateway.stop(), other.close(), redirecting.close()]));
  const body = '{"prompt":"x"}';
  t.is((await ask(`${gateway.url}/m/falls-over/v1/infer`, { body })).status, 200);
  t.is((await ask(`${gateway.url}/m/is-led-away/v1/infer`, { body })).status, 502);
  t.is(keyed.length, 1);
  t.regex(keyed.join(), /\r\nauthorization: Bearer canary-of-the-key\r\n/i);
  t.is(heads.length, 1, "the redirect was followed by nobody");
  t.notRegex(heads.join(), /canary|authorization/i);
});
