// Keeps in the ledger which machine groups this gateway has raised, and which are to be lowered, so that a
// restart leaves none up that nobody needs. A disk that refuses it costs that memory, never an order.

import type { KeptRelease } from "../cloud/release.ts";
import type { SqliteStore } from "../ledger/sqlite.ts";
import type { Instant } from "../metering/time.ts";
import type { Logger } from "./log.ts";

export interface MemoryParts {
  readonly store: Pick<SqliteStore, "setSwitch">;
  readonly log: Pick<Logger, "warn">;
  now(): Instant;
}

/** The name of this memory among the ledger's switches. */
export const MACHINES = "machines";

export class MachineMemory {
  readonly #parts: MemoryParts;
  readonly #groups: Map<string, KeptRelease>;

  /** `stored`: what the ledger has of it. */
  constructor(parts: MemoryParts, stored: string | undefined) {
    this.#parts = parts;
    this.#groups = new Map(Object.entries(parse(stored)));
  }

  kept(group: string): KeptRelease | undefined {
    return this.#groups.get(group);
  }

  /** Undefined: nothing was done to it that is not over. */
  keep(group: string, kept: KeptRelease | undefined): void {
    if (kept === undefined && !this.#groups.has(group)) return;
    if (kept === undefined) this.#groups.delete(group);
    else this.#groups.set(group, kept);
    const { store, log, now } = this.#parts;
    const text = JSON.stringify(Object.fromEntries(this.#groups));
    store.setSwitch(MACHINES, text, "gateway", now()).catch((error: unknown) => {
      log.warn({ err: error }, "what is to be done to a machine could not be kept in the ledger");
    });
  }
}

/** Whatever is not understood was done by another version: nothing follows from it. */
function parse(text: string | undefined): Record<string, KeptRelease> {
  if (text === undefined || text === "") return {};
  const found: unknown = JSON.parse(text);
  const entries = typeof found === "object" && found !== null ? Object.entries(found) : [];
  return Object.fromEntries(entries.filter(([, kept]) => Array.isArray(kept?.ids)));
}
