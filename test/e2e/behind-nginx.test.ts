// docs/behind-nginx.md, run: Debian's nginx with the page's configuration, in front of a gateway that is
// started as the page says. Only ports and the places of files are this test's own.

import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { freePort } from "../support/free-port.ts";
import { eventually } from "../support/gateway-client.ts";
import { makeFolder } from "../support/gateway-folder.ts";
import { spawnGateway } from "../support/gateway-process.ts";
import { needs } from "../support/real.ts";
import { CERTIFICATE, KEY } from "../support/self-signed.ts";
import { type RawUpstream, rawUpstream, within } from "../support/sockets.ts";

const PAGE = readFileSync(fileURLToPath(new URL("../../docs/behind-nginx.md", import.meta.url)), "utf8");
const HOST = "gateway.studio.lan";
const ADMIN_HOST = "gateway.studio.lan:8443";
const TOKEN = "carols-own-token";
const CAROL = { Authorization: `Bearer ${TOKEN}` };

function block(language: string): string {
  return new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "s").exec(PAGE)?.[1] ?? "";
}

const policy = (upstream: RawUpstream) => `${block("yaml")}
mode: lowest_price
upstreams:
  nim: { provider: other, url: "${upstream.url}", price: { usd_per_request: 1 } }
models:
  flux-dev: { upstreams: [nim] }
clients:
  carol: { token_sha256: ${createHash("sha256").update(TOKEN).digest("hex")}, role: use }
budgets:
  - { id: little, when: { workflow: poor }, limit_usd: 0.5, period: daily, on_limit: block }
`;

interface Front {
  readonly port: number;
  readonly adminPort: number;
  readonly adminToken: string;
}

async function begin(t: ExecutionContext, nginx: string, upstream: RawUpstream): Promise<Front> {
  const folder = makeFolder(policy(upstream));
  const gateway = await spawnGateway(folder, { args: ["--behind-proxy"] });
  const [port, adminPort] = [await freePort(), await freePort()];
  const places: [page: string, own: string][] = [
    ["127.0.0.1:7070", new URL(gateway.url).host],
    ["127.0.0.1:7071", new URL(gateway.admin).host],
    ["listen 443 ssl", `listen 127.0.0.1:${port} ssl`],
    ["listen 8443 ssl", `listen 127.0.0.1:${adminPort} ssl`],
    ["/etc/nginx/tls/fullchain.pem", join(folder.path, "cert.pem")],
    ["/etc/nginx/tls/privkey.pem", join(folder.path, "key.pem")],
  ];
  let page = block("nginx");
  for (const [theirs, own] of places) {
    t.is(page.split(theirs).length, 2, `${theirs} stands once on the page`);
    page = page.replace(theirs, own);
  }
  const web = startNginx(nginx, folder.path, page);
  t.teardown(async () => {
    web.kill("SIGTERM");
    gateway.signal("SIGTERM");
    await Promise.all([once(web, "close"), gateway.ended]);
    await upstream.close();
    folder.remove();
  });
  await eventually("nginx listens", async () => {
    if (web.exitCode !== null) throw new Error(readFileSync(join(folder.path, "error.log"), "utf8"));
    return asked(port, "/v1/health/live").then(
      () => true,
      () => false,
    );
  });
  return { port, adminPort, adminToken: gateway.adminToken };
}

function startNginx(nginx: string, folder: string, page: string): ChildProcess {
  writeFileSync(join(folder, "cert.pem"), CERTIFICATE);
  writeFileSync(join(folder, "key.pem"), KEY, { mode: 0o600 });
  writeFileSync(join(folder, "budgetguard.conf"), page);
  mkdirSync(join(folder, "tmp"));
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((each) => `  ${each}_temp_path ${join(folder, "tmp")};`)
    .join("\n");
  const main = `pid ${join(folder, "nginx.pid")};
daemon off;
worker_processes 1;
events {}
http {
  access_log off;
${temporary}
  include ${join(folder, "budgetguard.conf")};
}
`;
  writeFileSync(join(folder, "nginx.conf"), main);
  const args = ["-p", folder, "-c", join(folder, "nginx.conf"), "-e", join(folder, "error.log")];
  return spawn(nginx, args, { stdio: "ignore" });
}

