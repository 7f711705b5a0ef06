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
}
