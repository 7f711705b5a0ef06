// A waiting room over a real fleet, whose requests decide by a plain rule: the first of the upstreams that they
// would take, else wait for all of these. Time moves when the test says so.

import { setImmediate as turnOfLoop } from "node:timers/promises";
import { Fleet } from "../../src/cloud/fleet.ts";
import type { DurationUs } from "../../src/metering/time.ts";
import type { Balances } from "../../src/policy/admission.ts";
import type { Decision } from "../../src/policy/decision.ts";
import { lastsFor } from "../../src/policy/hindrance.ts";
import type { Model, Policy, Upstream } from "../../src/policy/policy.ts";
import type { Sign, Slot } from "../../src/policy/slot.ts";
import type { Turn, Woken } from "../../src/proxy/turn.ts";
import { WaitingRoom } from "../../src/proxy/waiting-room.ts";
import { World } from "../sim/world.ts";
import { model, policy, TEN, upstream, ZERO } from "./policies.ts";

export interface Asker {
  readonly name: string;
  readonly number: number;
  readonly wants: readonly string[];
  /** Where it runs; undefined while it waits and once it has ended. */
  slot: Slot | undefined;
  /** Why it waited in vain, if it did. */
  vain: Exclude<Woken, "again"> | undefined;
  /** It ran or was turned away. */
  isOver: boolean;
  end(sign?: Sign): void;
  leave(): void;
  cancel(): void;
}

export class RoomRig {
  readonly world = new World(TEN);
  readonly fleet = new Fleet({
    monotonic: () => this.world.monotonic(),
    random: () => 0.5,
    turned: (id, { kind }) => void this.turned.push(`${id} ${kind}`),
  });
  readonly turned: string[] = [];
  readonly room: WaitingRoom;
  /** Everybody who got a slot, in that order: "a@flux". */
  readonly served: string[] = [];
  /** Called when somebody is given a slot. */
  onServed: (asker: Asker) => void = () => undefined;
  policy: Policy;

  constructor(upstreams: readonly Partial<Upstream>[], waiting = 256) {
    this.policy = policyOf(upstreams, waiting);
    const timers = { now: () => this.world.now(), after: this.world.after.bind(this.world) };
    this.room = new WaitingRoom({
      slots: this.fleet,
      timers,
      policy: () => this.policy,
      balances: () => this.balances(),
    });
    this.fleet.onChange((id, turned) => {
      if (turned?.kind === "ejected") this.room.reconsider(id);
      else this.room.offer(id);
    });
  }

  balances(): Balances {
    return { at: this.world.now(), balance: () => ({ settled: ZERO, held: ZERO }) };
  }

  /** As the daemon does it when the file has changed. */
  reload(upstreams: readonly Partial<Upstream>[], waiting = 256): void {
    this.policy = policyOf(upstreams, waiting);
    this.fleet.follow(this.policy);
    this.room.reconsider();
  }

  ask(name: string, ...wants: readonly string[]): Asker {
    const turn = this.room.enter();
    const client = new EventTarget();
    const control = new AbortController();
    const asker: Asker = {
      name,
      number: turn.number,
      wants,
      slot: undefined,
      vain: undefined,
      isOver: false,
      end: (sign = { kind: "well" }) => {
        const { slot } = asker;
        asker.slot = undefined;
        asker.isOver = true;
        slot?.free(sign);
      },
      leave: () => void client.dispatchEvent(new Event("gone")),
      cancel: () => control.abort("by an operator"),
    };
    const onGone = (call: () => void) => {
      client.addEventListener("gone", call);
      return () => client.removeEventListener("gone", call);
    };
    void this.#live(asker, turn, control.signal, onGone);
    return asker;
  }

  /** All that is woken decides. */
  async settle(): Promise<void> {
    await turnOfLoop();
  }

  async pass(seconds: number): Promise<void> {
    const until = this.world.monotonic() + seconds * 1_000_000;
    this.world.after((seconds * 1_000_000) as DurationUs, () => undefined);
    await this.world.run(
      () => undefined,
      () => this.world.monotonic() >= until,
    );
  }

  async #live(asker: Asker, turn: Turn, signal: AbortSignal, onGone: Parameters<Turn["wait"]>[1]) {
    try {
      for (;;) {
        const decision = this.#decide(asker, turn);
        turn.follow(decision);
        if (decision.kind === "forward") {
          asker.slot = turn.claim();
          this.served.push(`${asker.name}@${asker.slot.upstream.id}`);
          this.onServed(asker);
          return;
        }
        if (decision.kind !== "wait") return;
        const woken = await turn.wait(signal, onGone);
        if (woken !== "again") {
          asker.vain = woken;
          return;
        }
      }
    } finally {
      asker.isOver = asker.slot === undefined;
      turn.end();
    }
  }

  #decide({ wants }: Asker, turn: Turn): Decision {
    const wanted: Model = model("flux-dev", wants);
    const candidates = turn.see(this.fleet.candidates(this.policy, wanted));
    const free = candidates.find(({ hindrance }) => hindrance === undefined);
    const isOut = candidates.every(({ hindrance }) => ["ejected", "trial"].includes(hindrance?.kind ?? ""));
    const chosen =
      free ?? (isOut ? candidates.find(({ hindrance }) => hindrance?.kind === "ejected") : undefined);
    if (chosen !== undefined) return { kind: "forward", quote: { upstream: chosen.upstream } } as Decision;
    if (candidates.length === 0) return { kind: "no_upstream" } as Decision;
    const lasting = candidates.map(({ hindrance }) => (hindrance && lastsFor(hindrance)) ?? 0);
    return {
      kind: "wait",
      upstreams: candidates.map((one) => one.upstream.id),
      wishes: [],
      money: undefined,
      isLastResort: isOut,
      notBefore: Math.min(...lasting),
    } as unknown as Decision;
  }
}

function policyOf(upstreams: readonly Partial<Upstream>[], waiting: number): Policy {
  return policy({
    upstreams: upstreams.map((one) => upstream(one.id ?? "", one)),
    limits: { connections: 1024, body: 64_000_000, waiting, labelValues: 200 },
  });
}
