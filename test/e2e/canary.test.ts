// One word in every credential, header, query and prompt, and in what an upstream answers: after requests have
// ended in every way that there is, it stands nowhere but in the replies that an upstream itself wrote.

import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { join } from "node:path";
import test from "ava";
import { assertNoCanary, assertNoCanaryAt, assertNoCanaryIn, CANARY, CANARY_ENV } from "../support/canary.ts";
import { COMMAND } from "../support/cli.ts";
import { ask, eventually, type Reply } from "../support/gateway-client.ts";
import { makeFolder } from "../support/gateway-folder.ts";
import { spawnGateway } from "../support/gateway-process.ts";
import { run } from "../support/program.ts";
import { listen, portOf } from "../support/sockets.ts";

const TOKEN = `${CANARY}-token`;

const POLICY = (url: string, secretFile: string) => `version: 1
mode: lowest_price
upstreams:
  by-env: { provider: other, url: "${url}", auth: { bearer: { env: BUDGETGUARD_TEST_SECRET } }, price: { usd_per_hour: 3.6 },
            timeouts: { first_byte: 300ms, idle: 300ms } }
  by-file: { provider: aws, url: "${url}", auth: { header: { name: X-Key, secret: { file: "${secretFile}" } } }, price: { usd_per_million_tokens: { input: 1, output: 1 } } }
  down: { provider: gcp, url: "http://127.0.0.1:1", auth: { bearer: { env: BUDGETGUARD_TEST_SECRET } }, price: { usd_per_request: 0.01 } }
models:
  image: { upstreams: [by-env], estimate: 2s }
  chat: { upstreams: [by-file] }
  gone: { upstreams: [down] }
budgets:
  - { id: all, limit_usd: 100, period: daily, on_limit: block }
  - { id: cut, when: { user: cut }, limit_usd: 0.003, period: infinite, on_limit: block, overrun: cut }
  - { id: poor, when: { user: poor }, limit_usd: 0.000001, period: daily, on_limit: block }
clients:
  owner: { token_sha256: "${createHash("sha256").update(TOKEN).digest("hex")}", role: use }
`;

/** How the upstream answers, by the X-Case that the client sends along. */
const ANSWERS: Record<string, (response: ServerResponse) => void> = {
  relayed: (response) => {
    const secret = { "set-cookie": CANARY, "x-echo": CANARY, "content-type": "application/json" };
    response.writeHead(200, CANARY, secret);
    response.end(
      JSON.stringify({ choices: [], echo: CANARY, usage: { prompt_tokens: 1, completion_tokens: 1 } }),
    );
  },
  error: (response) => {
    response.writeHead(401, `no such key ${CANARY}`, { "content-type": "application/json" });
    response.end(`{"detail":"no such key ${CANARY}"}`);
  },
  page: (response) => void response.writeHead(503, `no such key ${CANARY}`).end(`<p>${CANARY}</p>`),
  redirect: (response) =>
    void response.writeHead(302, CANARY, { location: `http://127.0.0.1/?${CANARY}` }).end(),
  garbage: (response) => void response.socket?.end(`${CANARY} is no HTTP\r\n\r\n`),
  head: (response) => void response.socket?.write(`HTTP/1.1 200 OK\r\nX-${CANARY}: \x01${CANARY}\r\n\r\n`),
  truncated: (response) => {
    response.writeHead(200, { "content-length": 1000 });
    response.write(CANARY, () => response.socket?.destroy());
  },
  stalled: (response) => void response.writeHead(200, { "content-length": 1000 }).write(CANARY),
  silent: () => {},
};

