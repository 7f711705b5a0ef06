// Fetches the prices of one source in a thread of its own, and ends: pages of megabytes are parsed and AWS'
// client is loaded here, so that the relay neither waits for it nor keeps its memory.

import { parentPort, workerData } from "node:worker_threads";
import type { Fetched, PriceAsk, PriceSource } from "./price-source.ts";
import { PriceTrouble } from "./price-source.ts";

const port = parentPort;
if (port === null) throw new Error("price-worker.ts runs only as a worker thread");
port.postMessage(await fetched(workerData as PriceAsk));

async function fetched(ask: PriceAsk): Promise<Fetched> {
  const signal = AbortSignal.timeout(ask.timeoutMs);
  try {
    const source = await sourceOf(ask.source);
    const { rates, notes } = await source.fetch(ask, signal);
    if (rates.length === 0) return { kind: "trouble", why: "it has no price of a machine with a GPU" };
    return { kind: "prices", rates, notes };
  } catch (error) {
    if (signal.aborted) return { kind: "trouble", why: `it took longer than ${ask.timeoutMs / 1000} s` };
    if (error instanceof PriceTrouble) return { kind: "trouble", why: error.message };
    throw error;
  }
}

async function sourceOf(name: PriceAsk["source"]): Promise<PriceSource> {
  switch (name) {
    case "aws":
      return (await import("./aws-prices.ts")).awsPrices;
    case "azure":
      return (await import("./azure-prices.ts")).azurePrices;
    case "gcp":
      return (await import("./gcp-prices.ts")).gcpPrices;
    case "runpod":
      return (await import("./runpod-prices.ts")).runpodPrices;
    case "lambda":
      return (await import("./lambda-prices.ts")).lambdaPrices;
  }
}
