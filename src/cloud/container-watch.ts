// One container, watched: its state as its provider last said, what it costs told to the ledger, start and
// stop on command. What its provider does not answer leaves the last known state, with its age.
//
// Invariant: one look at a time; the ledger is told of every sighting, and of nothing that was not seen.

import { type DurationUs, type Instant, MINUTE } from "../metering/time.ts";
import type { Upstream } from "../policy/policy.ts";
import type { Adapter, Sighting, Trouble, TroubleKind } from "./adapter.ts";
import { type Command, type ContainerState, isMoving, mayBe } from "./container-state.ts";
import { Poll, type PollParts } from "./poll.ts";

export interface WatchParts extends Pick<PollParts<Sighting>, "bug" | "after" | "random"> {
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
  /** No other container, or machine under one, lives than this, which started then; undefined: none. */
  only(id: string | undefined, since?: Instant): void;
  /** Its state is another one. */
  changed(state: ContainerState): void;
  now(): Instant;
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

export interface ContainerInside {
  readonly up: Extract<Sighting, { kind: "up" }> | undefined;
  /** When it was last seen to have ended. */
  readonly stopped: Instant | undefined;
  /** Whether somebody has answered, with whatever. */
  readonly isAsked: boolean;
}

export type Ordered =
  | { readonly kind: "ordered" }
  /** `trouble`: what its provider made of it, where it was asked. */
  | { readonly kind: "refused"; readonly why: string; readonly trouble?: TroubleKind };

const STOPS_WITHIN = (5 * MINUTE) as DurationUs;
/** Where the policy says nothing of its start. */
const STARTS_WITHIN = (30 * MINUTE) as DurationUs;
const OVERTAKEN: Ordered = { kind: "refused", why: "it was told something else meanwhile" };
const NOT_STOPPED = "it was told to stop and did not within 5 min: stop it by hand, it costs until it is off";

export class ContainerWatch {
  readonly #parts: WatchParts;
  readonly #poll: Poll<Sighting>;
  #state: ContainerState = { kind: "unknown" };
  #up: Extract<Sighting, { kind: "up" }> | undefined;
  /** Which life of it was seen to serve: "id since". */
  #served: string | undefined;
  #seenAt: Instant | undefined;
  /** How many were given: what a later one has overtaken does not leave, nor says how things are. */
  #orders = 0;
  /** The last that left: the next one leaves after it, so that its provider hears them in their order. */
  #sent: Promise<void> = Promise.resolve();
  #why: string | undefined;
  #stopped: Instant | undefined;
  #isAsked = false;
  /** Why its machine does not come: until it serves all the same, or is off. */
  #lost: string | undefined;
  #unwatch: () => void = () => undefined;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.#poll = new Poll({
      ...parts,
      observe: (signal) => parts.adapter.observe(signal),
      ...{ take: (seen) => this.#take(seen), miss: (trouble) => this.#miss(trouble) },
      isMoving: () => isMoving(this.#state),
    });
  }

  begin(): void {
    this.#unwatch = this.#parts.adapter.watch?.(() => this.#poll.stir()) ?? this.#unwatch;
    void this.look();
  }

  end(): void {
    this.#poll.end();
    this.#unwatch();
  }

