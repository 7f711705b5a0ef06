// Keeps containers up in their window (keep_warm), and stops those that only burn idle money: after
// stop_after_idle, or once a budget with stop_idle is spent. It looks every few seconds; requests are started
// for elsewhere (waking.ts).
//
//   idle: ready, nobody runs there or waits for it ──as long as it may──► told to stop
//     └──a request, its window opens──► kept
//
// Invariant: nothing is told to stop while a request runs there or waits for it, nor while it starts.
// Invariant: whoever stops one by hand in its window is not overruled: it is started once a window.

import { durationText } from "../metering/duration-text.ts";
import { between, type DurationUs, type Instant, later, latest, MINUTE, SECOND } from "../metering/time.ts";
import type { IdleTime } from "../policy/idle-note.ts";
import type { Upstream } from "../policy/policy.ts";
import { isOpen, nextTurn } from "../policy/weekly-window.ts";
import type { ContainerView, Ordered } from "./container-watch.ts";
import type { ListedContainer } from "./containers.ts";

export interface UpkeepParts {
  list(): readonly ListedContainer[];
  order(command: "start" | "stop", upstream: string): Promise<Ordered | undefined>;
  /** A request runs there or waits for it. */
  isWanted(upstream: string): boolean;
  /** How long ago the last request was let in there; undefined: none was since this gateway started. */
  unusedFor(upstream: string): DurationUs | undefined;
  /** Since when it is idle by the ledger, which remembers it over restarts; undefined where it does not. */
  remembered(upstream: Upstream): Instant | undefined;
  /** "budget day is spent": one with stop_idle that counts its money and has none left. */
  spent(upstream: Upstream): string | undefined;
  /** Why nothing that costs money may be started now. */
  refusal(upstream: Upstream): string | undefined;
  zone(): string;
  /** "stopped: idle for 30 min" */
  told(upstream: string, what: string): void;
  now(): Instant;
  after(delay: DurationUs, call: () => void): () => void;
}

const LOOK = (5 * SECOND) as DurationUs;
/** After an order that was refused, or a start that failed. */
const AGAIN = MINUTE;

interface Known {
  kind: ContainerView["state"]["kind"];
  /** Since when nobody has used it. */
  since: Instant;
  /** In this window it was seen up, or told to start. */
  isKept: boolean;
  /** No further order before that. */
  rests: Instant;
}

export class Upkeep {
  readonly #parts: UpkeepParts;
  readonly #known = new Map<string, Known>();
  #forget: () => void;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
    this.#forget = parts.after(LOOK, () => this.#lookAgain());
  }

  close(): void {
    this.#forget();
  }

  /** Its state is another one. */
  changed(id: string, { state }: ContainerView): void {
    const known = this.#known.get(id);
    if (known === undefined) return;
    // What was up before this gateway looked is idle for as long as the ledger says, and what would not stop
    // for as long as before.
    if (known.kind === "off" || known.kind === "starting") known.since = this.#parts.now();
    known.kind = state.kind;
  }

  /** Undefined where it is off, or used. */
  idle({ upstream, view }: ListedContainer): IdleTime | undefined {
    if (!isUp(view) || this.#parts.isWanted(upstream.id)) return undefined;
    const { lifecycle } = upstream;
    const since = this.#idleSince(upstream, view);
    const keptUntil = this.#keptUntil(upstream);
    const after = lifecycle?.stopAfterIdle ?? "never";
    if (after === "never") return { since, stops: undefined, keptUntil };
    // Its idle time goes on in the window: it is stopped as soon as that closes.
    return { since, stops: latest(later(since, after), keptUntil ?? since), keptUntil };
  }

  /** Those that are to be started or stopped by now. */
  look(): void {
    const all = this.#parts.list();
    const ids = new Set(all.map(({ upstream }) => upstream.id));
    for (const id of this.#known.keys()) if (!ids.has(id)) this.#known.delete(id);
    for (const one of all) this.#lookAt(one, this.#knownOf(one));
  }

  #lookAgain(): void {
    this.look();
    this.#forget = this.#parts.after(LOOK, () => this.#lookAgain());
  }

  #knownOf({ upstream, view }: ListedContainer): Known {
    const { kind } = view.state;
    const found = this.#known.get(upstream.id);
    if (found !== undefined) return found;
    const now = this.#parts.now();
    const since = this.#parts.remembered(upstream) ?? now;
    const known: Known = { kind, since, isKept: false, rests: now };
    this.#known.set(upstream.id, known);
    return known;
  }

  #lookAt(one: ListedContainer, known: Known): void {
    const { upstream, view } = one;
    const { now, isWanted } = this.#parts;
    if (isWanted(upstream.id)) known.since = now();
    const isInWindow = this.#keptUntil(upstream) !== undefined;
    if (!isInWindow) known.isKept = false;
    else if (isUp(view) || view.state.kind === "starting") known.isKept = true;
    if (now() < known.rests) return;
    const spent = this.#parts.spent(upstream);
    const idle = this.idle(one);
    if (isInWindow && spent === undefined && this.#wantsStart(one, known)) this.#start(upstream, known);
    else if (idle !== undefined && spent !== undefined)
      this.#stop(upstream, known, `idle, and ${spent} (stop_idle)`);
    else if (idle?.stops !== undefined && idle.stops <= now())
      this.#stop(upstream, known, `idle for ${durationText(between(idle.since, now()))} (stop_after_idle)`);
  }

  /** One that went off by itself, or could not be started, is tried again; one that was stopped is not. */
  #wantsStart({ upstream, view: { state } }: ListedContainer, known: Known): boolean {
    if (this.#parts.refusal(upstream) !== undefined) return false;
    if (state.kind === "failed") return state.at !== "stop";
    return state.kind === "off" && !known.isKept;
  }

  #start({ id }: Upstream, known: Known): void {
    const { order, told, now } = this.#parts;
    known.rests = later(now(), AGAIN);
    void order("start", id).then((done) => {
      if (done?.kind === "ordered") told(id, "started: its keep_warm window is open");
    });
  }

  /** In this tick: nobody can have come in between. */
  #stop({ id }: Upstream, known: Known, why: string): void {
    const { order, told, now } = this.#parts;
    known.rests = later(now(), AGAIN);
    void order("stop", id).then((done) => {
      if (done?.kind === "ordered") told(id, `stopped: ${why}`);
    });
  }

  #idleSince(upstream: Upstream, view: ContainerView): Instant {
    const { now, unusedFor } = this.#parts;
    const known = this.#knownOf({ upstream, view }).since;
    const unused = unusedFor(upstream.id);
    return unused === undefined ? known : latest(known, (now() - unused) as Instant);
  }

  #keptUntil({ lifecycle }: Upstream): Instant | undefined {
    const window = lifecycle?.keepWarm;
    const { now, zone } = this.#parts;
    if (window === undefined || !isOpen(window, zone(), now())) return undefined;
    return nextTurn(window, zone(), now());
  }
}

/** It costs, and is on its way nowhere; one that failed may be up all the same. */
function isUp({ state, liveSince }: ContainerView): boolean {
  return (
    state.kind === "ready" || (state.kind === "failed" && state.at !== "stop" && liveSince !== undefined)
  );
}
