// The gateway off loopback: TLS of its own, client tokens, and a certificate that is renewed while it serves.

import { createHash } from "node:crypto";
import { renameSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import test, { type ExecutionContext } from "ava";
import { type DaemonOptions, startDaemon } from "../../src/daemon/main.ts";
import { type Nim, startNim } from "../../src/demo/nim.ts";
import { freePort } from "../support/free-port.ts";
import { ask, eventually, imageBody } from "../support/gateway-client.ts";
import { makeFolder } from "../support/gateway-folder.ts";
import { runGateway, spawnGateway } from "../support/gateway-process.ts";
import { RENEWED_CERTIFICATE, RENEWED_KEY } from "../support/odd-certificates.ts";
import { CERTIFICATE, KEY } from "../support/self-signed.ts";

const TOKEN = "carols-own-token";
const CAROL = { Authorization: `Bearer ${TOKEN}` };

const policy = (nim: Nim, port: number, identity = "token") => `version: 1
mode: local
identity: ${identity}
upstreams:
  flux-local: { provider: local, url: "${nim.url}" }
models:
  flux-dev: { upstreams: [flux-local], port: ${port} }
clients:
  carol: { token_sha256: ${createHash("sha256").update(TOKEN).digest("hex")}, role: use }
`;

async function begin(t: ExecutionContext, identity?: string) {
  const nim = await startNim({ scale: 0.01 });
  const modelPort = await freePort();
  const folder = makeFolder(policy(nim, modelPort, identity));
  const [tlsCert, tlsKey] = [join(folder.path, "cert.pem"), join(folder.path, "key.pem")];
  const save = (cert: string, key: string) => {
    writeFileSync(tlsCert, cert);
    writeFileSync(`${tlsKey}.new`, key, { mode: 0o600 });
    renameSync(`${tlsKey}.new`, tlsKey);
  };
  save(CERTIFICATE, KEY);
  t.teardown(async () => {
    await nim.close();
    folder.remove();
  });
  return { nim, folder, modelPort, save, tlsCert, tlsKey };
}

async function start(t: ExecutionContext, options: Partial<DaemonOptions>) {
  const logged: string[] = [];
  const begun = await begin(t);
  const { folder, tlsCert, tlsKey } = begun;
  const started = await startDaemon({
    policyPath: folder.policyPath,
    dataPath: folder.dataPath,
    ...{ listen: "0.0.0.0:0", admin: "0.0.0.0:0", version: "0", tlsCert, tlsKey },
    log: (line) => logged.push(line),
    accessLog: () => undefined,
    ...options,
  });
  if (started.kind === "refused") throw new Error(started.lines.join("\n"));
  const { daemon } = started;
  t.teardown(() => daemon.stop(0));
  const open = daemon.listening.find(({ model }) => model === undefined);
  const port = Number(/\d+$/.exec(open?.address ?? "")?.[0]);
  return { ...begun, daemon, port, logged, headers: { Authorization: `Bearer ${daemon.adminToken}` } };
}

interface Told {
  readonly status: number;
  readonly body: string;
  readonly fingerprint: string;
}

/** By https, as a client that trusts both certificates of these tests. */
function askTls(
  port: number,
  path: string,
  headers: Record<string, string>,
  more: { body?: string; agent?: Agent } = {},
) {
  return new Promise<Told>((resolve, reject) => {
    const ca = [CERTIFICATE, RENEWED_CERTIFICATE];
    const to = { host: "127.0.0.1", servername: "localhost", port, path, ca, agent: more.agent ?? false };
    const type = { "Content-Type": "application/json", Host: `localhost:${port}` };
    const method = more.body === undefined ? "GET" : "POST";
    const asked = request({ ...to, method, headers: { ...type, ...headers } }, (response) => {
      const { fingerprint256 } = (response.socket as TLSSocket).getPeerCertificate();
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const body = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, body, fingerprint: fingerprint256 });
      });
    });
    asked.on("error", reject);
    asked.end(more.body);
  });
}

