// Asks without pause over so many connections, and says how fast it went and what CPU one process took.

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "undici";

export interface Scene {
  readonly name: string;
  readonly connections: number;
  /** Of each reply. */
  readonly bytes: number;
}

export interface Measured {
  readonly perSecond: number;
  readonly p50Ms: number;
  /** Of the peer's own processes, for one request; a tick of the kernel's clock is 10 ms in all. */
  readonly cpuUs: number;
}

const US_PER_TICK = 10_000;

/** Throws at the first reply that is not the one asked for: a fast failure is no speed. */
export async function measure(
  url: string,
  pids: readonly number[],
  scene: Scene,
  ms: number,
): Promise<Measured> {
  const pool = new Pool(url, { connections: scene.connections });
  try {
    await ask(pool, scene);
    const ticks = ticksOf(pids);
    const begun = performance.now();
    const took: number[] = [];
    const client = async () => {
      while (performance.now() - begun < ms) took.push(await ask(pool, scene));
    };
    await Promise.all(Array.from({ length: scene.connections }, client));
    const seconds = (performance.now() - begun) / 1000;
    const cpuUs = ((ticksOf(pids) - ticks) * US_PER_TICK) / took.length;
    return { perSecond: took.length / seconds, p50Ms: median(took), cpuUs };
  } finally {
    await pool.close();
    await sleep(200);
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

async function ask(pool: Pool, { bytes }: Scene): Promise<number> {
  const begun = performance.now();
  const { statusCode, body } = await pool.request({
    path: "/v1/infer",
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt: "a lighthouse", bytes }),
  });
  const { byteLength } = await body.arrayBuffer();
  if (statusCode !== 200 || byteLength !== bytes) throw new Error(`${statusCode} with ${byteLength} bytes`);
  return performance.now() - begun;
}

/** User and system time, fields 14 and 15 of proc(5)'s stat; the name before them may hold spaces. */
function ticksOf(pids: readonly number[]): number {
  const each = pids.map((pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return Number(fields[11]) + Number(fields[12]);
  });
  return each.reduce((sum, ticks) => sum + ticks, 0);
}
