// A peer: something between load and upstream that listens on a port of loopback, as processes that are ended
// with it. How each is set up is in the files named after them.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { treeOf } from "./processes.ts";

export interface Peer {
  readonly port: number;
  /** Headers that it wants with each request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Of all its processes, now. */
  pids(): readonly number[];
  close(): Promise<void>;
}

export type Started =
  | { readonly kind: "started"; readonly peer: Peer }
  | { readonly kind: "missing"; readonly cure: string };

/** What a peer is started with. */
export interface Place {
  /** An empty folder of its own. */
  readonly folder: string;
  /** Where the peers from npm are installed. */
  readonly modules: string;
  readonly upstreamPort: number;
  /** What goes before its command. */
  readonly under: readonly string[];
}

const PATIENCE_MS = 30_000;
/** After which a peer that does not end by itself is killed. */
const GRACE_MS = 5_000;

export interface Command {
  readonly command: readonly string[];
  readonly port: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** The descriptor of a file; else what it prints is shown only where it fails to start. */
  readonly stdout?: number;
}

/** Resolves once its port is open; throws with what it printed where it ends before. */
export async function startPeer(under: readonly string[], started: Command): Promise<Started> {
  const [program = "", ...args] = [...under, ...started.command];
  const child = spawn(program, args, {
    stdio: ["ignore", started.stdout ?? "pipe", "pipe"],
    env: { ...process.env, ...started.environment },
  });
  living.add(child);
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      printed = (printed + chunk.toString("utf8")).slice(-2000);
    });
  }
  let ended: string | undefined;
  child.once("error", (error) => {
    ended = error.message;
  });
  child.once("close", (code, signal) => {
    living.delete(child);
    ended ??= `it ended with ${code ?? signal}`;
  });
  for (const begun = performance.now(); !(await isOpen(started.port)); await sleep(20)) {
    if (ended === undefined && performance.now() - begun > PATIENCE_MS) {
      await end(child);
      ended = `it did not listen within ${PATIENCE_MS / 1000} s`;
    }
    if (ended !== undefined) throw new Error(`${started.command.join(" ")}: ${ended}\n${printed}`);
  }
  return {
    kind: "started",
    peer: {
      port: started.port,
      headers: started.headers ?? {},
      pids: () => (child.pid === undefined ? [] : treeOf(child.pid)),
      close: () => end(child),
    },
  };
}

/** A bench that is broken off leaves nobody behind. */
const living = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of living) child.kill("SIGKILL");
});

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  // "close" comes after an error too, and only then is it looked at.
  socket.on("error", () => undefined);
  const opened = await Promise.race([
    once(socket, "connect").then(() => true),
    new Promise<boolean>((resolve) => socket.once("close", () => resolve(false))),
  ]).catch(() => false);
  socket.destroy();
  return opened;
}

export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const closed = once(child, "exit");
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
  await closed;
  clearTimeout(late);
}
