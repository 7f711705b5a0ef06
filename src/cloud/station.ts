// One upstream as this gateway knows it: how many of our requests run there, how many calls its rate has
// left, and whether it works. Its limits are asked for anew each time: a reload changes them under running
// requests.
//
// Invariant: `running` is the number of slots that were taken and not given back. It is never more than the
// `concurrency` of the policy that let the last one in.

import type { DurationUs } from "../metering/time.ts";
import type { Hindrance } from "../policy/hindrance.ts";
import type { Upstream } from "../policy/policy.ts";
import type { Call, Sign, Slot } from "../policy/slot.ts";
import { BusyTime } from "./busy-time.ts";
import { CallWindow } from "./call-window.ts";
import { Health, type Probed, type Turned } from "./health.ts";

export interface StationParts {
  /** A clock that never steps. */
  monotonic(): DurationUs;
  /** [0, 1) */
  random(): number;
  /** A slot or a call was given back, or its health has turned: somebody may want to look again. */
  changed(turned: Turned | undefined): void;
}

export class Station {
  readonly #parts: StationParts;
  #url: string | undefined;
  #health: Health;
  #calls: CallWindow | undefined;
  #running = 0;
  #usedAt: DurationUs | undefined;
  readonly #busy: BusyTime;

  constructor({ url }: Upstream, parts: StationParts) {
    this.#url = url;
    this.#parts = parts;
    this.#health = new Health(parts.random);
    this.#busy = new BusyTime(parts.monotonic());
  }

  get health(): Health {
    return this.#health;
  }

  get running(): number {
    return this.#running;
  }

  /** Nobody runs there, and no call counts any more: nothing is lost where it is forgotten. */
  get isQuiet(): boolean {
    return this.#running === 0 && this.#calls?.isQuiet(this.#parts.monotonic()) !== false;
  }

  /** When a request last was let in. */
  get usedAt(): DurationUs | undefined {
    return this.#usedAt;
  }

  /**
   * At another address nothing is known of its health, and what ends at the old one says nothing about it.
   * What runs there and the calls that were made still count: it may be the same machine by another name.
   */
  follow({ url }: Upstream): void {
    if (url === this.#url) return;
    this.#url = url;
    this.#health = new Health(this.#parts.random);
  }

  /** Its container runs anew: what was known of another life says nothing about this one. */
  restarted(): void {
    this.#health = new Health(this.#parts.random);
    this.#busy.restart(this.#parts.monotonic());
  }

  /** How much of its time requests ran there. */
  get busyShare(): number | undefined {
    return this.#busy.share(this.#parts.monotonic());
  }

  /** Health last: whoever is ejected and nothing else can still be the last resort. */
  hindrance({ concurrency, rateLimit }: Upstream): Hindrance | undefined {
    const now = this.#parts.monotonic();
    const running = this.#running;
    if (concurrency !== undefined && running >= concurrency) return { kind: "busy", running, concurrency };
    const again = rateLimit && this.#callsOf(rateLimit.per).waitFor(rateLimit, now);
    if (rateLimit && again) return { kind: "rated", rate: rateLimit, again };
    return this.#health.hindrance(now);
  }

  /** What takes no slot keeps to the rate all the same: whoever limits it counts that too. */
  call({ rateLimit }: Upstream): Call {
    const now = this.#parts.monotonic();
    const calls = rateLimit && this.#callsOf(rateLimit.per);
    const again = rateLimit && calls?.waitFor(rateLimit, now);
    if (rateLimit && again) return { kind: "rated", rate: rateLimit, again };
    const slice = calls?.take(now);
    const unused = () => {
      if (slice !== undefined) calls?.giveBack(slice);
      this.#parts.changed(undefined);
    };
    return { kind: "called", unused };
  }

  /** Throws where the upstream is at its limit: whoever takes has asked in the same tick. */
  take(upstream: Upstream): Slot {
    const hindrance = this.hindrance(upstream);
    if (hindrance !== undefined && hindrance.kind !== "ejected") {
      throw new Error(`a slot of ${upstream.id} was taken while it is ${hindrance.kind}`);
    }
    const health = this.#health;
    const trial = health.begin();
    const calls = upstream.rateLimit && this.#callsOf(upstream.rateLimit.per);
    this.#usedAt = this.#parts.monotonic();
    const slice = calls?.take(this.#usedAt);
    this.#running += 1;
    this.#busy.begin(this.#usedAt);
    let isTaken = true;
    return {
      upstream,
      answers: () => {
        const turned = health.answers(this.#parts.monotonic());
        if (turned !== undefined && health === this.#health) this.#parts.changed(turned);
      },
      free: (sign: Sign) => {
        if (!isTaken) throw new Error(`a slot of ${upstream.id} was given back twice`);
        isTaken = false;
        this.#running -= 1;
        if (this.#running === 0) this.#busy.end(this.#parts.monotonic());
        if (sign.kind === "unused" && slice !== undefined) calls?.giveBack(slice);
        const turned = health.end(trial, sign, this.#parts.monotonic());
        this.#parts.changed(health === this.#health ? turned : undefined);
      },
    };
  }

  probed(found: Probed): void {
    const turned = this.#health.probed(found, this.#parts.monotonic());
    if (turned !== undefined) this.#parts.changed(turned);
  }

  /** A rate over another time begins anew. */
  #callsOf(per: DurationUs): CallWindow {
    if (this.#calls?.per !== per) this.#calls = new CallWindow(per);
    return this.#calls;
  }
}
