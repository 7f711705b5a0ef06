// What the client makes of a daemon that is away, slow, or something else.

import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import test, { type ExecutionContext } from "ava";
import { ApiError, BudgetGuardClient, DaemonUnreachable, UnexpectedReply } from "../../src/sdk/client.ts";
import { CERTIFICATE, KEY } from "../support/self-signed.ts";
import { listen, portOf } from "../support/sockets.ts";

async function serve(t: ExecutionContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("nobody there is unreachable, and says how to start it", async (t) => {
  const baseUrl = await serve(t, (_, response) => response.socket?.destroy());
  const error = await t.throwsAsync(new BudgetGuardClient({ baseUrl }).status(), {
    instanceOf: DaemonUnreachable,
  });
  t.regex(error.message, /budgetguard serve/);
  t.is(error.code, "unreachable");
});

test("a certificate that nobody vouches for is told as that, with the cure", async (t) => {
  const server = createTlsServer({ cert: CERTIFICATE, key: KEY });
  t.teardown(() => server.close());
  await listen(server);
  const baseUrl = `https://localhost:${portOf(server)}`;
  const error = await t.throwsAsync(new BudgetGuardClient({ baseUrl }).status(), {
    instanceOf: DaemonUnreachable,
  });
  t.is(error.code, "untrusted");
  t.regex(error.message, /certificate that is not trusted \(\w+\): .* NODE_EXTRA_CA_CERTS/);
});

test("an answer that does not come in time is unreachable", async (t) => {
  const baseUrl = await serve(t, () => {});
  const client = new BudgetGuardClient({ baseUrl, timeoutMs: 50 });
  const error = await t.throwsAsync(client.status(), { instanceOf: DaemonUnreachable });
  t.is(error.code, "timeout");
  t.regex(error.message, /^something is at http:\S+, and does not answer within 0\.05 s: it is busy/);
});

test("an answer that stops in the middle is unreachable", async (t) => {
  const baseUrl = await serve(t, (_, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("{");
    setTimeout(() => response.socket?.destroy(), 20);
  });
  const error = await t.throwsAsync(new BudgetGuardClient({ baseUrl }).status(), {
    instanceOf: DaemonUnreachable,
  });
  t.is(error.code, "broken_off");
});

test("another program is not taken for the daemon", async (t) => {
  const baseUrl = await serve(t, (_, response) => response.end("<html>"));
  await t.throwsAsync(new BudgetGuardClient({ baseUrl }).status(), { instanceOf: UnexpectedReply });
});

test("an error without a problem still has its status", async (t) => {
  const baseUrl = await serve(t, (_, response) => response.writeHead(502).end("bad gateway"));
  const error = await t.throwsAsync(new BudgetGuardClient({ baseUrl }).status(), { instanceOf: ApiError });
  t.is(error.status, 502);
  t.is(error.body, undefined);
});

test("a redirect is not followed: it would carry the token away", async (t) => {
  const asked: string[] = [];
  const thief = await serve(t, (request, response) => {
    asked.push(request.url ?? "");
    response.end("{}");
  });
  const baseUrl = await serve(t, (_, response) => response.writeHead(302, { location: thief }).end());
  await t.throwsAsync(new BudgetGuardClient({ baseUrl, token: "secret" }).status());
  t.deepEqual(asked, []);
});

test("the token, the query and odd ids are sent as they are meant", async (t) => {
  const asked: (string | undefined)[][] = [];
  const baseUrl = await serve(t, (request, response) => {
    asked.push([request.method, request.url, request.headers.authorization]);
    response.end("{}");
  });
  const client = new BudgetGuardClient({ baseUrl: `${baseUrl}/`, token: "secret" });
  await t.throwsAsync(client.requests({ limit: 5, user: "a&b" }));
  await t.throwsAsync(client.request("../status"));
  t.deepEqual(asked, [
    ["GET", "/api/v1/requests?limit=5&user=a%26b", "Bearer secret"],
    ["GET", "/api/v1/requests/..%2Fstatus", "Bearer secret"],
  ]);
});
