// What the gateway tells of itself: a ledger that cannot be written, and a policy of which not all works. Told
// to a real receiver, and in the log.

import { createServer } from "node:http";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test, { type ExecutionContext } from "ava";
import { startNim } from "../../src/demo/nim.ts";
import { CANARY } from "../support/canary.ts";
import { askImage, eventually } from "../support/gateway-client.ts";
import { makeFolder } from "../support/gateway-folder.ts";
import { spawnGateway } from "../support/gateway-process.ts";
import { listen, portOf } from "../support/sockets.ts";

const HOOK = "BUDGETGUARD_TEST_HOUSE_HOOK";

const policyOf = (nim: string, model = "") => `version: 1
mode: lowest_price
upstreams:
  hosted: { provider: other, url: "${nim}", price: { usd_per_request: 0.01 } }
models:
  flux-dev: { upstreams: [hosted] }
${model}
budgets:
  - { id: day, limit_usd: 20, period: daily, on_limit: block }
alerts: { webhooks: [{ url: { env: ${HOOK} } }] }
`;

async function running(t: ExecutionContext) {
  const nim = await startNim({ scale: 0.01 });
  const heard: Record<string, unknown>[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk;
    });
    request.on("end", () => {
      heard.push(JSON.parse(body));
      response.writeHead(200).end();
    });
  });
  await listen(server);
  const folder = makeFolder(policyOf(nim.url));
  const environment = { [HOOK]: `http://127.0.0.1:${portOf(server)}/${CANARY}` };
  const gateway = await spawnGateway(folder, { environment });
  t.teardown(async () => {
    gateway.signal("SIGKILL");
    // Rejects where the webhook's address was printed, or is in the data folder.
    await gateway.ended;
    server.closeAllConnections();
    server.close();
    await nim.close();
    folder.remove();
  });
  return { nim, heard, folder, gateway, server };
}

test("a ledger that cannot be written is told at once, once, and is in the list when it can", async (t) => {
  const { heard, folder, gateway } = await running(t);
  // Whoever else holds SQLite's one write lock makes every commit fail, as a full disk does.
  const other = new DatabaseSync(join(folder.dataPath, "ledger.db"), { timeout: 5000 });
  other.exec("BEGIN IMMEDIATE");
  t.is((await askImage(gateway.url)).status, 503);
  await eventually("it is told", () => heard.length === 1);
  t.is((await askImage(gateway.url)).status, 503);
  t.like(heard[0], { event: "ledger", severity: "critical", topic: "ledger" });
  other.exec("ROLLBACK");
  other.close();
  await eventually("it is in the list", async () => {
    const { items } = await gateway.client.alerts();
    return items.some(({ event, deliveries }) => event === "ledger" && deliveries[0]?.state === "delivered");
  });
  t.is(heard.length, 1);
  const logged = gateway.logged().filter(({ alert }) => alert !== undefined);
  t.deepEqual(
    logged.map(({ event }) => event),
    ["ledger"],
  );
});

test("a policy that is in force with a port that is taken is told, with the port", async (t) => {
  const { nim, heard, folder, gateway, server } = await running(t);
  const port = portOf(server);
  folder.save(policyOf(nim.url, `  late: { upstreams: [hosted], port: ${port} }`));
  gateway.signal("SIGHUP");
  await eventually("it is told", () => heard.length === 1);
  t.like(heard[0], { event: "policy", severity: "critical", topic: "policy", subject: "listeners" });
  t.regex(String(heard[0]?.text), new RegExp(`^the new policy is in force, but .*${port}`));
});
