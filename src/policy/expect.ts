// How long a request is expected to take at an upstream, and from where that is known: learned, else the
// policy's `estimate`, else the origin's table, else a guess (MONEY §3, §5). It decides nothing; rank.ts
// compares.

import type { LearnedTimes, LikeWork } from "../metering/learned-times.ts";
import { originTime } from "../metering/origin-times.ts";
import type { SuccessShare } from "../metering/success-share.ts";
import { type DurationUs, type Instant, seconds } from "../metering/time.ts";
import { bucketOf, type WorkBucket, type WorkFacts } from "../metering/work-bucket.ts";
import type { Model, Upstream } from "./policy.ts";
import type { Task, Work } from "./task.ts";

/** How long a request is taken to run where neither the policy nor history says. */
export const UNLEARNED_TIME: DurationUs = seconds(30);
/** A token is about this many bytes of JSON text. */
const BYTES_PER_TOKEN = 4;

/** What a decision may know of earlier requests. */
export interface Known extends Pick<LearnedTimes, "like"> {
  /** Whether this request may be sent there now to learn how long its work takes there (MONEY §5). */
  mayTry(trial: Trial, at: Instant): boolean;
  /** How much of what is sent there succeeds; absent or undefined: enough, or too little is known. */
  success?(upstream: string, at: Instant): SuccessShare | undefined;
}

export const NOTHING_KNOWN: Known = { like: () => undefined, mayTry: () => false };

/** `task`: the id of the request that would try. */
export interface Trial {
  readonly task: string;
  readonly upstream: string;
  readonly model: string;
  readonly bucket: WorkBucket;
}

/** `time` is the median where it is learned, `most` the upper quantile; the same elsewhere. */
export interface Expected {
  readonly bucket: WorkBucket;
  readonly time: DurationUs;
  readonly most: DurationUs;
  readonly source: TimeSource;
}

export type TimeSource =
  | { readonly kind: "learned"; readonly requests: number; readonly from: "upstream" | "tier" }
  /** Longer than what the policy or the table says, for requests ran so long there and were ended. */
  | { readonly kind: "at_least" }
  | { readonly kind: "policy" }
  | { readonly kind: "origin"; readonly tier: string }
  | { readonly kind: "guess" };

/** Of one request at all candidates: what does not depend on them is found once. */
export class Expectations {
  readonly bucket: WorkBucket;
  readonly #task: Task;
  readonly #model: Model;
  readonly #known: Known;
  readonly #at: Instant;
  readonly #like: LikeWork | undefined;
  #fastest: { readonly time: DurationUs | undefined } | undefined;

  constructor(task: Task, model: Model, known: Known, at: Instant) {
    this.#task = task;
    this.#model = model;
    this.#known = known;
    this.#at = at;
    this.bucket = bucketOf(factsOf(task.work));
    this.#like = known.like(model.id, this.bucket);
  }

  at(upstream: Upstream): Expected {
    const { bucket } = this;
    const learned = this.#like?.learned(upstream.id, upstream.gpuTier, this.#at);
    if (learned !== undefined) {
      const { median: time, upper: most, requests, from } = learned;
      return { bucket, time, most, source: { kind: "learned", requests, from } };
    }
    const { time, source } = this.#untaught(upstream);
    const atLeast = this.#like?.atLeast(upstream.id, this.#at);
    if (atLeast === undefined || atLeast <= time) return { bucket, time, most: time, source };
    return { bucket, time: atLeast, most: atLeast, source: { kind: "at_least" } };
  }

  /** The shortest that such work is known to take anywhere; undefined where no place is known. */
  get fastest(): DurationUs | undefined {
    this.#fastest ??= { time: this.#like?.fastest(this.#at) };
    return this.#fastest.time;
  }

  mayTry({ id }: Upstream): boolean {
    const { id: task } = this.#task;
    return this.#known.mayTry({ task, upstream: id, model: this.#model.id, bucket: this.bucket }, this.#at);
  }

  #untaught({ gpuTier }: Upstream): Pick<Expected, "time" | "source"> {
    const { estimate } = this.#model;
    if (estimate !== undefined) return { time: estimate, source: { kind: "policy" } };
    const { width, height, steps, images } = this.#task.work;
    if (gpuTier !== undefined && width !== undefined && height !== undefined && steps !== undefined) {
      const time = originTime(gpuTier, { width, height, steps, images });
      if (time !== undefined) return { time, source: { kind: "origin", tier: gpuTier } };
    }
    return { time: UNLEARNED_TIME, source: { kind: "guess" } };
  }
}

/** Rounded up. */
export function promptTokens({ bytes }: Work): number {
  return Math.ceil((bytes ?? 0) / BYTES_PER_TOKEN);
}

function factsOf(work: Work): WorkFacts {
  const { width, height, steps, images, maxTokens, picture } = work;
  const isSized = width !== undefined || height !== undefined || steps !== undefined;
  if (isSized || picture.kind === "read" || picture.kind === "unread") {
    return { kind: "picture", width, height, steps, images };
  }
  if (picture.kind === "unseen" && maxTokens === undefined) return { kind: "unsaid" };
  const answer = maxTokens === undefined ? undefined : maxTokens * images;
  return { kind: "tokens", prompt: promptTokens(work), answer };
}

/** "learned from 12 requests", "the policy's estimate" */
export function describeSource(source: TimeSource): string {
  switch (source.kind) {
    case "learned":
      return `learned from ${source.requests} requests${source.from === "tier" ? " on its GPU tier" : ""}`;
    case "at_least":
      return "at least: requests that ran so long were ended before they were done";
    case "policy":
      return "the policy's estimate";
    case "origin":
      return `the table's time for ${source.tier}`;
    case "guess":
      return "a guess: nothing is known yet";
  }
}