test("after every kind of ending no secret, header or prompt is in a log, a metric, the ledger or the API", async (t) => {
  const server = createServer((request, response) => {
    request.resume();
    ANSWERS[String(request.headers["x-case"])]?.(response);
  });
  await listen(server);
  const folder = makeFolder("");
  const secretFile = join(folder.path, "key");
  writeFileSync(secretFile, CANARY, { mode: 0o600 });
  const policy = POLICY(`http://127.0.0.1:${portOf(server)}`, secretFile);
  folder.save(policy);
  const gateway = await spawnGateway(folder);
  t.teardown(() => {
    gateway.signal("SIGKILL");
    server.closeAllConnections();
    server.close();
    folder.remove();
  });

  const send = (kind: string, { path = "/m/image/v1/infer", user = "", ...more } = {}): Promise<Reply> =>
    ask(`${gateway.url}${path}?key=${CANARY}`, {
      body: JSON.stringify({ prompt: CANARY, messages: [{ role: "user", content: CANARY }] }),
      headers: {
        ...(user === "" && { Authorization: `Bearer ${TOKEN}` }),
        ...(user !== "" && { "X-BudgetGuard-User": user }),
        "X-API-Key": CANARY,
        Cookie: CANARY,
        "Proxy-Authorization": `Basic ${Buffer.from(`a:${CANARY}`).toString("base64")}`,
        [`X-${CANARY}`]: CANARY,
        Referer: `http://127.0.0.1/${CANARY}`,
        "X-Case": kind,
      },
      ...more,
    });
  // These have words of their upstream's in them; all others are the gateway's own.
  const upstreams = ["relayed", "error", "page", "truncated", "stalled"];
  for (const kind of Object.keys(ANSWERS)) {
    for (const path of ["/m/image/v1/infer", "/m/chat/v1/chat/completions", "/m/chat/v1/metadata"]) {
      if (kind === "silent" && path !== "/m/image/v1/infer") continue;
      if (kind === "stalled" && path !== "/m/image/v1/infer") continue;
      const reply = await send(kind, { path });
      if (!upstreams.includes(kind)) assertNoCanary(`the answer to ${kind}`, `${reply.reason}${reply.body}`);
      assertNoCanary(`the headers of ${kind}`, `${reply.headers["set-cookie"]}`);
    }
  }
  const problems: Reply[] = [
    await send("relayed", { path: "/m/gone/v1/infer" }),
    await send("relayed", { user: "poor" }),
    await send("silent", { user: "cut" }),
    await send("relayed", { path: "/nowhere" }),
    await ask(`${gateway.url}/m/image/v1/infer`, { body: `{"prompt": "${CANARY}` }),
    await ask(`${gateway.url}/m/image/v1/infer`, { headers: { Origin: `http://${CANARY}.example` } }),
    await ask(`${gateway.url}/m/image/v1/infer`, { headers: { Expect: CANARY } }),
    await ask(`${gateway.url}/m/image/v1/infer`, { headers: { "Content-Encoding": CANARY } }),
  ];
  for (const { reason, body, status } of problems) assertNoCanary(`a ${status}`, `${reason}${body}`);
  const leaving = new AbortController();
  server.once("request", () => leaving.abort());
  const left = ask(`${gateway.url}/m/image/v1/infer`, {
    headers: { "X-Case": "silent" },
    signal: leaving.signal,
  });
  await left;

  // A literal secret in the policy is a mistake, and the mistake is told without it.
  folder.save(policy.replace("{ env: BUDGETGUARD_TEST_SECRET }", `"${CANARY}"`));
  gateway.signal("SIGHUP");
  await eventually("the broken policy is told", () =>
    gateway.logged().some(({ level }) => Number(level) >= 40),
  );
  folder.save(policy.replace("limit_usd: 100", "limit_usd: 200"));
  gateway.signal("SIGHUP");

  const outcomes = await eventually("all have ended", async () => {
    const { items } = await gateway.client.requests({ limit: 100 });
    return (
      items.every(({ outcome }) => outcome !== "running") && new Set(items.map(({ outcome }) => outcome))
    );
  });
  for (const wanted of ["aborted", "failed", "refused", "relayed", "truncated"] as const)
    t.true(outcomes.has(wanted), wanted);
  const ready = gateway.logged().find(({ msg }) => msg === "ready");
  await assertNoCanaryAt(String(ready?.admin), "");
  assertNoCanaryIn(folder.dataPath);
  for (const args of [
    ["ledger", "export"],
    ["ledger", "export", "--format", "csv"],
  ]) {
    const exported = await run(process.execPath, [COMMAND, ...args, "--data", folder.dataPath], {
      env: { ...process.env, ...CANARY_ENV },
    });
    t.is(exported.code, 0, exported.stderr);
    assertNoCanary(args.join(" "), exported.stdout + exported.stderr);
  }
  gateway.signal("SIGTERM");
  // Its end searches what it printed, and its folder once more.
  t.is((await gateway.ended).code, 0);
});
