// Requests that wait for money, through the real exchange, waiting room, fleet and accounts over a disk in
// memory. A request ends when the test says so; time moves when the test says so.

import { setImmediate as turnOfLoop } from "node:timers/promises";
import { Fleet } from "../../src/cloud/fleet.ts";
import { LocalAccounts } from "../../src/ledger/accounts.ts";
import { LedgerClock } from "../../src/ledger/clock.ts";
import { type DurationUs, EPOCH, type Instant } from "../../src/metering/time.ts";
import { Learning } from "../../src/policy/learning.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { type Attempt, type Exchanged, exchange, type Gateway } from "../../src/proxy/exchange.ts";
import { SpendingCut } from "../../src/proxy/interruption.ts";
import type { Relayed } from "../../src/proxy/relayed.ts";
import { Running } from "../../src/proxy/running.ts";
import { WaitingRoom } from "../../src/proxy/waiting-room.ts";
import { Wakes } from "../../src/proxy/wakes.ts";
import { World } from "../sim/world.ts";
import { FakeDisk } from "./fake-disk.ts";
import { TEN, task } from "./policies.ts";

export interface Asker {
  readonly name: string;
  /** Set while it runs. */
  attempt: Attempt | undefined;
  exchanged: Exchanged | undefined;
  /** Its reply has come. */
  end(): void;
  leave(): void;
  cancel(): void;
}

export class MoneyRig {
  readonly world: World;
  readonly disk = new FakeDisk();
  readonly fleet: Fleet;
  readonly accounts: LocalAccounts;
  readonly room: WaitingRoom;
  readonly wakes: Wakes;
  readonly running = new Running();
  /** Who ran, and where, in that order: "a@flux". */
  readonly served: string[] = [];
  policy: Policy;

  constructor(policy: Policy, start: Instant = TEN) {
    this.policy = policy;
    this.world = new World(start);
    this.fleet = new Fleet({
      monotonic: () => this.world.monotonic(),
      random: () => 0.5,
      turned: () => undefined,
    });
    this.accounts = new LocalAccounts({
      store: this.disk,
      clock: new LedgerClock(this.world, EPOCH),
      owner: { name: "rig", epoch: 1 },
      policy,
      balances: [],
      tracked: [],
      onTrouble: () => undefined,
      learn: () => undefined,
    });
    const balances = () => this.accounts.view();
    this.room = new WaitingRoom({
      slots: this.fleet,
      timers: this.#timers(),
      policy: () => this.policy,
      balances,
    });
    this.wakes = new Wakes(this.#timers());
    this.fleet.onChange((id) => this.room.offer(id));
    this.accounts.watchFreed((accounts) => this.room.freed(accounts));
  }

  /** As the daemon does it when the file has changed: limits and whoever waits, in one tick. */
  async reload(policy: Policy): Promise<void> {
    const putInForce = await this.accounts.prepare(policy);
    putInForce();
    this.policy = policy;
    this.fleet.follow(policy);
    this.room.reconsider();
  }

  /** `user`, and what the request is for. */
  ask(name: string, user = name, model = "flux-dev"): Asker {
    const { signal, leave } = this.running.enter(name);
    const client = new EventTarget();
    let end: (how: "relayed" | "aborted" | "cut") => void = () => undefined;
    const asker: Asker = {
      name,
      attempt: undefined,
      exchanged: undefined,
      end: () => end("relayed"),
      leave: () => void client.dispatchEvent(new Event("gone")),
      cancel: () => void this.running.cancel(name, "by an operator"),
    };
    const send = (attempt: Attempt) =>
      new Promise<Relayed>((resolve) => {
        this.served.push(`${name}@${attempt.upstream.id}`);
        asker.attempt = attempt;
        attempt.held.begin();
        end = (outcome) => {
          end = () => undefined;
          asker.attempt = undefined;
          attempt.held.stop();
          resolve(ended(outcome));
        };
        attempt.signal.addEventListener("abort", () => end(isCut(attempt.signal.reason) ? "cut" : "aborted"));
      });
    const onGone = (call: () => void) => {
      client.addEventListener("gone", call);
      return () => client.removeEventListener("gone", call);
    };
    const asked = task({ id: name, model, labels: { user } });
    void exchange(asked, send, this.#gateway(), signal, onGone).then((exchanged) => {
      asker.exchanged = exchanged;
      leave();
    });
    return asker;
  }

  /** All that is woken decides, and what was decided is on disk. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 5; turn += 1) await turnOfLoop();
  }

  async pass(seconds: number): Promise<void> {
    const until = this.world.monotonic() + seconds * 1_000_000;
    this.world.after((seconds * 1_000_000) as DurationUs, () => undefined);
    await this.world.run(
      () => undefined,
      () => this.world.monotonic() >= until,
    );
    await this.settle();
  }

  #timers() {
    return { now: () => this.accounts.now(), after: this.world.after.bind(this.world) };
  }

  #gateway(): Gateway {
    return {
      policy: () => this.policy,
      accounts: this.accounts,
      candidates: (policy, model) => this.fleet.candidates(policy, model),
      room: this.room,
      timers: this.#timers(),
      wakes: this.wakes,
      learning: new Learning(),
    };
  }
}

function isCut(reason: unknown): boolean {
  return reason === "cut" || reason instanceof SpendingCut;
}

function ended(outcome: "relayed" | "aborted" | "cut"): Relayed {
  return {
    kind: "ended",
    ending: { outcome, status: 200, tokens: undefined },
    fault: undefined,
    firstByteAfterMs: 1,
    bytes: 1,
    headSent: outcome === "relayed",
    finish: () => undefined,
    destroy: () => undefined,
  };
}
