// What came of one attempt to send a request to one upstream.

import type { Ending } from "../policy/admission.ts";

/** What is to be told in place of a reply. `unreadable`: it came whole, but not as clients can take it. */
export type Fault = (
  | {
      readonly kind: "timeout" | "broken" | "too_large" | "stalled" | "client_gone" | "cancelled";
    }
  /** By which budget; undefined where none called for it. */
  | { readonly kind: "cut"; readonly budget?: string | undefined }
  | {
      readonly kind: "unreadable";
      readonly status: number;
      /** The upstream's own words, for the client alone: they may quote its prompt. Empty if it has none. */
      readonly said: string;
      /** Whose words these are, where they might be taken for the gateway's own. */
      readonly speaker: "nvidia-hosted" | undefined;
      /** As the upstream said it. */
      readonly retryAfter: string | undefined;
    }
) & {
  /** A sentence for the log and for the client. */
  readonly reason: string;
};

/** Why nothing was sent. */
export type UnsentWhy = "unreachable" | "unsendable" | "not_started" | "client_gone" | "cut" | "cancelled";

export type Relayed =
  | {
      readonly kind: "unsent";
      readonly why: UnsentWhy;
      /** Whether another upstream may be asked: this one was the trouble, and the body is still all there. */
      readonly replayable: boolean;
      readonly cause: Error;
    }
  | {
      readonly kind: "ended";
      readonly ending: Ending;
      /** Undefined where the client gets the reply: the outcome is `relayed`, and the reply a good one. */
      readonly fault: Fault | undefined;
      /** From the first byte sent to the reply's head. */
      readonly firstByteAfterMs: number | undefined;
      /** Of the reply's body, as they came from the upstream. */
      readonly bytes: number;
      /** Whether the client has seen anything of the reply: then it can only be broken off, not answered. */
      readonly headSent: boolean;
      /** Lets the last piece go. */
      finish(): void;
      /** Breaks the client's connection, so that nothing looks complete. */
      destroy(): void;
    };