test("off loopback it speaks TLS and asks for tokens; a model's port stays this machine's, in plain http", async (t) => {
  const { nim, daemon, port, modelPort, headers } = await start(t, {});
  t.is(daemon.listening.find(({ model }) => model === undefined)?.scheme, "https");
  t.regex(daemon.admin, /^https:\/\/0\.0\.0\.0:\d+$/);
  const adminPort = Number(new URL(daemon.admin).port);
  const body = imageBody();
  t.is((await askTls(port, "/v1/infer", {}, { body })).status, 401);
  t.is(nim.requests.length, 0);
  t.is((await askTls(port, "/v1/infer", CAROL, { body })).status, 200);
  t.is((await askTls(port, "/v1/health/ready", {})).status, 200);
  t.is((await askTls(port, "/v1/infer", { ...CAROL, Host: "evil.example" }, { body })).status, 421);
  t.is((await askTls(port, "/v1/infer", { ...CAROL, Origin: "https://evil.example" }, { body })).status, 403);
  t.is(nim.requests.length, 1);
  t.is((await askTls(adminPort, "/api/v1/status", { Host: "evil.example" })).status, 421);
  const status = await askTls(adminPort, "/api/v1/status", headers);
  t.is(status.status, 200);
  t.deepEqual(JSON.parse(status.body).listeners.map(({ scheme }: { scheme: string }) => scheme)[0], "https");
  const local = await ask(`http://127.0.0.1:${modelPort}/v1/health/ready`, { method: "GET" });
  t.is(local.status, 200);
});

test("with TLS but without client tokens it does not start off loopback", async (t) => {
  const { folder, tlsCert, tlsKey } = await begin(t, "trusted");
  const args = ["--tls-cert", tlsCert, "--tls-key", tlsKey];
  const { code, stderr } = await runGateway(folder, { listen: "0.0.0.0:0", args });
  t.is(code, 1);
  t.regex(stderr, /identity: must be token while the gateway listens off loopback/);
});

test("half a pair, or one that cannot be used, keeps it from starting, in one line", async (t) => {
  const { folder, tlsCert, tlsKey, save } = await begin(t);
  const refusal = async (args: string[]) => {
    const { code, stderr } = await runGateway(folder, { args });
    t.is(code, 1);
    return stderr;
  };
  t.regex(await refusal(["--tls-cert", tlsCert]), /--tls-cert needs --tls-key beside it/);
  t.regex(await refusal(["--tls-key", tlsKey]), /--tls-key needs --tls-cert beside it/);
  save(CERTIFICATE, RENEWED_KEY);
  t.regex(await refusal(["--tls-cert", tlsCert, "--tls-key", tlsKey]), /cert\.pem is not that of the key/);
});

test("the files can be named in the environment, and SIGHUP reads them again", async (t) => {
  const { folder, tlsCert, tlsKey, save } = await begin(t);
  const environment = { BUDGETGUARD_TLS_CERT: tlsCert, BUDGETGUARD_TLS_KEY: tlsKey };
  const gateway = await spawnGateway(folder, { listen: "0.0.0.0:0", environment });
  t.teardown(async () => {
    gateway.signal("SIGTERM");
    await gateway.ended;
  });
  const port = Number(new URL(gateway.url).port);
  const before = await askTls(port, "/v1/health/ready", {});
  save(RENEWED_CERTIFICATE, RENEWED_KEY);
  gateway.signal("SIGHUP");
  const after = await eventually("the renewed certificate is shown", async () => {
    const told = await askTls(port, "/v1/health/ready", {});
    return told.fingerprint !== before.fingerprint && told;
  });
  t.is(after.status, 200);
});

test("a renewed certificate is shown to who comes next, and who is connected goes on", async (t) => {
  const { port, save, logged } = await start(t, { admin: "127.0.0.1:0" });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  const before = await askTls(port, "/v1/health/ready", {}, { agent });
  save(RENEWED_CERTIFICATE, RENEWED_KEY);
  const renewed = await eventually("the renewed certificate is shown", async () => {
    const told = await askTls(port, "/v1/health/ready", {});
    return told.fingerprint !== before.fingerprint && told;
  });
  t.is(renewed.status, 200);
  t.is((await askTls(port, "/v1/health/ready", {}, { agent })).fingerprint, before.fingerprint);
  // A pair that does not belong together stays out of force, however often it is looked at.
  save(CERTIFICATE, RENEWED_KEY);
  const said = () => logged.filter((line) => line.includes("the certificate stays as it was"));
  await eventually("the bad pair is told of", () => said().length > 0);
  t.is((await askTls(port, "/v1/health/ready", {})).fingerprint, renewed.fingerprint);
  t.is(said().length, 1);
  save(CERTIFICATE, KEY);
  await eventually("the good pair is in force", async () => {
    return (await askTls(port, "/v1/health/ready", {})).fingerprint === before.fingerprint;
  });
});

test("a certificate that serves nobody is told of", async (t) => {
  const { daemon, logged } = await start(t, { listen: "localhost:0", admin: "localhost:0" });
  t.true(daemon.listening.every(({ scheme }) => scheme === "http"));
  t.is(logged.filter((line) => line.includes("--tls-cert serves nobody")).length, 1);
});
