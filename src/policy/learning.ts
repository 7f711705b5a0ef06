// What the house has learned of how long requests take, and which request is sent somewhere to learn
// that: one at a time, and one an hour for each upstream, model and work bucket (MONEY §5). `decide`
// only looks at it; the tick of a decision tells it what came of it, like the slot.
//
//   nobody tries ──follow(a forward that tries)──► one tries
//        ▲                                            │
//        └────end(), or follow(any other) of its task──┘
//
// Invariant: while one tries, mayTry is false for every other request.

import { LearnedTimes, type Lesson, type LikeWork } from "../metering/learned-times.ts";
import { type SuccessShare, SuccessShares } from "../metering/success-share.ts";
import { between, HOUR, type Instant } from "../metering/time.ts";
import type { Outcome } from "./admission.ts";
import type { Decision } from "./decision.ts";
import type { Known, Trial } from "./expect.ts";
import type { Task } from "./task.ts";

export class Learning implements Known {
  readonly #times = new LearnedTimes();
  readonly #successes = new SuccessShares();
  /** By what was tried, the longest ago first; older than an hour they are forgotten. */
  readonly #tried = new Map<string, Instant>();
  #trial: (Pick<Trial, "task"> & { readonly key: string }) | undefined;

  learn(lesson: Lesson): void {
    this.#times.learn(lesson);
  }

  like(model: string, bucket: string): LikeWork | undefined {
    return this.#times.like(model, bucket);
  }

  /** How a request ended that was sent there, in the order of time. */
  ended(
    upstream: string,
    ending: { readonly outcome: Outcome; readonly status?: number | undefined },
    at: Instant,
  ): void {
    const isGood = isSuccess(ending.outcome, ending.status);
    if (isGood !== undefined) this.#successes.tell(upstream, isGood, at);
  }

  success(upstream: string, at: Instant): SuccessShare | undefined {
    return this.#successes.of(upstream, at);
  }

  /** What expectations were off by, by model: see LearnedTimes. */
  errors(at: Instant): ReadonlyMap<string, number> {
    return this.#times.errors(at);
  }

  mayTry(trial: Trial, at: Instant): boolean {
    const key = keyOf(trial);
    // A ledger that is shared may decide again for the same request: that is no second one.
    if (this.#trial !== undefined) return this.#trial.task === trial.task && this.#trial.key === key;
    const tried = this.#tried.get(key);
    return tried === undefined || between(tried, at) >= HOUR;
  }

  /** In the tick of the decision, each time it is made. */
  follow({ id, model }: Pick<Task, "id" | "model">, decision: Decision): void {
    this.end(id);
    if (decision.kind !== "forward" || decision.quote.standing !== "tried") return;
    const { upstream, bucket } = decision.quote;
    const trial = { task: id, upstream: upstream.id, model, bucket };
    this.#trial = { task: id, key: keyOf(trial) };
    this.tried(trial, decision.explanation.at);
  }

  /** However the request has ended. */
  end(task: string): void {
    if (this.#trial?.task === task) this.#trial = undefined;
  }

  /** Also of those that the ledger remembers at start. In the order of time. */
  tried(trial: Omit<Trial, "task">, at: Instant): void {
    const key = keyOf(trial);
    this.#tried.delete(key);
    this.#tried.set(key, at);
    for (const [old, then] of this.#tried) {
      if (between(then, at) < HOUR) break;
      this.#tried.delete(old);
    }
  }
}

/** What an ending teaches: the whole of the work, a lower bound of it, or nothing (MONEY §5). */
export function teaches(outcome: Outcome, status: number | undefined): "whole" | "bound" | undefined {
  // A tunnel is open for as long as its client likes.
  if (status === SWITCHED) return undefined;
  switch (outcome) {
    case "relayed":
      // Another answer than a 2xx was an error, and quickly made.
      return status !== undefined && status >= 200 && status < 300 ? "whole" : undefined;
    case "failed":
    case "aborted":
    case "truncated":
    case "cut":
      return "bound";
    case "refused":
    case "no_upstream":
    case "unsent":
    case "unknown":
      return undefined;
  }
}

/** Undefined where it was not the upstream that decided how it ended. */
function isSuccess(outcome: Outcome, status: number | undefined): boolean | undefined {
  if (outcome === "failed" || outcome === "truncated") return false;
  if (outcome !== "relayed" || status === undefined) return undefined;
  if (status >= 500) return false;
  return status < 300 || undefined;
}

const SWITCHED = 101;

function keyOf({ upstream, model, bucket }: Omit<Trial, "task">): string {
  return `${upstream}\n${model}\n${bucket}`;
}
