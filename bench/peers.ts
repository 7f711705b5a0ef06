// Who is measured: the bare upstream, nginx where the machine has it, and the gateway with everything on.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { eventually } from "../test/support/gateway-client.ts";
import { freePort, type GatewayFolder } from "../test/support/gateway-folder.ts";
import { spawnGateway } from "../test/support/gateway-process.ts";
import { realPart } from "../test/support/real.ts";

export interface Peer {
  readonly name: string;
  readonly url: string;
  readonly pids: readonly number[];
  close(): Promise<void>;
}

const BUDGETS = Array.from(
  { length: 5 },
  (_, index) => `  - { id: budget-${index}, limit_usd: 1000000, period: daily, on_limit: block }\n`,
);

/** Five budgets cover each request; every hold and charge is durable. */
export const POLICY = (upstream: string) => `version: 1
upstreams:
  up: { provider: other, url: "${upstream}", price: { usd_per_request: 0.001 } }
models:
  flux-dev: { upstreams: [up] }
budgets:
${BUDGETS.join("")}`;

export async function startUpstream(): Promise<Peer> {
  const file = fileURLToPath(new URL("upstream.ts", import.meta.url));
  const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "inherit"] });
  const [port] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  return { name: "direct", url: `http://127.0.0.1:${port}`, pids: [pidOf(child)], close: () => end(child) };
}

export async function startOurs(folder: GatewayFolder): Promise<Peer> {
  const gateway = await spawnGateway(folder);
  const close = async () => {
    gateway.signal("SIGTERM");
    await gateway.ended;
  };
  return { name: "budgetguard", url: gateway.url, pids: [gateway.pid], close };
}

/** Undefined where nginx is missing, which is said. */
export async function startNginx(folder: GatewayFolder, upstream: string): Promise<Peer | undefined> {
  const nginx = await realPart("nginx");
  if (nginx.kind === "missing") {
    console.error(`nginx is not measured, it is missing: ${nginx.cure}`);
    return undefined;
  }
  const port = await freePort();
  const path = join(folder.path, "nginx.conf");
  writeFileSync(path, CONFIG(folder.path, new URL(upstream).host, port));
  const child = spawn(nginx.path, ["-c", path, "-e", "stderr"], { stdio: ["ignore", "ignore", "inherit"] });
  await eventually("nginx listens", () => isOpen(port));
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8");
  const pids = children.trim().split(" ").map(Number);
  return { name: "nginx", url: `http://127.0.0.1:${port}`, pids, close: () => end(child) };
}

const CONFIG = (folder: string, upstream: string, port: number) => `daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  proxy_buffers 8 64k;
  proxy_max_temp_file_size 0;
  keepalive_requests 1000000;
  upstream up { server ${upstream}; keepalive 64; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`;

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  const opened = await Promise.race([
    once(socket, "connect").then(() => true),
    once(socket, "close").then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return opened;
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error(`${child.spawnfile} did not start`);
  return child.pid;
}

async function end(child: ChildProcess): Promise<void> {
  const closed = once(child, "close");
  child.kill("SIGTERM");
  await closed;
}
