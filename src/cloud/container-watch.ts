// One container, watched: its state as its provider last said, what it costs told to the ledger, start and
// stop on command. What its provider does not answer leaves the last known state, with its age.
//
// Invariant: one look at a time; the ledger is told of every sighting, and of nothing that was not seen.

import { type DurationUs, type Instant, MINUTE, SECOND } from "../metering/time.ts";
import type { Upstream } from "../policy/policy.ts";
import { type Adapter, type Sighting, Trouble } from "./adapter.ts";
import { type Command, type ContainerState, isMoving, mayBe } from "./container-state.ts";

export interface WatchParts {
  readonly adapter: Adapter;
  /** As the policy in force says. */
  upstream(): Upstream;
  /** Requests of ours that run there now. */
  running(): number;
  /** Whether it serves; undefined: nobody could find out. */
  isServing(url: string, signal: AbortSignal): Promise<boolean | undefined>;
  /** Told of each sighting, for the ledger. */
  seen(up: Extract<Sighting, { kind: "up" }>, phase: "starting" | "ready"): void;
  off(id: string, stopped: Instant): void;
  /** No other container than this one, which started then, is the upstream's; undefined: none is. */
  only(id: string | undefined, since?: Instant): void;
  /** A mistake of ours: looked at again all the same. */
  bug(error: unknown): void;
  /** Its state is another one. */
  changed(state: ContainerState): void;
  now(): Instant;
  after(delay: DurationUs, call: () => void): () => void;
  /** [0, 1) */
  random(): number;
}

/** How things stand, for whoever asks. */
export interface ContainerView {
  readonly state: ContainerState;
  /** Since when it costs, while it is up. */
  readonly liveSince: Instant | undefined;
  readonly url: string | undefined;
  /** When its provider last said so; undefined: never. */
  readonly seenAt: Instant | undefined;
  /** Why it failed, or why nothing newer is known. */
  readonly why: string | undefined;
}

export type Ordered = { readonly kind: "ordered" } | { readonly kind: "refused"; readonly why: string };

const SELDOM = MINUTE;
const OFTEN = (2 * SECOND) as DurationUs;
const JITTER = 0.2;
const STOPS_WITHIN = (5 * MINUTE) as DurationUs;
const NOT_STOPPED = "it was told to stop and did not within 5 min: stop it by hand, it costs until it is off";
/** After trouble: twice as long each time, up to SELDOM. */
const FIRST_PAUSE = (5 * SECOND) as DurationUs;

export class ContainerWatch {
  readonly #parts: WatchParts;
  readonly #ended = new AbortController();
  #state: ContainerState = { kind: "unknown" };
  #up: Extract<Sighting, { kind: "up" }> | undefined;
  /** Which life of it was seen to serve: "id since". */
  #served: string | undefined;
  #seenAt: Instant | undefined;
  #why: string | undefined;
  #troubles = 0;
  #looking: Promise<void> | undefined;
  #again = false;
  #isStirred = false;
  #forget: () => void = () => undefined;
  #unwatch: () => void = () => undefined;

  constructor(parts: WatchParts) {
    this.#parts = parts;
  }

  begin(): void {
    this.#unwatch = this.#parts.adapter.watch?.(() => this.#stir()) ?? this.#unwatch;
    void this.look();
  }

  end(): void {
    this.#ended.abort(new Error("nobody watches it any more"));
    this.#forget();
    this.#unwatch();
  }

  view(): ContainerView {
    const { since: liveSince, url } = this.#up ?? {};
    return { state: this.#state, liveSince, url, seenAt: this.#seenAt, why: this.#why };
  }

  /** An event may come before what it tells of is to be seen: it is looked at now, and soon once more. */
  #stir(): void {
    this.#isStirred = true;
    void this.look();
  }