interface Sent {
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** Resolves with the head; the body is read by whoever wants it. */
function asked(port: number, path: string, { headers = {}, body }: Sent = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const to = {
      host: "127.0.0.1",
      port,
      servername: "localhost",
      ca: CERTIFICATE,
      agent: false as const,
      path,
    };
    const all = {
      Host: HOST,
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...headers,
    };
    const sent = request({ ...to, method: body === undefined ? "GET" : "POST", headers: all }, resolve);
    sent.on("error", reject);
    sent.end(body);
  });
}

async function whole(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const OK = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

test(
  "tokens, Host names, refusals and the admin surface behind nginx are as the page says",
  needs("nginx", async (t, nginx) => {
    let served = 0;
    const upstream = await rawUpstream((socket) => {
      served++;
      socket.end(OK.replace("OK\r\n", "OK\r\nConnection: close\r\nX-Accel-Redirect: /v1/models\r\n"));
    });
    const { port, adminPort, adminToken } = await begin(t, nginx, upstream);
    const infer = async (headers: Record<string, string>) => {
      const response = await asked(port, "/v1/infer", { headers, body: "{}" });
      return {
        status: response.statusCode,
        reason: response.statusMessage,
        headers: response.headers,
        body: await whole(response),
      };
    };
    t.like(await infer({}), { status: 401 });
    t.like(await infer({ "X-BudgetGuard-User": "carol", "X-Forwarded-For": "127.0.0.1" }), { status: 401 });
    t.like(await infer({ ...CAROL, Host: "evil.example" }), { status: 421 });
    t.like(await infer({ ...CAROL, Origin: "https://evil.example" }), { status: 403 });
    t.is(served, 0);
    t.like(await infer(CAROL), { status: 200, body: "{}" }, "what the NIM says does not steer nginx");
    const refused = await infer({ ...CAROL, "X-BudgetGuard-Workflow": "poor" });
    t.is(refused.status, 402);
    t.regex(refused.reason ?? "", /^BudgetGuard: budget little has 0\.50? of 0\.50? USD left/);
    t.is(refused.headers["x-should-retry"], "false");
    t.is(served, 1);
    const admin = (headers: Record<string, string>) =>
      asked(adminPort, "/api/v1/status", { headers: { Host: ADMIN_HOST, ...headers } });
    const anonymous = await admin({});
    t.is(anonymous.statusCode, 401);
    t.false((await whole(anonymous)).includes("admin-token"));
    t.is((await admin({ Authorization: `Bearer ${adminToken}` })).statusCode, 200);
    t.is((await admin({ Authorization: `Bearer ${adminToken}`, Host: "evil.example" })).statusCode, 421);
  }),
);

test(
  "behind nginx each event of a stream comes before the next is sent",
  needs("nginx", async (t, nginx) => {
    const steps = Array.from({ length: 4 }, () => Promise.withResolvers<void>());
    const upstream = await rawUpstream(async (socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n");
      for (const [index, step] of steps.entries()) {
        await step.promise;
        socket.write(`data: ${index}\n\n`);
      }
      socket.end();
    });
    const { port } = await begin(t, nginx, upstream);
    const response = await within(
      10_000,
      asked(port, "/v1/chat/completions", { headers: CAROL, body: "{}" }),
      "head",
    );
    let seen = "";
    response.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
    });
    for (const [index, step] of steps.entries()) {
      step.resolve();
      await eventually(`event ${index}`, () => seen.includes(`data: ${index}\n\n`));
    }
    // Not `once`: the end may have come with the last event, before anybody listens for it.
    await eventually("the end", () => response.readableEnded);
    t.true(response.complete);
  }),
);

test(
  "behind nginx a reply that breaks off never looks whole, and a client that leaves ends its request",
  needs("nginx", async (t, nginx) => {
    const breaking = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    const upstream = await rawUpstream((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
      if (upstream.connections() === 1) void breaking.promise.then(() => socket.resetAndDestroy());
      else socket.once("close", () => gone.resolve());
    });
    const { port } = await begin(t, nginx, upstream);
    const cut = await asked(port, "/v1/infer", { headers: CAROL, body: "{}" });
    breaking.resolve();
    await t.throwsAsync(whole(cut));
    t.false(cut.complete);
    const left = await asked(port, "/v1/infer", { headers: CAROL, body: "{}" });
    left.destroy();
    await within(10_000, gone.promise, "the upstream is left");
    t.pass();
  }),
);
