// Which upstreams can serve, and how busy they are. Containers are not started or watched yet: every
// upstream that the policy gives an address counts as up.

import type { Model, Policy, Upstream } from "../policy/policy.ts";
import type { Candidate } from "../policy/rank.ts";

export class Fleet {
  readonly #inFlight = new Map<string, number>();

  /** The model's upstreams that have an address, in the policy's order. */
  candidates(policy: Policy, model: Model): readonly Candidate[] {
    return model.upstreams.flatMap((id) => {
      const upstream = policy.upstreams.get(id);
      if (upstream?.url === undefined) return [];
      return [{ upstream, inFlight: this.inFlight(id) }];
    });
  }

  /** Counts a request in; the returned call counts it out, once. */
  enter(upstream: Upstream): () => void {
    this.#add(upstream.id, 1);
    let isIn = true;
    return () => {
      if (isIn) this.#add(upstream.id, -1);
      isIn = false;
    };
  }

  inFlight(upstream: string): number {
    return this.#inFlight.get(upstream) ?? 0;
  }

  #add(id: string, change: number): void {
    const count = this.inFlight(id) + change;
    if (count === 0) this.#inFlight.delete(id);
    else this.#inFlight.set(id, count);
  }
}
