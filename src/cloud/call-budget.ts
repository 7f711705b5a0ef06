// Keeps to `calls_per_minute` of a provider: each request to its API, retries included, takes its turn here.
// Orders go before looks, and a part of the budget is theirs alone, so that what is watched closely can still
// be turned off. Looks are spread over the minute: what starts is never out of sight for most of one.

import { AsyncLocalStorage } from "node:async_hooks";
import { type DurationUs, MINUTE } from "../metering/time.ts";
import { Trouble } from "./adapter.ts";
import { CallWindow } from "./call-window.ts";

/** The share of the calls that looks may take. */
const FOR_LOOKS = 0.8;
/** The share of those that may leave at once; the others keep their distance. */
const AT_ONCE = 0.25;

export interface Caller {
  readonly budget: CallBudget;
  readonly isOrder: boolean;
  readonly signal: AbortSignal;
}

const callers = new AsyncLocalStorage<Caller>();

/** Whatever `work` calls is counted as this caller's. */
export function asCaller<T>(caller: Caller, work: () => Promise<T>): Promise<T> {
  return callers.run(caller, work);
}

/** Before each request to a provider's API. */
export async function spendCall(): Promise<void> {
  const caller = callers.getStore();
  await caller?.budget.take(caller.isOrder, caller.signal);
}

export interface CallBudgetParts {
  /** What the policy's key is called, for who has to wait too long. */
  readonly key: string;
  monotonic(): DurationUs;
  after(delay: DurationUs, call: () => void): () => void;
}

interface Waiter {
  readonly isOrder: boolean;
  go(): void;
}

export class CallBudget {
  readonly #parts: CallBudgetParts;
  readonly #window = new CallWindow(MINUTE);
  readonly #waiting: Waiter[] = [];
  #lastLook: DurationUs | undefined;
  #forget: () => void = () => undefined;
  /** At most so many calls in any minute. */
  calls = 60;

  constructor(parts: CallBudgetParts) {
    this.#parts = parts;
  }

  /** Resolves when it may call; throws Trouble once `signal` is aborted before that. */
  take(isOrder: boolean, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { isOrder, go: resolve };
    const leave = () => {
      const place = this.#waiting.indexOf(waiter);
      if (place >= 0) this.#waiting.splice(place, 1);
      const text = `its calls_per_minute (${this.calls}) are used up: raise ${this.#parts.key}`;
      reject(new Trouble("throttled", text));
    };
    this.#waiting.push(waiter);
    signal.addEventListener("abort", leave, { once: true });
    this.#serve();
    return promise.finally(() => signal.removeEventListener("abort", leave));
  }

  #serve(): void {
    this.#forget();
    for (;;) {
      const next = this.#waiting.find(({ isOrder }) => isOrder) ?? this.#waiting[0];
      if (next === undefined) return;
      const now = this.#parts.monotonic();
      const wait = this.#waitFor(next, now);
      if (wait > 0) {
        this.#forget = this.#parts.after(wait, () => this.#serve());
        return;
      }
      this.#window.take(now);
      if (!next.isOrder) this.#lastLook = now;
      this.#waiting.splice(this.#waiting.indexOf(next), 1);
      next.go();
    }
  }

  #waitFor(next: Waiter, now: DurationUs): DurationUs {
    const calls = this.#mayUse(next);
    const full = this.#window.waitFor({ calls, per: MINUTE }, now);
    const isSpread = this.#window.waitFor({ calls: Math.ceil(calls * AT_ONCE), per: MINUTE }, now) > 0;
    if (next.isOrder || !isSpread || this.#lastLook === undefined) return full;
    return Math.max(full, Math.ceil(this.#lastLook + MINUTE / calls - now)) as DurationUs;
  }

  #mayUse({ isOrder }: Waiter): number {
    return isOrder ? this.calls : Math.max(1, Math.floor(this.calls * FOR_LOOKS));
  }
}
