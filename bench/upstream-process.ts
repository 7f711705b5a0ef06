// The upstream as seen from the runner: a process that says its port and, when asked, what it has served. As a
// peer it is "direct": nothing between load and upstream.

import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { end, type Peer } from "./peer.ts";
import type { Counted } from "./traffic.ts";

export interface Upstream {
  readonly direct: Peer;
  counted(): Promise<Counted>;
}

const FILE = fileURLToPath(new URL("upstream.ts", import.meta.url));

export async function startUpstream(under: readonly string[]): Promise<Upstream> {
  const [program = process.execPath, ...args] = [...under, process.execPath];
  const child = fork(FILE, [], {
    execPath: program,
    execArgv: args,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const [{ port }] = (await once(child, "message")) as [{ port: number }];
  return {
    direct: {
      port,
      headers: {},
      pids: () => (child.pid === undefined ? [] : [child.pid]),
      close: () => end(child),
    },
    async counted() {
      child.send("count");
      const [counted] = (await once(child, "message")) as [Counted];
      return counted;
    },
  };
}
