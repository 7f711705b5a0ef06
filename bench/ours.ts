// This gateway as a peer, as an operator starts it and with everything on: a policy of 20 rules of which five
// budgets cover each request, a durable ledger, metrics, and the access log in a file. No cloud.

import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { eventually } from "../test/support/gateway-client.ts";
import { freePort } from "../test/support/gateway-folder.ts";
import { type Place, type Started, startPeer } from "./peer.ts";
import { type Costs, policyText } from "./policy.ts";

const COMMAND = fileURLToPath(new URL("../bin/budgetguard.js", import.meta.url));

/** Each hold and each charge is durable before its reply's last byte. */
export function startOurs(place: Place): Promise<Started> {
  return start(place, "priced");
}

/** The upstream costs nothing and no budget can refuse, so that nobody waits for the disk. */
export function startOursFree(place: Place): Promise<Started> {
  return start(place, "free");
}

async function start(place: Place, costs: Costs): Promise<Started> {
  const policy = join(place.folder, "policy.yaml");
  writeFileSync(policy, policyText(`http://127.0.0.1:${place.upstreamPort}`, costs));
  const [port, admin] = [await freePort(), await freePort()];
  const logPath = join(place.folder, "access.log");
  const log = openSync(logPath, "a");
  const serve = ["serve", "--policy", policy, "--data", join(place.folder, "data")];
  const addresses = ["--listen", `127.0.0.1:${port}`, "--admin", `127.0.0.1:${admin}`];
  const command = [process.execPath, COMMAND, ...serve, ...addresses];
  try {
    const started = await startPeer(place.under, { command, port, stdout: log });
    await eventually("the gateway is ready", () => readFileSync(logPath, "utf8").includes('"msg":"ready"'));
    return started;
  } finally {
    closeSync(log);
  }
}
