// This gateway as a peer, as an operator installs it and with everything on: a policy of 20 rules of which
// five budgets cover each request, a durable ledger, metrics, and the access log in a file. No cloud.

import { execFileSync } from "node:child_process";
import { closeSync, cpSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../test/support/free-port.ts";
import { eventually } from "../test/support/gateway-client.ts";
import { type Place, type Started, startPeer } from "./peer.ts";
import { type Costs, policyText } from "./policy.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** Inside node_modules, so that the packages are found from there, and no checkout sees it. */
const INSTALLED = join(ROOT, "node_modules", ".cache", "budgetguard-bench");

/** The package as it is published: the sources of a checkout are compiled anew in each thread. */
let installed: string | undefined;

function install(): string {
  const dist = join(INSTALLED, "dist");
  // What runs is the same, and it is not the bench that says whether the types are right.
  const quick = ["--noCheck", "--declaration", "false"];
  execFileSync(process.execPath, [join(ROOT, "tools", "build.ts"), dist, ...quick], { stdio: "ignore" });
  for (const name of ["bin", "config", "package.json"])
    cpSync(join(ROOT, name), join(INSTALLED, name), { recursive: true });
  return join(INSTALLED, "bin", "budgetguard.js");
}

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
  installed ??= install();
  const command = [process.execPath, installed, ...serve, ...addresses];
  try {
    const started = await startPeer(place.under, { command, port, stdout: log });
    await eventually("the gateway is ready", () => readFileSync(logPath, "utf8").includes('"msg":"ready"'));
    return started;
  } finally {
    closeSync(log);
  }
}
