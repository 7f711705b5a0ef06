// Which share of its requests each upstream has answered well of late: what a price per request becomes per
// success. It reads no clock. Requests that ended for another reason (a client that left, a wrong request, a
// cut) say nothing.

import { between, DAY, type DurationUs, type Instant } from "./time.ts";

/** Fewer say nothing yet. */
const ENOUGH = 20;
/** The newest of them. */
const MOST = 50;
const WINDOW = (7 * DAY) as DurationUs;
const MOST_UPSTREAMS = 1_000;
/** However much failed: a price grows to four times itself, and a success is still waited for. */
const LEAST_PERCENT = 25;

export interface SuccessShare {
  /** Of so many requests. */
  readonly requests: number;
  readonly successes: number;
}

interface Ended {
  readonly at: Instant;
  readonly isSuccess: boolean;
}

export class SuccessShares {
  readonly #ended = new Map<string, readonly Ended[]>();

  /** In the order of time. */
  tell(upstream: string, isSuccess: boolean, at: Instant): void {
    const all = [...(this.#ended.get(upstream) ?? []), { at, isSuccess }].slice(-MOST);
    this.#ended.delete(upstream);
    this.#ended.set(upstream, all);
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > MOST_UPSTREAMS && oldest !== undefined) this.#ended.delete(oldest);
  }

  /** Undefined while too little is known, and where nothing failed. */
  of(upstream: string, at: Instant): SuccessShare | undefined {
    const recent = (this.#ended.get(upstream) ?? []).filter((one) => between(one.at, at) < WINDOW);
    const successes = recent.filter(({ isSuccess }) => isSuccess).length;
    if (recent.length < ENOUGH || successes === recent.length) return undefined;
    return { requests: recent.length, successes };
  }
}

/** What a success costs where each request costs `amount`: rounded up, at most four times that. */
export function perSuccess<Q extends bigint>(amount: Q, share: SuccessShare | undefined): Q {
  if (share === undefined) return amount;
  const [all, least] = [BigInt(share.requests) * 100n, BigInt(share.requests * LEAST_PERCENT)];
  const good = BigInt(share.successes) * 100n;
  const by = good > least ? good : least;
  return ((amount * all + by - 1n) / by) as Q;
}
