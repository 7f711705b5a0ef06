// One machine group, watched: what runs there as its provider says, told to the ledger instance by instance;
// raised when somebody needs it, lowered when nobody does any more.
//
//   off ──raise──► starting ──a container on it serves──► ready ──nobody needs it──► stopping ──► off
//   failed: an order did nothing, or nothing came of it. Whoever else scales it moves it too.
//
// Invariant: what its provider does not list in two looks is gone, and nothing else is; no more orders leave
// than its provider takes (AKS: 20, then one a minute).

import { type DurationUs, type Instant, MINUTE, SECOND } from "../metering/time.ts";
import type { HostSighting, Instance, Trouble, TroubleKind } from "./adapter.ts";
import type { HostParts } from "./host-parts.ts";
import { type HostState, type HostView, TOO_LATE } from "./host-view.ts";
import { OrderPace } from "./order-pace.ts";
import { Poll } from "./poll.ts";
import { Release } from "./release.ts";

/** A read may still show what was so before an order. */
const SETTLES = (30 * SECOND) as DurationUs;
const DONE_WITHIN = (15 * MINUTE) as DurationUs;
const REFUSALS: ReadonlySet<TroubleKind> = new Set(["failed", "operation_failed", "denied", "not_found"]);

interface Goal {
  readonly kind: "raise" | "lower";
  /** When its order left; undefined while it waits for its turn. */
  sent: Instant | undefined;
}

export class HostWatch {
  readonly #parts: HostParts;
  readonly #poll: Poll<HostSighting>;
  readonly #pace: OrderPace;
  #seen: HostSighting | undefined;
  #seenAt: Instant | undefined;
  /** That run, as far as is known, and how often in a row its provider did not list them. */
  readonly #known = new Map<string, { instance: Instance; misses: number }>();
  /** Instances on which a container has served. */
  readonly #served = new Set<string>();
  /** Told to be gone, as long as its provider still lists them so. */
  readonly #over = new Set<string>();
  #looks = 0;
  #goal: Goal | undefined;
  /** Of the last raise: whoever comes while it is under way hears what comes of it. */
  #raising: Promise<void> = Promise.resolve();
  #why: string | undefined;
  /** At what; a group that its provider does not know failed at being seen. */
  #failedAt: Goal["kind"] | "seen" | undefined;
  #rival: string | undefined;
  readonly #release: Release;