  view(): ContainerView {
    const liveSince = (billed(this.#up) ?? this.#up)?.since;
    return { state: this.#state, liveSince, url: this.#up?.url, seenAt: this.#seenAt, why: this.#why };
  }

  /** For whoever watches the machine under it. */
  inside(): ContainerInside {
    return { up: this.#up, stopped: this.#stopped, isAsked: this.#isAsked };
  }

  /** Resolves once it was looked at, by whoever. */
  look(): Promise<void> {
    return this.#poll.look();
  }

  /** Somebody would like to know. */
  glance(): void {
    this.#poll.glance();
  }

  /** Resolves once its provider has taken the order or refused it. `first`: what has to be so before. */
  async start(first?: () => Promise<void>): Promise<Ordered> {
    if (!mayBe("start", this.#state)) return this.#notNow("start");
    const before = this.#state;
    this.#why = undefined;
    this.#lost = undefined;
    this.#turn({ kind: "starting", since: this.#parts.now() });
    return this.#order("start", before, first);
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

  /** The machine that it was to run on does not come: its start has failed, and is taken back. */
  lost(why: string): void {
    if (this.#state.kind !== "starting") return;
    this.#lost = why;
    this.#fail("start", why);
    // Where that is not taken it says why; it may start yet, if somebody else brings a machine.
    this.#parts.adapter.stop(this.#poll.signal).then(
      () => this.look(),
      (error) => this.#poll.troubleOf(error),
    );
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
  async #order(command: Command, before: ContainerState, first?: () => Promise<void>): Promise<Ordered> {
    this.#orders += 1;
    const order = this.#orders;
    try {
      await first?.();
      if (order !== this.#orders) return OVERTAKEN;
      const sent = this.#sent.then(() => this.#parts.adapter[command](this.#poll.signal));
      this.#sent = sent.catch(() => undefined);
      await sent;
    } catch (error) {
      if (order !== this.#orders) return OVERTAKEN;
      if (this.#poll.signal.aborted) return { kind: "refused", why: "it is no longer in the policy" };
      const { kind, message } = this.#poll.troubleOf(error);
      this.#why = message;
      const isRefusal = kind === "failed" || kind === "operation_failed" || kind === "not_found";
      this.#turn(isRefusal ? { kind: "failed", at: command } : before);
      void this.look();
      return { kind: "refused", why: message, trouble: kind };
    }
    void this.look();
    return { kind: "ordered" };
  }

  async #take(seen: Sighting): Promise<void> {
    this.#seenAt = this.#parts.now();
    this.#isAsked = true;
    if (seen.kind === "off") {
      const { id } = billed(this.#up) ?? seen;
      this.#up = undefined;
      this.#stopped = seen.stopped ?? this.#parts.now();
      this.#parts.off(id, this.#stopped);
      this.#parts.only(undefined);
      this.#isOff(seen);
      return;
    }
    const life = `${seen.id} ${seen.since}`;
    if (this.#served !== life && (await this.#serves(seen))) this.#served = life;
    if (this.#poll.signal.aborted) return;
    // Made anew under its name: the one before is gone, and nobody has said so.
    const bill = billed(seen);
    if (billed(this.#up)?.id !== bill?.id) this.#parts.only(bill?.id, bill?.since);
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
    const answer = await this.#parts.isServing(address, this.#poll.signal);
    return answer ?? isHealthy ?? false;
  }

  #isOff({ stopped, why }: Extract<Sighting, { kind: "off" }>): void {
    this.#lost = undefined;
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

  #isUp({ since, isStopping, said }: Extract<Sighting, { kind: "up" }>, isReady: boolean): void {
    const state = this.#state;
    const now = this.#parts.now();
    if (isReady) this.#lost = undefined;
    if (state.kind === "draining") this.#drain();
    else if (this.#lost !== undefined) this.#fail("start", this.#lost);
    else if (state.kind === "stopping" && now - state.since > STOPS_WITHIN) this.#fail("stop", NOT_STOPPED);
    else if (isStopping) this.#turn({ kind: "stopping", since: now });
    else if (state.kind === "stopping" || (state.kind === "failed" && state.at === "stop")) return;
    else if (isReady) {
      this.#why = undefined;
      this.#turn({ kind: "ready", since });
    } else {
      const began = state.kind === "starting" ? state.since : since;
      if (this.#isLate(began)) this.#fail("start", this.#tooLong());
      else {
        this.#why = said;
        this.#turn({ kind: "starting", since: began });
      }
    }
  }

  #fail(at: Command | "running", why: string): void {
    this.#why = why;
    this.#turn({ kind: "failed", at });
  }

  #isLate(since: Instant): boolean {
    return this.#parts.now() - since > this.#startsWithin();
  }

  #startsWithin(): DurationUs {
    return this.#parts.upstream().lifecycle?.startupTimeout ?? STARTS_WITHIN;
  }

  #tooLong(): string {
    const minutes = this.#startsWithin() / MINUTE;
    const said = this.#up?.said === undefined ? "" : ` (${this.#up.said})`;
    const cure = "look at its log, or raise lifecycle.startup_timeout";
    return `it did not serve within ${minutes} min${said}: ${cure}`;
  }

  /** A container that its provider does not know is gone; of any other trouble nothing follows. */
  #miss(trouble: Trouble): void {
    this.#why = trouble.message;
    this.#isAsked = true;
    if (trouble.kind !== "not_found") return;
    const known = billed(this.#up);
    if (known !== undefined) this.#parts.off(known.id, this.#parts.now());
    this.#up = undefined;
    this.#stopped = this.#parts.now();
    this.#parts.only(undefined);
    this.#turn({ kind: "failed", at: "running" });
  }

  #turn(state: ContainerState): void {
    if (state.kind === this.#state.kind) return;
    this.#state = state;
    this.#parts.changed(state);
  }
}

/** What costs: the machine under it, where that does; undefined: it has none yet. */
export function billed(up: Extract<Sighting, { kind: "up" }> | undefined) {
  return up !== undefined && "under" in up ? up.under : up;
}