  /** Resolves once it was looked at: also where somebody was looking already, who may have come too early. */
  look(): Promise<void> {
    this.#forget();
    if (this.#looking !== undefined) {
      this.#again = true;
      return this.#looking;
    }
    this.#looking = this.#lookUntilStill().finally(() => {
      this.#looking = undefined;
      this.#plan();
    });
    return this.#looking;
  }

  /** Resolves once its provider has taken the order or refused it. */
  async start(): Promise<Ordered> {
    if (!mayBe("start", this.#state)) return this.#notNow("start");
    const before = this.#state;
    this.#why = undefined;
    this.#turn({ kind: "starting", since: this.#parts.now() });
    return this.#order("start", before);
  }

  /** Requests that run there may end first; no new ones are sent. */
  async stop(): Promise<Ordered> {
    if (!mayBe("stop", this.#state)) return this.#notNow("stop");
    if (this.#parts.running() > 0) {
      this.#turn({ kind: "draining", since: this.#parts.now() });
      return { kind: "ordered" };
    }
    const before = this.#state;
    this.#turn({ kind: "stopping", since: this.#parts.now() });
    return this.#order("stop", before);
  }

  #drain(): void {
    if (this.#parts.running() > 0) return;
    const before = this.#state;
    this.#turn({ kind: "stopping", since: this.#parts.now() });
    void this.#order("stop", before);
  }

  #notNow(command: Command): Ordered {
    return { kind: "refused", why: `it is ${this.#state.kind}: nothing to ${command}` };
  }

  /** One that its provider may not have heard of changes nothing: no answer is never off, nor broken. */
  async #order(command: Command, before: ContainerState): Promise<Ordered> {
    try {
      await this.#parts.adapter[command](this.#ended.signal);
    } catch (error) {
      if (this.#ended.signal.aborted) return { kind: "refused", why: "it is no longer in the policy" };
      const { kind, message } = this.#troubleOf(error);
      if (kind === "failed" || kind === "not_found") this.#fail(command, message);
      else this.#turn(before);
      void this.look();
      return { kind: "refused", why: message };
    }
    void this.look();
    return { kind: "ordered" };
  }

  async #lookUntilStill(): Promise<void> {
    do {
      this.#again = false;
      try {
        const seen = await this.#parts.adapter.observe(this.#ended.signal);
        if (this.#ended.signal.aborted) return;
        this.#troubles = 0;
        this.#seenAt = this.#parts.now();
        await this.#take(seen);
      } catch (error) {
        if (this.#ended.signal.aborted) return;
        this.#miss(this.#troubleOf(error));
      }
    } while (this.#again && !this.#ended.signal.aborted);
  }

  async #take(seen: Sighting): Promise<void> {
    if (seen.kind === "off") {
      this.#up = undefined;
      this.#parts.off(seen.id, seen.stopped ?? this.#parts.now());
      this.#parts.only(undefined);
      this.#isOff(seen);
      return;
    }
    const life = `${seen.id} ${seen.since}`;
    if (this.#served !== life && (await this.#serves(seen))) this.#served = life;
    if (this.#ended.signal.aborted) return;
    // Made anew under its name: the one before is gone, and nobody has said so.
    if (this.#up?.id !== seen.id) this.#parts.only(seen.id, seen.since);
    this.#up = seen;
    const isReady = this.#served === life;
    this.#parts.seen(seen, isReady ? "ready" : "starting");
    this.#isUp(seen, isReady);
  }

  /** Asked until it does: a model is loaded long after its container runs. */
  async #serves({ isHealthy, url }: Extract<Sighting, { kind: "up" }>): Promise<boolean> {
    if (isHealthy === false) return false;
    const address = url ?? this.#parts.upstream().url;
    if (address === undefined) return isHealthy === true;
    const answer = await this.#parts.isServing(address, this.#ended.signal);
    return answer ?? isHealthy ?? false;
  }

  #isOff({ stopped, why }: Extract<Sighting, { kind: "off" }>): void {
    const state = this.#state;
    const isOld = state.kind === "starting" && (stopped === undefined || stopped < state.since);
    // An order that was just given is not taken back by what was so before it.
    if (isOld && !this.#isLate(state.since)) return;
    // It says why until it is started again.
    if (state.kind === "failed" && state.at !== "stop" && why === undefined) return;
    this.#why = isOld ? this.#tooLong() : why;
    if (this.#why === undefined) this.#turn({ kind: "off" });
    else this.#turn({ kind: "failed", at: isOld || state.kind === "starting" ? "start" : "running" });
  }

  #isUp({ since, isStopping }: Extract<Sighting, { kind: "up" }>, isReady: boolean): void {
    const state = this.#state;
    const now = this.#parts.now();
    if (state.kind === "draining") this.#drain();
    else if (state.kind === "stopping" && now - state.since > STOPS_WITHIN) this.#fail("stop", NOT_STOPPED);
    else if (isStopping) this.#turn({ kind: "stopping", since: now });
    else if (state.kind === "stopping" || (state.kind === "failed" && state.at === "stop")) return;
    else if (isReady) {
      this.#why = undefined;
      this.#turn({ kind: "ready", since });
    } else {
      const began = state.kind === "starting" ? state.since : since;
      if (this.#isLate(began)) this.#fail("start", this.#tooLong());
      else this.#turn({ kind: "starting", since: began });
    }
  }

  #fail(at: Command | "running", why: string): void {
    this.#why = why;
    this.#turn({ kind: "failed", at });
  }

  #isLate(since: Instant): boolean {
    const timeout = this.#parts.upstream().lifecycle?.startupTimeout;
    return timeout !== undefined && this.#parts.now() - since > timeout;
  }

  #tooLong(): string {
    const minutes = (this.#parts.upstream().lifecycle?.startupTimeout ?? 0) / MINUTE;
    return `it did not serve within ${minutes} min: look at its log, or raise lifecycle.startup_timeout`;
  }

  /** A container that its provider does not know is gone; of any other trouble nothing follows. */
  #miss(trouble: Trouble): void {
    this.#why = trouble.message;
    this.#troubles += 1;
    if (trouble.kind !== "not_found") return;
    if (this.#up !== undefined) this.#parts.off(this.#up.id, this.#parts.now());
    this.#up = undefined;
    this.#parts.only(undefined);
    this.#turn({ kind: "failed", at: "running" });
  }

  #troubleOf(error: unknown): Trouble {
    if (error instanceof Trouble) return error;
    this.#parts.bug(error);
    return new Trouble("unreachable", "the gateway made a mistake in asking for it: see the log", error);
  }

  #turn(state: ContainerState): void {
    if (state.kind === this.#state.kind) return;
    this.#state = state;
    this.#parts.changed(state);
  }

  #plan(): void {
    if (this.#ended.signal.aborted) return;
    const pause = this.#troubles > 0 ? FIRST_PAUSE * 2 ** (this.#troubles - 1) : SELDOM;
    const isSoon = isMoving(this.#state) || this.#isStirred;
    this.#isStirred = false;
    const delay = isSoon ? Math.max(OFTEN, this.#troubles && pause) : Math.min(pause, SELDOM);
    const jitter = 1 + JITTER * (2 * this.#parts.random() - 1);
    this.#forget = this.#parts.after((delay * jitter) as DurationUs, () => void this.look());
  }
}
