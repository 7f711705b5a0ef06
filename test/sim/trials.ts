// Who is sent somewhere to learn, counted apart from the code that is checked: never two at once, and never
// twice in an hour to one upstream for like work (MONEY §5).

import { lessonOf } from "../../src/ledger/lessons.ts";
import type { Lesson } from "../../src/metering/learned-times.ts";
import { HOUR } from "../../src/metering/time.ts";
import type { Decision } from "../../src/policy/decision.ts";
import { Learning } from "../../src/policy/learning.ts";
import type { Task } from "../../src/policy/task.ts";
import type { FakeDisk } from "../support/fake-disk.ts";

export class WatchedLearning extends Learning {
  readonly #count: (what: string) => void;
  readonly #tries: { readonly task: string; readonly what: string; readonly at: number }[] = [];
  readonly #running = new Set<string>();

  /** After a power cut: with what the disk still knows. */
  constructor(disk: FakeDisk, count: (what: string) => void) {
    super();
    this.#count = count;
    for (const { request, at, facts, work, tries } of disk.decisions.values()) {
      const { upstream, model } = facts;
      if (work === undefined || upstream === undefined || model === undefined || !tries) continue;
      this.tried({ upstream, model, bucket: work }, at);
      this.#tries.push({ task: request, what: `${upstream} ${work}`, at });
    }
    for (const lesson of lessonsOn(disk)) this.learn(lesson);
  }

  override follow(task: Pick<Task, "id" | "model">, decision: Decision): void {
    super.follow(task, decision);
    this.#running.delete(task.id);
    if (decision.kind !== "forward" || decision.quote.standing !== "tried") return;
    const what = `${decision.quote.upstream.id} ${decision.quote.bucket}`;
    const { at } = decision.explanation;
    const [other] = this.#running;
    if (other !== undefined) throw new Error(`${task.id} tries ${what} while ${other} tries`);
    const before = this.#tries.find((one) => one.what === what && one.at > at - HOUR);
    if (before !== undefined) throw new Error(`${task.id} tries ${what} soon after ${before.task}`);
    this.#running.add(task.id);
    this.#tries.push({ task: task.id, what, at });
    this.#count("tried");
  }

  /** As the simulation sees it. */
  ended(task: string): void {
    this.#running.delete(task);
  }
}

function lessonsOn(disk: FakeDisk): readonly Lesson[] {
  return [...disk.endings.values()].flatMap((ending) => {
    const { facts, work: bucket, expected } = disk.decisions.get(ending.request) ?? {};
    if (!facts?.model || !facts.upstream || bucket === undefined) return [];
    const place = { model: facts.model, upstream: facts.upstream, tier: facts.gpu_tier, bucket };
    const { outcome, status, elapsed, endedAt: at } = ending;
    return lessonOf({ ...place, expected, outcome, status, elapsed, at }) ?? [];
  });
}

/** Nobody tells it anything, so nothing is known and nothing is tried. */
export function untaught(): Learning {
  return new Learning();
}
