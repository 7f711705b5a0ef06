// Runs a real Prometheus over the shipped configuration, faster and with another target, and asks it things.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { eventually } from "../support/gateway-client.ts";
import { CONFIG_FILE, RULES_FILE } from "./queries.ts";

export interface Prometheus {
  /** The values of the series that the expression has now. */
  ask(expr: string): Promise<number[]>;
  /** What went wrong in evaluating rules, as "name: error". */
  ruleErrors(): Promise<string[]>;
  /** How many rules have been evaluated at least once. */
  rulesEvaluated(): Promise<number>;
  stop(): Promise<void>;
}

const Vector = z.object({
  data: z.object({ result: z.array(z.object({ value: z.tuple([z.number(), z.string()]) })) }),
});
const Rules = z.object({
  data: z.object({
    groups: z.array(
      z.object({
        rules: z.array(z.object({ name: z.string(), health: z.string(), lastError: z.string().optional() })),
      }),
    ),
  }),
});

/** `target` is the host:port whose /metrics is scraped, every second. */
export async function startPrometheus(program: string, target: string): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), "budgetguard-prometheus-"));
  const config = await writeConfig(folder, target);
  const flags = [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, "data")}`,
    "--web.listen-address=127.0.0.1:0",
  ];
  const child = spawn(program, flags, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  const address = await addressOf(child);
  // It listens before it has read its storage, and says 503 until then.
  await eventually("Prometheus is ready", async () => (await fetch(`http://${address}/-/ready`)).ok);
  const get = async (path: string): Promise<unknown> => {
    const reply = await fetch(`http://${address}/api/v1/${path}`);
    if (!reply.ok) throw new Error(`Prometheus answers ${reply.status} to ${path}: ${await reply.text()}`);
    return reply.json();
  };
  const rules = async () => {
    const { data } = Rules.parse(await get("rules"));
    return data.groups.flatMap((group) => group.rules);
  };
  return {
    ask: async (expr) => {
      const { data } = Vector.parse(await get(`query?query=${encodeURIComponent(expr)}`));
      return data.result.map(({ value }) => Number(value[1]));
    },
    ruleErrors: async () =>
      (await rules()).filter((rule) => rule.lastError).map((rule) => `${rule.name}: ${rule.lastError}`),
    rulesEvaluated: async () => (await rules()).filter((rule) => rule.health === "ok").length,
    stop: async () => {
      const ended = once(child, "exit");
      if (child.kill("SIGTERM")) await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function writeConfig(folder: string, target: string): Promise<string> {
  const config = parse(await readFile(CONFIG_FILE, "utf8"));
  config.global = { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" };
  config.scrape_configs[0].static_configs[0].targets = [target];
  await copyFile(RULES_FILE, join(folder, basename(RULES_FILE)));
  const path = join(folder, "prometheus.yml");
  await writeFile(path, stringify(config));
  return path;
}

/** Where it listens, which it says itself; throws what it said last if it ends before. */
async function addressOf(child: ChildProcess): Promise<string> {
  if (child.stderr === null) throw new Error("what Prometheus says must be readable");
  let last = "";
  for await (const line of createInterface({ input: child.stderr })) {
    const address = /"Listening on" address=(\S+)/.exec(line)?.[1];
    if (address !== undefined) {
      child.stderr.resume();
      return address;
    }
    last = line;
  }
  throw new Error(`Prometheus ended before it listened: ${last}`);
}
