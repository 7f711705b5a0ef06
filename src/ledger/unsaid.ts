// Joins and leavings of requests that were not handed to the disk yet. Each is said once: a crowd of n that
// repeated them would say n² of them. Those that the disk refuses go with whatever is written next, as they
// are by then.

import type { OpenHold } from "./held.ts";
import type { Write } from "./store.ts";

type Said = NonNullable<Write["joins"]>[number];

export class Unsaid {
  readonly #holds = new Set<OpenHold>();
  readonly #sayers = new WeakMap<Said, OpenHold>();

  add(hold: OpenHold): void {
    this.#holds.add(hold);
  }

  /** All since they were last asked for. */
  take(): readonly Said[] {
    const joins = [...this.#holds].flatMap((hold) => this.#say(hold));
    this.#holds.clear();
    return joins;
  }

  refused(joins: readonly Said[]): void {
    for (const said of joins) {
      const hold = this.#sayers.get(said);
      if (hold !== undefined) this.#holds.add(hold);
    }
  }

  #say(hold: OpenHold): readonly Said[] {
    if (hold.join === undefined) return [];
    const said = { id: hold.row.id, join: hold.join };
    this.#sayers.set(said, hold);
    return [said];
  }
}
