// The prices that were fetched, on disk: what a restart goes on with, because no start may wait for a
// network. Written whole by an atomic rename; whatever else is found there counts as nothing.

import { readFileSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { NO_LIVE_PRICES } from "../metering/live-prices.ts";
import {
  type KeptPrices,
  LIVE_PRICES_FILE,
  liveRatesText,
  parseLiveRates,
} from "../policy/schema/live-rates.ts";

export type Kept =
  | { readonly kind: "kept"; readonly prices: KeptPrices }
  | { readonly kind: "none" }
  | { readonly kind: "unreadable"; readonly why: string };

export const NOTHING_KEPT: KeptPrices = { ...NO_LIVE_PRICES, answered: new Map() };

export function readPrices(folder: string): Kept {
  const path = join(folder, LIVE_PRICES_FILE);
  try {
    const prices = parseLiveRates(readFileSync(path, "utf8"));
    if (prices !== undefined) return { kind: "kept", prices };
    return { kind: "unreadable", why: `${path} is no file of prices: they are fetched anew` };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return code === "ENOENT" ? { kind: "none" } : { kind: "unreadable", why: `${path}: ${code}` };
  }
}

/** Rejects where the disk refuses it; then what was there still is. */
export async function keepPrices(folder: string, prices: KeptPrices): Promise<void> {
  const path = join(folder, LIVE_PRICES_FILE);
  const beside = `${path}.new`;
  try {
    const handle = await open(beside, "w", 0o600);
    try {
      await handle.writeFile(liveRatesText(prices));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}
