// Asks upstreams whether they are ready, where nothing else tells: so that one that has come back is used
// within seconds, and one that is down is known before a request meets it. It knows no HTTP; whoever makes
// it says how to ask.
//
// Looked at every LOOK, and asked only where it is worth it:
//   ejected                       at each look; who is not local, for WANTED after its last request
//   local, not known or failing   at each look, unless a request is running there
//   local, well, unused           when nothing was heard of it for IDLE
// Others are asked only while ejected, and while somebody may still want them: a request may wake what is
// billed by the second, and a machine that is kept awake by probes never costs nothing. Never asked:
// nvidia-hosted, which is no machine of anybody's, and whatever has a rate_limit, which a probe would eat.
//
// Invariant: one probe at a time for each upstream; none begins for an upstream that is not in the policy.

import { type DurationUs, MINUTE, milliseconds, SECOND } from "../metering/time.ts";
import type { Policy, Upstream } from "../policy/policy.ts";
import type { Fleet } from "./fleet.ts";
import type { Probed } from "./health.ts";

export interface ReadinessParts {
  readonly fleet: Fleet;
  /** Never rejects. `signal`: nobody wants to know any more. */
  ask(upstream: Upstream, signal: AbortSignal): Promise<Probed>;
  monotonic(): DurationUs;
  /** [0, 1) */
  random(): number;
  /** Between two looks at an upstream; LOOK unless a test is in a hurry. */
  readonly look?: DurationUs;
}

const LOOK = (5 * SECOND) as DurationUs;
const IDLE = MINUTE;
/** To know is worth waking a machine only while there are requests; later the next one finds out. */
const WANTED = (5 * MINUTE) as DurationUs;
/** Of the time between two looks, up or down: gateways that started together do not ask together. */
const JITTER = 0.2;

export class Readiness {
  readonly #parts: ReadinessParts;
  readonly #watched = new Map<string, Watch>();

  constructor(parts: ReadinessParts) {
    this.#parts = parts;
  }

  /** Watches what the policy names, and nothing else. */
  follow(policy: Policy): void {
    for (const [id, watch] of this.#watched) {
      const upstream = policy.upstreams.get(id);
      if (upstream !== undefined && mayAsk(upstream) && upstream.url === watch.upstream.url) {
        watch.upstream = upstream;
      } else {
        watch.end();
        this.#watched.delete(id);
      }
    }
    for (const upstream of policy.upstreams.values()) {
      if (!mayAsk(upstream) || this.#watched.has(upstream.id)) continue;
      this.#watched.set(upstream.id, new Watch(upstream, this.#parts));
    }
  }

  close(): void {
    for (const watch of this.#watched.values()) watch.end();
    this.#watched.clear();
  }
}

class Watch {
  upstream: Upstream;
  readonly #parts: ReadinessParts;
  readonly #ended = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(upstream: Upstream, parts: ReadinessParts) {
    this.upstream = upstream;
    this.#parts = parts;
    // The first look comes at any time within the first interval.
    this.#plan(parts.random());
  }

  end(): void {
    this.#ended.abort();
    clearTimeout(this.#timer);
  }

  #plan(intervals: number): void {
    const delay = milliseconds(this.#parts.look ?? LOOK) * intervals;
    this.#timer = setTimeout(() => void this.#look(), delay);
    // The daemon is not kept alive to ask.
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    const { fleet, ask, monotonic, random } = this.#parts;
    if (isWorthAsking(this.upstream, fleet.station(this.upstream), monotonic())) {
      const { upstream } = this;
      const found = await ask(upstream, this.#ended.signal);
      if (!this.#ended.signal.aborted) fleet.probed(upstream, found);
    }
    if (!this.#ended.signal.aborted) this.#plan(1 + JITTER * (2 * random() - 1));
  }
}

function mayAsk({ url, provider, rateLimit }: Upstream): boolean {
  return url !== undefined && provider !== "nvidia-hosted" && rateLimit === undefined;
}

function isWorthAsking(
  { provider }: Upstream,
  { running, health, usedAt }: ReturnType<Fleet["station"]>,
  now: DurationUs,
): boolean {
  if (health.kind === "ejected")
    return provider === "local" || (usedAt !== undefined && now - usedAt < WANTED);
  if (provider !== "local" || running > 0) return false;
  const isSure = health.kind === "well" && health.failures === 0;
  return !isSure || now - (health.heardAt ?? 0) >= IDLE;
}
