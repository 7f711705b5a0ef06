// Recounts once an hour what was posted of machines against what their leases cost, in the ledger's reading
// thread. A difference is a mistake of ours and told at once; nothing is repaired unasked.

import type { LedgerReader } from "../ledger/reader.ts";
import { formatUsd, type NanoUsd } from "../metering/money.ts";
import { type DurationUs, HOUR, SECOND } from "../metering/time.ts";
import type { Logger } from "./log.ts";

export interface LeaseCheckParts {
  readonly reader: Pick<LedgerReader, "leaseImbalance">;
  readonly log: Pick<Logger, "error">;
  after(delay: DurationUs, call: () => void): () => void;
}

/** Not at once: a start has other things to do. */
const FIRST = (10 * SECOND) as DurationUs;
const EACH = HOUR as DurationUs;

export class LeaseCheck {
  readonly #parts: LeaseCheckParts;
  #found: NanoUsd | undefined;
  #forget: () => void;

  constructor(parts: LeaseCheckParts) {
    this.#parts = parts;
    this.#forget = parts.after(FIRST, () => void this.look());
  }

  /** Undefined before the first recount. */
  get found(): NanoUsd | undefined {
    return this.#found;
  }

  async look(): Promise<void> {
    const { reader, log, after } = this.#parts;
    this.#forget();
    try {
      const found = await reader.leaseImbalance();
      if (found > 0n && found !== this.#found)
        log.error(
          { imbalance_usd: formatUsd(found) },
          "containers were posted another amount than their leases cost: see `budgetguard ledger verify`",
        );
      this.#found = found;
    } catch (error) {
      log.error({ err: error }, "the leases of containers could not be recounted: tried again in an hour");
    }
    this.#forget = after(EACH, () => void this.look());
  }

  close(): void {
    this.#forget();
  }
}
