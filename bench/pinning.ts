// Which core does what. The peer has one core to itself, so that its requests a second are what that one core
// can do; load and upstream share another, or have one each where there are three. On a machine with one core,
// or without taskset, nothing is pinned, and the output says so. It starts nothing.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

export interface Pinning {
  /** What goes before the command of each, such as `taskset -c 1`. */
  readonly peer: readonly string[];
  readonly upstream: readonly string[];
  readonly load: readonly string[];
  /** For whoever reads the figures. */
  readonly text: string;
}

export function findPinning(): Pinning {
  const cores = allowedCores();
  if (cores.length < 2) return unpinned("this machine allows one core: peer, load and upstream share it");
  try {
    execFileSync("taskset", ["-V"], { stdio: "ignore" });
  } catch {
    return unpinned("taskset is missing: apt-get install util-linux");
  }
  return pinningOn(cores);
}

/** `cores` are at least two. */
export function pinningOn(cores: readonly number[]): Pinning {
  const [first = 0, second = 0] = cores;
  const peer = cores.at(-1) ?? 0;
  const load = cores.length > 2 ? second : first;
  const others =
    load === first
      ? `load and upstream share core ${first}, so that "direct" and peers faster than they are held back by them`
      : `the upstream has core ${first}, the load core ${load}`;
  return {
    peer: ["taskset", "-c", String(peer)],
    upstream: ["taskset", "-c", String(first)],
    load: ["taskset", "-c", String(load)],
    text: `each peer, with all its processes and threads, has core ${peer}; ${others}`,
  };
}

function unpinned(why: string): Pinning {
  return { peer: [], upstream: [], load: [], text: `nothing is pinned: ${why}` };
}

/** Of this process: a container may have fewer than the machine. */
function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return coresOf(list);
}

/** From "0-2,5". */
export function coresOf(list: string): number[] {
  return list.split(",").flatMap((part) => {
    const [from = 0, to = from] = part.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
}
