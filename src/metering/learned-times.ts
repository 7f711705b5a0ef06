// How long requests took, by model, work bucket and place (an upstream, or all of one GPU tier), learned from
// their endings. It reads no clock and no ledger: lessons come in, in the order of time, live or from the
// ledger at start. Memory is bounded; what was not taught for longest is forgotten first.

import { type LearnedTime, Samples } from "./samples.ts";
import type { DurationUs, Instant } from "./time.ts";
import type { WorkBucket } from "./work-bucket.ts";

/** One request that has ended: the whole of its work, or a lower bound of it. */
export interface Lesson {
  readonly model: string;
  readonly bucket: WorkBucket;
  readonly upstream: string;
  readonly tier: string | undefined;
  readonly at: Instant;
  readonly elapsed: DurationUs;
  readonly isWhole: boolean;
  readonly expected: DurationUs | undefined;
}

/** `tier`: not from the upstream itself, but from all of its GPU tier. */
export interface Learned extends LearnedTime {
  readonly from: "upstream" | "tier";
}

/** Places over all models and buckets; each takes at most some 5 kB. */
const MOST_PLACES = 4_000;

export class LearnedTimes {
  readonly #groups = new Map<string, LikeWork>();
  /** The groups' places, those longest without a lesson first. */
  readonly #places = new Map<string, { readonly group: string; readonly place: string }>();

  learn(lesson: Lesson): void {
    const { model, bucket, upstream, tier } = lesson;
    const key = groupKey(model, bucket);
    const group = this.#groups.get(key) ?? new LikeWork(model);
    this.#groups.set(key, group);
    this.#teach(key, group, upstreamPlace(upstream), lesson);
    if (tier !== undefined) this.#teach(key, group, tierPlace(tier), lesson);
  }

  /** What was learned of one model's requests of like work; undefined where nothing was. */
  like(model: string, bucket: WorkBucket): LikeWork | undefined {
    return this.#groups.get(groupKey(model, bucket));
  }

  /**
   * By model, over the samples that are remembered: what expectations were off by, as a share of the
   * time that the work took. 0 is right each time, 1 is off by as much as it took.
   */
  errors(at: Instant): ReadonlyMap<string, number> {
    const sums = new Map<string, { off: number; took: number }>();
    for (const group of this.#groups.values()) {
      const sum = sums.get(group.model) ?? { off: 0, took: 0 };
      sums.set(group.model, sum);
      const { off, took } = group.error(at);
      sum.off += off;
      sum.took += took;
    }
    return new Map(
      [...sums].flatMap(([model, { off, took }]) => (took === 0 ? [] : [[model, off / took] as const])),
    );
  }

  #teach(key: string, group: LikeWork, place: string, lesson: Lesson): void {
    group.teach(place, lesson);
    const whole = `${key}\n${place}`;
    this.#places.delete(whole);
    this.#places.set(whole, { group: key, place });
    if (this.#places.size <= MOST_PLACES) return;
    const [oldest] = this.#places;
    if (oldest === undefined) return;
    const [name, { group: of, place: gone }] = oldest;
    this.#places.delete(name);
    if (this.#groups.get(of)?.forget(gone)) this.#groups.delete(of);
  }
}

/** One model's requests of one bucket. */
export class LikeWork {
  readonly model: string;
  readonly #places = new Map<string, Samples>();

  constructor(model: string) {
    this.model = model;
  }

  teach(place: string, { at, elapsed, isWhole, expected }: Lesson): void {
    const samples = this.#places.get(place) ?? new Samples();
    this.#places.set(place, samples);
    samples.add({ at, elapsed, isWhole, expected });
  }

  /** Whether nothing is left. */
  forget(place: string): boolean {
    this.#places.delete(place);
    return this.#places.size === 0;
  }

  /** From the upstream itself; where that has too few, from its tier. */
  learned(upstream: string, tier: string | undefined, at: Instant): Learned | undefined {
    const own = this.#at(upstreamPlace(upstream), at)?.learned;
    if (own !== undefined) return { ...own, from: "upstream" };
    const alike = tier === undefined ? undefined : this.#at(tierPlace(tier), at)?.learned;
    return alike && { ...alike, from: "tier" };
  }

  /** That so many ran so long there and were ended; undefined where too few were. */
  atLeast(upstream: string, at: Instant): DurationUs | undefined {
    return this.#at(upstreamPlace(upstream), at)?.atLeast;
  }

  /** The shortest median of any place. */
  fastest(at: Instant): DurationUs | undefined {
    let fastest: DurationUs | undefined;
    for (const samples of this.#places.values()) {
      const median = samples.summary(at).learned?.median;
      if (median !== undefined && (fastest === undefined || median < fastest)) fastest = median;
    }
    return fastest;
  }

  /** Of upstreams only: a tier has the same requests once more. */
  error(at: Instant): { readonly off: number; readonly took: number } {
    let [off, took] = [0, 0];
    for (const [place, samples] of this.#places) {
      if (!place.startsWith(UPSTREAM)) continue;
      const summary = samples.summary(at);
      off += summary.off;
      took += summary.took;
    }
    return { off, took };
  }

  #at(place: string, at: Instant) {
    return this.#places.get(place)?.summary(at);
  }
}

const UPSTREAM = "upstream ";

function upstreamPlace(upstream: string): string {
  return `${UPSTREAM}${upstream}`;
}

function tierPlace(tier: string): string {
  return `tier ${tier}`;
}

function groupKey(model: string, bucket: WorkBucket): string {
  return `${model}\n${bucket}`;
}
