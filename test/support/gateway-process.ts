// The gateway as a process of its own, started as an operator starts it: so that it can be killed, told to
// stop, and asked what it printed.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { BudgetGuardClient } from "../../src/sdk/client.ts";
import { assertNoCanary, assertNoCanaryIn, CANARY_ENV } from "./canary.ts";
import { eventually } from "./gateway-client.ts";
import type { GatewayFolder } from "./gateway-folder.ts";
import { failedToStart, mayBeLeft } from "./leftovers.ts";

const COMMAND = fileURLToPath(new URL("../../bin/budgetguard.js", import.meta.url));

export interface GatewayProcess {
  readonly url: string;
  /** "http://127.0.0.1:7071" */
  readonly admin: string;
  readonly adminToken: string;
  readonly client: BudgetGuardClient;
  readonly pid: number;
  /** Of standard output, parsed; lines that are no JSON are left out. */
  logged(): Record<string, unknown>[];
  signal(name: "SIGKILL" | "SIGTERM" | "SIGHUP"): void;
  readonly ended: Promise<Ended>;
}

export interface Ended {
  /** Undefined where a signal ended it. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProcessOptions {
  readonly listen?: string;
  readonly admin?: string;
  /** What goes before the command, such as `prlimit --fsize=1000`. */
  readonly under?: readonly string[];
  /** What goes behind the command. */
  readonly args?: readonly string[];
  /** For it to become ready. */
  readonly patienceMs?: number;
  /** Besides the test's own. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Resolves once it is ready; throws with what it printed when it ends before. */
export async function spawnGateway(
  folder: GatewayFolder,
  options: ProcessOptions = {},
): Promise<GatewayProcess> {
  const run = startProcess(folder, options);
  const isOver = { yet: false };
  void run.ended.then(() => {
    isOver.yet = true;
  });
  const isReady = async () => {
    if (isOver.yet) throw new Error(`it ended instead: ${JSON.stringify(await run.ended)}`);
    return run.logged().find(({ msg }) => msg === "ready");
  };
  const ready = await eventually("the gateway is ready", isReady, options.patienceMs).catch((error) => {
    run.signal("SIGKILL");
    failedToStart();
    throw error;
  });
  const { listening, admin } = ready as {
    listening: { address: string; model?: string; scheme: string }[];
    admin: string;
  };
  const own = listening.find(({ model }) => model === undefined);
  const token = readFileSync(join(folder.dataPath, "admin-token"), "utf8").trim();
  return {
    ...run,
    url: `${own?.scheme}://${own?.address}`,
    admin,
    adminToken: token,
    client: new BudgetGuardClient({ baseUrl: admin, token }),
  };
}

/** For daemons that are not expected to become ready. One that lives on is killed. */
export function runGateway(folder: GatewayFolder, options: ProcessOptions = {}): Promise<Ended> {
  const { ended, signal } = startProcess(folder, options);
  const late = setTimeout(() => signal("SIGKILL"), LONGEST_LIFE_MS);
  return ended.finally(() => clearTimeout(late));
}

/** Shorter than ava's timeout, and longer than a busy machine needs to start and end one. */
const LONGEST_LIFE_MS = 90_000;

function startProcess(folder: GatewayFolder, options: ProcessOptions) {
  const { listen, admin, under = [], args: more = [], environment } = options;
  const serve = [
    ...[process.execPath, COMMAND, "serve", "--policy", folder.policyPath, "--data", folder.dataPath],
    ...["--listen", listen ?? "localhost:0", "--admin", admin ?? "localhost:0", ...more],
  ];
  const [program = "", ...args] = [...under, ...serve];
  const env = { ...process.env, ...CANARY_ENV, ...environment };
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env });
  const forget = mayBeLeft(() => void child.kill("SIGKILL"));
  child.once("exit", forget);
  const lines: string[] = [];
  const { stdout, stderr } = child;
  createInterface({ input: stdout }).on("line", (line) => lines.push(line));
  let errors = "";
  stderr.on("data", (chunk: Buffer) => {
    errors += chunk.toString("utf8");
  });
  return {
    pid: child.pid ?? 0,
    logged: () => lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line)),
    signal: (name: NodeJS.Signals) => {
      if (name !== "SIGHUP") forget();
      child.kill(name);
    },
    ended: new Promise<Ended>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) =>
        resolve({ code: code ?? undefined, stdout: lines.join("\n"), stderr: errors }),
      );
    }).then((ended) => {
      assertNoCanary("what a gateway printed", ended.stdout + ended.stderr);
      assertNoCanaryIn(folder.dataPath);
      return ended;
    }),
  };
}
