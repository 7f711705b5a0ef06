// MONEY §7: ledger time never goes back, and believes no far step of the wall clock within ten minutes.

import { type Instant, MINUTE } from "../../src/metering/time.ts";

export class TimeWatch {
  #last: { readonly at: Instant; readonly monotonic: number; readonly life: number } | undefined;

  check(at: Instant, monotonic: number, life: number): void {
    const last = this.#last;
    this.#last = { at, monotonic, life };
    if (last === undefined || last.life !== life) return;
    if (at < last.at) throw new Error(`ledger time went back by ${last.at - at} us`);
    const stepped = at - last.at - (monotonic - last.monotonic);
    const mayBelieve = monotonic >= 10 * MINUTE;
    if (stepped > 5 * MINUTE && !mayBelieve) throw new Error(`ledger time jumped by ${stepped} us`);
  }
}
