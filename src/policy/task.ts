// What is known about a request before any decision: who asks, for which model, and how much work it is.
// It knows nothing of sockets; proxy/identify.ts makes it.

import type { Instant } from "../metering/time.ts";

export interface Task {
  /** The gateway's own id: "r-" and a UUIDv7 without dashes. */
  readonly id: string;
  readonly clientRequestId: string | undefined;
  readonly at: Instant;
  readonly model: string;
  readonly labels: Labels;
  readonly work: Work;
  /** Manual mode only: chosen by X-BudgetGuard-Provider and -Tier. */
  readonly provider: string | undefined;
  readonly gpuTier: string | undefined;
}

/** Each at most 128 characters; `user` is "unknown" when nobody said. */
export interface Labels {
  readonly user: string;
  readonly workflow: string | undefined;
  readonly session: string | undefined;
  readonly task: string | undefined;
  readonly node: string | undefined;
  readonly project: string | undefined;
  readonly tag: string | undefined;
}

/** How much is asked for, read from the first 64 KiB of the body. Absent facts are undefined. */
export interface Work {
  /** `samples` or `n`, which for language models counts the choices; 1 when the body does not say. */
  readonly images: number;
  readonly width: number | undefined;
  readonly height: number | undefined;
  readonly steps: number | undefined;
  /** Of each choice. */
  readonly maxTokens: number | undefined;
  /** Of the body, or the most that it can be; undefined where an estimate is asked for without a body. */
  readonly bytes: number | undefined;
  readonly stream: boolean;
  /** What is asked of a visual NIM: some upstreams can serve only some of it. */
  readonly picture: Picture;
}

export type Picture =
  /** There is no request yet: an estimate, or a question of readiness. */
  | { readonly kind: "unseen" }
  /** It asks for something else: another path than POST /v1/infer. */
  | { readonly kind: "none" }
  /** Its body is longer than what is looked at, or no JSON object. */
  | { readonly kind: "unread" }
  | ({ readonly kind: "read" } & PictureFacts);

/** No prompt and no image: facts about them. */
export interface PictureFacts {
  /** In UTF-16 code units; 0 where there is none. */
  readonly promptLength: number;
  readonly mode: "base" | "canny" | "depth";
  /** `example`: one of the pictures that NVIDIA's preview has itself. */
  readonly image: "none" | "example" | "own";
  readonly cfgScale: number | undefined;
  readonly seed: number | undefined;
  /** The first thing in it that is said in no way that is known, in words: "width is no whole number". */
  readonly odd: string | undefined;
}

/** Of a request that names no task: the gateway's own id of it, which it is counted by. */
export function isOwnTask(task: string): boolean {
  return /^r-[0-9a-f]{32}$/.test(task);
}
