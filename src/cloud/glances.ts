// While somebody watches, what is known is fresh: each time that the list is asked for, whatever was not
// looked at for 5 s is looked at. Who asks once causes one look, who polls keeps them coming.
//
// Invariant: such looks take no more than half of what a provider's `calls_per_minute` allows, however many
// watch; what has trouble keeps its own pauses.

import { type DurationUs, type Instant, MINUTE, SECOND } from "../metering/time.ts";
import type { Container } from "../policy/container.ts";
import type { Cloud } from "../policy/settings.ts";
import { cloudOf } from "./cloud-call.ts";
import type { OrderedGroup } from "./placing.ts";

/** One that is watched. */
export interface Glanced {
  /** Undefined: a machine that only its containers tell of. */
  readonly target: Container | OrderedGroup | undefined;
  readonly watch: { view(): { readonly seenAt: Instant | undefined }; glance(): void };
}

export interface GlanceParts {
  callsPerMinute(cloud: Cloud): number;
  now(): Instant;
}

const PACE = (5 * SECOND) as DurationUs;
/** A look at a service of ECS: itself, its tasks' list, the tasks, the instance and its address. */
const CALLS_A_LOOK = 5;
const SHARE = 0.5;

export class Glances {
  readonly #parts: GlanceParts;
  readonly #last = new WeakMap<Glanced["watch"], Instant>();

  constructor(parts: GlanceParts) {
    this.#parts = parts;
  }

  /** Somebody has asked how things are. */
  at(all: readonly Glanced[]): void {
    const now = this.#parts.now();
    const clouds = all.map(({ target }) => cloudUnder(target));
    for (const [index, { watch }] of all.entries()) {
      const cloud = clouds[index];
      const pace = this.#pace(cloud, clouds.filter((one) => one === cloud).length);
      const last = Math.max(this.#last.get(watch) ?? 0, watch.view().seenAt ?? 0);
      if (now - last < pace) continue;
      this.#last.set(watch, now);
      watch.glance();
    }
  }

  #pace(cloud: Cloud | undefined, watched: number): DurationUs {
    if (cloud === undefined) return PACE;
    const calls = this.#parts.callsPerMinute(cloud) * SHARE;
    return Math.max(PACE, Math.ceil((watched * CALLS_A_LOOK * MINUTE) / calls)) as DurationUs;
  }
}

function cloudUnder(target: Glanced["target"]): Cloud | undefined {
  return target === undefined || target.kind === "docker" ? undefined : cloudOf(target);
}
