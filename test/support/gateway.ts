// A real gateway in this process, on free ports, with a policy text and a folder of its own: what the tests
// of whole requests run against. The wiring is the product's own (daemon/main.ts).

import { type Daemon, startDaemon } from "../../src/daemon/main.ts";
import { startNim } from "../../src/demo/nim.ts";
import { BudgetGuardClient } from "../../src/sdk/client.ts";
import { assertNoCanary, assertNoCanaryAt, assertNoCanaryIn, CANARY_ENV } from "./canary.ts";
import { fakeEngine } from "./fake-engine.ts";
import { ask, askImage } from "./gateway-client.ts";
import { type GatewayFolder, makeFolder } from "./gateway-folder.ts";
import { failedToStart, mayBeLeft } from "./leftovers.ts";

export interface Gateway {
  /** "http://127.0.0.1:PORT", the gateway's own address. */
  readonly url: string;
  readonly folder: GatewayFolder;
  readonly daemon: Daemon;
  /** With the admin token. */
  readonly client: BudgetGuardClient;
  /** The access log so far, one object a request. */
  accessLines(): Record<string, unknown>[];
  stop(): Promise<void>;
}

export interface GatewayOptions {
  /** One whose policy file is there already, perhaps with what an earlier gateway left. */
  readonly folder?: GatewayFolder;
  readonly listen?: string;
  readonly admin?: string;
}

/** Throws with the lines of a refusal. A folder that was given is left as it is, before and after. */
export async function startGateway(
  policy: string | undefined,
  options: GatewayOptions = {},
): Promise<Gateway> {
  const folder = options.folder ?? makeFolder(policy ?? "");
  let log = "";
  Object.assign(process.env, CANARY_ENV);
  const started = await startDaemon({
    policyPath: folder.policyPath,
    dataPath: folder.dataPath,
    listen: options.listen ?? "localhost:0",
    admin: options.admin ?? "localhost:0",
    version: "0.0.0-test",
    logLevel: "silent",
    accessLog: (text) => {
      log += text;
    },
  });
  if (started.kind === "refused") {
    failedToStart();
    throw new Error(started.lines.join("\n"));
  }
  const forget = mayBeLeft(() => void started.daemon.stop(0));
  let stopping: Promise<void> | undefined;
  const daemon: Daemon = {
    ...started.daemon,
    stop: (graceMs) => {
      forget();
      stopping ??= started.daemon.stop(graceMs);
      return stopping;
    },
  };
  return {
    url: `http://${daemon.listening.find(({ model }) => model === undefined)?.address}`,
    folder,
    daemon,
    client: new BudgetGuardClient({ baseUrl: daemon.admin, token: daemon.adminToken }),
    accessLines: () =>
      log
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line)),
    stop: async () => {
      if (stopping === undefined) await assertNoCanaryAt(daemon.admin, daemon.adminToken);
      await daemon.stop();
      assertNoCanary("the access log", log);
      assertNoCanaryIn(folder.dataPath);
      if (options.folder === undefined) folder.remove();
    },
  };
}

export interface ScrapedGateway {
  /** HOST:PORT that serves /metrics. */
  readonly address: string;
  /** One relayed request that costs money, one refusal, one request that is not metered. */
  work(): Promise<void>;
  stop(): Promise<void>;
}

/** A gateway whose every metric has something to say once `work` was called. */
export async function startScrapedGateway(): Promise<ScrapedGateway> {
  const nim = await startNim({ scale: 0.05 });
  const ends: (() => void)[] = [];
  const engine = await fakeEngine({ teardown: (end) => void ends.push(end as () => void) });
  const up = { Status: "running", StartedAt: new Date().toISOString(), FinishedAt: "0001-01-01T00:00:00Z" };
  engine.answers["GET /v1.40/containers/idle/json"] = [200, { Id: "c0ffee", State: up, NetworkSettings: {} }];
  const gateway = await startGateway(`version: 1
mode: lowest_price
upstreams:
  flux-aws: { provider: aws, url: "${nim.url}", price: { rate: aws/us-east-1/g5.xlarge } }
  idle: { provider: other, url: "${nim.url}", price: { usd_per_hour: 900 }, container: { docker: { name: idle, socket: "${engine.socket}" } } }
models:
  flux-dev: { upstreams: [flux-aws], estimate: 5s }
budgets:
  - { id: studio-day, limit_usd: 20, period: daily, on_limit: block }
  - { id: pictures, limit_images: 1000, period: daily }
  - { id: guests, when: { user: guest }, limit_usd: 0.0001, period: daily, on_limit: block }
`);
  return {
    address: new URL(gateway.daemon.admin).host,
    async work() {
      const relayed = await askImage(gateway.url, { steps: 100 });
      const refused = await askImage(gateway.url, { headers: { "X-BudgetGuard-User": "guest" } });
      const unmetered = await ask(`${gateway.url}/v1/metadata`, { method: "GET" });
      const statuses = [relayed, refused, unmetered].map(({ status }) => status);
      if (statuses.join() !== "200,402,200") throw new Error(`the gateway answered ${statuses}`);
    },
    async stop() {
      await gateway.stop();
      await nim.close();
      for (const end of ends) end();
    },
  };
}
