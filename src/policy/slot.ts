// The right to have one request run at an upstream, as a value: whoever counts makes it (cloud/), whoever
// sends uses it and gives it back (proxy/). Where the upstream names a `concurrency` there are no more of
// them.
//
//   taken ──free(sign)──► free                  Invariant: it is given back exactly once, on every path.
//     └─answers()─┘

import type { Hindrance } from "./hindrance.ts";
import type { Upstream } from "./policy.ts";

export interface Slot {
  readonly upstream: Upstream;
  /** What runs in it has been answered well, however long its reply may take: the upstream works. */
  answers(): void;
  /** Throws when it is given back a second time. */
  free(sign: Sign): void;
}

/** What the use of a slot says about the upstream's health. */
export type Sign =
  /** It answered, whatever it said to this one request. */
  | { readonly kind: "well" }
  /** It is to blame. `missed`: it was not even reached, so that whoever reaches it later knows better. */
  | { readonly kind: "ill"; readonly why: string; readonly missed: boolean }
  /** Something else ended the request: the client, a budget, an operator. */
  | { readonly kind: "unclear" }
  /** Nothing was sent: the upstream has not noticed. */
  | { readonly kind: "unused" };

/** A request that costs nothing takes no slot: it is a call like any other, where those are limited. */
export type Call =
  | {
      readonly kind: "called";
      /** No byte has left. */
      unused(): void;
    }
  | Extract<Hindrance, { kind: "rated" }>;
