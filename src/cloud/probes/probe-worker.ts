// Asks one cloud about one login in a thread of its own, and ends: the cloud's client is loaded here, so that
// the relay neither waits for it nor keeps its memory.

import { parentPort, workerData } from "node:worker_threads";
import { Trouble } from "../adapter.ts";
import { type ProbeAsk, probed } from "./probe.ts";

const port = parentPort;
if (port === null) throw new Error("probe-worker.ts runs only as a worker thread");
const ask = workerData as ProbeAsk;
const signal = AbortSignal.timeout(ask.timeoutMs);
port.postMessage(await probed(() => asked().catch((error: unknown) => Promise.reject(lateOr(error)))));

async function asked(): Promise<void> {
  switch (ask.owner) {
    case "aws":
      return (await import("./aws-probe.ts")).probeAws(ask.values, ask.endpoint, signal);
    case "azure":
      return (await import("./azure-probe.ts")).probeAzure(ask.values, ask.endpoint, signal);
    case "gcp":
      return (await import("./gcp-probe.ts")).probeGcp(ask.values, signal);
  }
}

function lateOr(error: unknown): unknown {
  if (!signal.aborted) return error;
  return new Trouble("timeout", `it did not answer within ${ask.timeoutMs / 1000} s`);
}
