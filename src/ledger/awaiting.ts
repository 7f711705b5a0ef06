// Requests that wait for a machine to start of which its provider has not said yet since when it costs: from
// then on they share its start-up, however late that is heard of. Until then they owe nothing.

import type { Instant } from "../metering/time.ts";
import type { OpenHold } from "./held.ts";

export interface Awaited {
  readonly hold: OpenHold;
  readonly since: Instant;
}

export class Awaiting {
  readonly #all = new Map<OpenHold, Instant>();

  add(hold: OpenHold, since: Instant): void {
    this.#all.set(hold, since);
  }

  /** False where it does not wait. */
  remove(hold: OpenHold): boolean {
    return this.#all.delete(hold);
  }

  /** Those that wait for this machine, in the order in which they came: they wait here no more. */
  take(machine: string): readonly Awaited[] {
    const taken = [...this.#all].flatMap(([hold, since]) =>
      hold.row.machine === machine ? [{ hold, since }] : [],
    );
    for (const { hold } of taken) this.#all.delete(hold);
    return taken.sort((a, b) => a.since - b.since);
  }

  takeAll(): readonly OpenHold[] {
    const all = [...this.#all.keys()];
    this.#all.clear();
    return all;
  }
}