  constructor(parts: HostParts) {
    this.#parts = parts;
    // Why it did not do is in its view.
    const lower = () => {
      if (!parts.isDryRun()) void this.#order("lower").catch(() => undefined);
    };
    this.#release = new Release({ ...parts, lower });
    this.#pace = new OrderPace(parts);
    this.#poll = new Poll({
      ...parts,
      observe: (signal) => parts.host.observe(signal),
      ...{ take: (seen) => this.#take(seen), miss: (trouble) => this.#miss(trouble) },
      isMoving: () => this.#isMoving(),
    });
  }

  look(): Promise<void> {
    return this.#poll.look();
  }

  /** Somebody would like to know. */
  glance(): void {
    this.#poll.glance();
  }

  end(): void {
    this.#poll.end();
    this.#release.end();
    this.#pace.end();
  }

  view(): HostView {
    return {
      state: this.#state(),
      instances: [...this.#known.values()].map(({ instance }) => instance),
      wanted: this.#seen?.wanted,
      seenAt: this.#seenAt,
      why: this.#why,
      scaledByOthers: this.#rival ?? this.#seen?.scaledByOthers,
    };
  }

  /** Resolves once its provider has taken the order: whether it needed one; throws Trouble. */
  async raise(): Promise<boolean> {
    this.#release.revoke();
    const isBroken = this.#failedAt === "raise" && this.#known.size === 0;
    this.#failedAt = undefined;
    if (this.#goal?.kind === "raise") {
      await this.#raising;
      return false;
    }
    const isUp = (this.#seen?.wanted ?? 0) > 0 && this.#goal?.kind !== "lower" && !isBroken;
    if (!this.#parts.isOrderable || isUp) return false;
    this.#raising = this.#order("raise");
    await this.#raising;
    return true;
  }

  /** It is lowered as soon as nobody needs it. */
  release(): void {
    if (this.#parts.isOrderable) this.#release.begin();
    this.#consider();
  }

  /** A container on it is in another state. */
  containersChanged(): void {
    const all = [...this.#known.keys()];
    if (!this.#parts.isOrderable) void this.#poll.look();
    else if (this.#parts.serves() && all.some((id) => !this.#served.has(id))) this.#tell();
    this.#consider();
  }

  /** Nobody is told of a goal that a later one has replaced: its call does not leave. */
  async #order(kind: Goal["kind"]): Promise<void> {
    const goal: Goal = { kind, sent: undefined };
    this.#goal = goal;
    this.#parts.changed();
    const { signal } = this.#poll;
    try {
      await this.#pace.send(async () => {
        if (kind === "lower") await this.#parts.ask();
        if (this.#goal !== goal || signal.aborted) return;
        if (kind === "lower" && this.#parts.needs().length > 0) {
          this.#goal = undefined;
          return;
        }
        goal.sent = this.#parts.now();
        if (kind === "raise") this.#release.raised();
        await this.#parts.host[kind](signal);
      });
      void this.look();
    } catch (error) {
      if (signal.aborted) return;
      const trouble = this.#poll.troubleOf(error);
      if (this.#goal === goal) this.#failed(trouble);
      throw trouble;
    }
  }

  #failed({ kind, message }: Trouble): void {
    const { kind: at, sent } = this.#goal ?? {};
    this.#goal = undefined;
    this.#why = message;
    // What is only late is tried again; a refusal would be one again.
    const isRefusal = REFUSALS.has(kind);
    if (isRefusal) this.#failedAt = at;
    if (at === "lower" && isRefusal) this.#release.refused();
    if (at === "raise" && isRefusal) this.#release.over();
    // Nobody hears of it any more, and it may have been done all the same.
    if (at === "raise" && !isRefusal && sent !== undefined) this.#release.begin();
    void this.look();
    this.#parts.changed();
  }

  #take(seen: HostSighting): void {
    const before = this.#state();
    this.#seen = seen;
    this.#seenAt = this.#parts.now();
    this.#looks += 1;
    this.#count(seen);
    const isOff = this.#known.size === 0;
    const isOver = this.#failedAt === "seen" || (this.#failedAt === "lower") === isOff;
    if (isOver) this.#failedAt = undefined;
    if (this.#failedAt === undefined) this.#why = undefined;
    this.#judge(seen);
    this.#tell();
    if (this.#state() !== before) this.#parts.changed();
    this.#consider();
  }

  /** Which instances there are: one that is missing once may only be late in its provider's list. */
  #count({ instances, ended }: HostSighting): void {
    for (const one of ended) this.#hasEnded(one);
    const listed = new Set(instances.map(({ id }) => id));
    for (const [id, known] of this.#known) {
      known.misses = listed.has(id) ? 0 : known.misses + 1;
      if (known.misses > 1) this.#gone(id, this.#parts.now());
    }
    for (const id of this.#over) if (!ended.some((one) => one.id === id)) this.#over.delete(id);
    for (const instance of instances) this.#known.set(instance.id, { instance, misses: 0 });
    if (this.#looks > 1 && this.#missing === 0) this.#parts.only([...this.#known.keys()]);
  }

  /** One that came and went between two looks costs, too, be it while the gateway was away. */
  #hasEnded({ id, since, stopped }: HostSighting["ended"][number]): void {
    const isNew = !this.#known.has(id) && !this.#over.has(id);
    if (isNew && since !== undefined && since > this.#parts.watchedFrom) {
      const instance = { id, since, isStopping: true };
      if (this.#looks === 1) this.#parts.lived(instance, stopped);
      else this.#parts.seen(instance, "starting");
    }
    this.#gone(id, stopped);
  }

  #gone(id: string, stopped: Instant): void {
    this.#over.add(id);
    this.#known.delete(id);
    this.#served.delete(id);
    this.#parts.off(id, stopped);
  }

  get #missing(): number {
    return [...this.#known.values()].filter(({ misses }) => misses > 0).length;
  }

  /** What has become of an order. */
  #judge({ wanted, instances, scaledByOthers }: HostSighting): void {
    if (this.#goal === undefined) return;
    const { kind, sent } = this.#goal;
    const waited = sent === undefined ? 0 : this.#parts.now() - sent;
    const isDone = kind === "raise" ? instances.some((one) => !one.isStopping) : this.#known.size === 0;
    if (isDone) {
      this.#goal = undefined;
      if (kind === "lower") this.#release.over();
      this.#rival = undefined;
    } else if (kind === "lower" && wanted > 0 && waited > SETTLES) {
      this.#goal = undefined;
      const who = scaledByOthers ?? "find out who does, or it is never turned off";
      this.#rival = `it was raised again to ${wanted} after it had been lowered: ${who}`;
      this.#release.over();
    } else if (waited > DONE_WITHIN) {
      this.#goal = undefined;
      this.#why = TOO_LATE[kind];
      this.#failedAt = kind;
    }
  }

  /** Its provider took the order, and says that it failed. It is taken back: it might come true late. */
  #raiseFailed(why: string): void {
    this.#goal = undefined;
    this.#failedAt = "raise";
    this.#release.begin();
    this.#parts.raiseFailed(why);
    this.#parts.changed();
  }

  #tell(): void {
    const { serves, isSettled, seen } = this.#parts;
    // At first it is not known yet who serves; a look later it is told of all the same.
    if (!isSettled() && this.#looks < 2) return;
    for (const { instance } of this.#known.values()) {
      if (serves() && !instance.isStopping) this.#served.add(instance.id);
      seen(instance, this.#served.has(instance.id) ? "ready" : "starting");
    }
  }

  #consider(): void {
    if (this.#parts.isOrderable)
      this.#release.consider(this.#seen, [...this.#known.keys()], this.#goal !== undefined);
  }

  #state(): HostState {
    if (this.#failedAt !== undefined) return "failed";
    const { size } = this.#known;
    if (this.#goal?.kind === "raise" && size === 0) return "starting";
    if (this.#seen === undefined) return "unknown";
    if (size === 0) return this.#seen.wanted > 0 && this.#goal?.kind !== "lower" ? "starting" : "off";
    const all = [...this.#known.values()];
    if (this.#goal?.kind === "lower" || all.every(({ instance }) => instance.isStopping)) return "stopping";
    return all.some(({ instance }) => this.#served.has(instance.id)) ? "ready" : "starting";
  }

  #isMoving(): boolean {
    if (this.#goal !== undefined || this.#missing > 0 || this.#looks < 2) return true;
    return [...this.#known.values()].some(({ instance }) => instance.isStopping);
  }

  /**
   * Of a group that its provider does not know nothing runs; an order that it took may have failed half way,
   * which is told once. Of any other trouble nothing follows.
   */
  #miss(trouble: Trouble): void {
    this.#why = trouble.message;
    const { kind, sent } = this.#goal ?? {};
    if (trouble.kind === "operation_failed" && kind === "raise" && sent !== undefined)
      this.#raiseFailed(trouble.message);
    if (trouble.kind !== "not_found") return;
    for (const id of [...this.#known.keys()]) this.#gone(id, this.#parts.now());
    this.#parts.only([]);
    this.#seen = undefined;
    this.#goal = undefined;
    this.#failedAt = "seen";
    this.#parts.changed();
  }
}
