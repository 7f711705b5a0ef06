// What the kernel says of a peer's processes, its children included: CPU time and resident memory. It reads
// /proc, so it works on Linux only.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";

/** Nanoseconds on a CPU by thread, and the ticks of the processes, which also have what ended threads took. */
export interface CpuReading {
  readonly threads: ReadonlyMap<string, number>;
  readonly ticksNs: number;
}

export interface CpuSpent {
  readonly ns: number;
  /** Ticks, of 10 ms, where a thread ended meanwhile or the kernel keeps no schedstat. */
  readonly by: "schedstat" | "ticks";
}

const NS_PER_TICK = 10_000_000;

/** The process and all its descendants. */
export function treeOf(root: number): readonly number[] {
  const found = [root];
  for (const pid of found) found.push(...childrenOf(pid));
  return found;
}

export function readCpu(pids: readonly number[]): CpuReading {
  const threads = new Map<string, number>();
  let ticks = 0;
  for (const pid of pids) {
    // Fields 14 and 15 of proc(5)'s stat; the name before them may hold spaces.
    const fields = read(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ") ?? [];
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
    for (const thread of listed(`/proc/${pid}/task`)) {
      const ns = read(`/proc/${pid}/task/${thread}/schedstat`).split(" ")[0];
      if (ns) threads.set(`${pid}/${thread}`, Number(ns));
    }
  }
  return { threads, ticksNs: ticks * NS_PER_TICK };
}

export function spentBetween(before: CpuReading, after: CpuReading): CpuSpent {
  const hasEnded = [...before.threads.keys()].some((thread) => !after.threads.has(thread));
  if (hasEnded || after.threads.size === 0) return { ns: after.ticksNs - before.ticksNs, by: "ticks" };
  let ns = 0;
  for (const [thread, now] of after.threads) ns += now - (before.threads.get(thread) ?? 0);
  return { ns, by: "schedstat" };
}

/** In MB of 10^6. A page that two processes share counts in both. */
export function residentMb(pids: readonly number[]): number {
  return sumOf(pids, "VmRSS");
}

/** The highest since `forgetPeak`; the sum of the processes' own peaks. */
export function peakMb(pids: readonly number[]): number {
  return sumOf(pids, "VmHWM");
}

export function forgetPeak(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, "5");
    } catch {
      // Without the right to, the peak is that of the whole life of the process, which is no less.
    }
  }
}

function sumOf(pids: readonly number[], field: "VmRSS" | "VmHWM"): number {
  const kilobytes = pids.map((pid) =>
    Number(new RegExp(`^${field}:\\s*(\\d+) kB$`, "m").exec(read(`/proc/${pid}/status`))?.[1] ?? 0),
  );
  return (kilobytes.reduce((sum, each) => sum + each, 0) * 1024) / 1e6;
}

function childrenOf(pid: number): number[] {
  const threads = listed(`/proc/${pid}/task`);
  const texts = threads.map((thread) => read(`/proc/${pid}/task/${thread}/children`));
  return texts.join(" ").split(" ").filter(Boolean).map(Number);
}

/** Empty for a process or thread that has ended. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

function listed(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
