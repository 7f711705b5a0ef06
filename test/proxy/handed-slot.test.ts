// A client that leaves in the very tick in which a slot is handed to its request: through the real exchange,
// waiting room and fleet, where only ledger and relay are the test's. The slot is the next one's.

import { setImmediate as turnOfLoop } from "node:timers/promises";
import test from "ava";
import { Fleet } from "../../src/cloud/fleet.ts";
import { type DurationUs, MINUTE, seconds } from "../../src/metering/time.ts";
import type { Admission, Reservation } from "../../src/policy/admission.ts";
import { Learning } from "../../src/policy/learning.ts";
import { type Exchanged, exchange, type Gateway, type Send } from "../../src/proxy/exchange.ts";
import type { Relayed } from "../../src/proxy/relayed.ts";
import { WaitingRoom } from "../../src/proxy/waiting-room.ts";
import { policy, TEN, task, upstream, ZERO } from "../support/policies.ts";

/** Two calls a minute: one that was handed over and never sent may not count. */
const UP = upstream("up", { concurrency: 1, rateLimit: { calls: 2, per: MINUTE } });
const POLICY = policy({ upstreams: [UP] });
const TIMERS = { now: () => TEN, after: () => () => undefined };
const RELAYED = {
  kind: "ended",
  ending: { outcome: "relayed", status: 200, tokens: undefined },
  fault: undefined,
  finish: () => undefined,
} as unknown as Relayed;

interface Asker {
  readonly name: string;
  /** As whenGone tells it: the socket is destroyed. */
  leave(): void;
  cancel(): void;
  /** Ends its reply, where it runs. */
  end(): void;
  isSent: boolean;
  /** Whether the upstream's slot was taken when it was told to go. */
  wasHanded: boolean | undefined;
  exchanged: Exchanged | undefined;
}

/** The instants that matter, each called within its tick. */
type Moment = "a slot is free" | "it was handed over" | "it is admitted, and not yet on disk";

function house(at: (moment: Moment) => void) {
  const fleet = new Fleet({ monotonic: () => 0 as DurationUs, random: () => 0.5, turned: () => undefined });
  const room = new WaitingRoom({
    slots: fleet,
    timers: TIMERS,
    policy: () => POLICY,
    balances: () => ({ at: TEN, balance: () => ({ settled: ZERO, held: ZERO }) }),
  });
  fleet.onChange((id) => {
    at("a slot is free");
    room.offer(id);
    at("it was handed over");
  });
  const released: string[] = [];
  const gateway: Gateway = {
    policy: () => POLICY,
    accounts: {
      prepare: async () => () => undefined,
      admit: async (asked, decide) => {
        const decision = decide({ at: TEN, balance: () => ({ settled: ZERO, held: ZERO }) });
        if (decision.kind === "forward" && asked.id === "second") at("it is admitted, and not yet on disk");
        await turnOfLoop();
        if (decision.kind !== "forward") return decision as unknown as Admission;
        const reservation = {
          task: asked,
          onShortened: () => undefined,
          horizon: Number.MAX_SAFE_INTEGER,
          settle: async () => ({ charged: ZERO, elapsed: seconds(1) }),
          release: async () => void released.push(asked.id),
        } as unknown as Reservation;
        return { kind: "admitted", reservation, decision };
      },
    },
    candidates: (current, model) => fleet.candidates(current, model),
    room,
    timers: TIMERS,
    learning: new Learning(),
  };
  return { fleet, room, released, ask: (name: string) => askAs(gateway, name) };
}

function askAs(gateway: Gateway, name: string): Asker {
  const control = new AbortController();
  let [isGone, end, onGone] = [false, () => {}, () => {}];
  const asker: Asker = {
    name,
    isSent: false,
    wasHanded: undefined,
    exchanged: undefined,
    end: () => end(),
    cancel: () => control.abort("by an operator"),
    leave: () => {
      isGone = true;
      onGone();
    },
  };
  // As the relay does it: it looks whether anybody is still there before it sends.
  const send: Send = ({ signal }) => {
    const why = isGone ? "client_gone" : signal.aborted ? "cancelled" : undefined;
    if (why !== undefined) {
      return Promise.resolve({ kind: "unsent", why, replayable: false, cause: new Error(why) });
    }
    asker.isSent = true;
    return new Promise((resolve) => {
      end = () => resolve(RELAYED);
    });
  };
  const whenGone = (call: () => void) => {
    onGone = call;
    return () => {
      onGone = () => {};
    };
  };
  void exchange({ ...task(), id: name }, send, gateway, control.signal, whenGone).then((exchanged) => {
    asker.exchanged = exchanged;
  });
  return asker;
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await turnOfLoop();
}

for (const how of ["leave", "cancel"] as const) {
  for (const moment of [
    "a slot is free",
    "it was handed over",
    "it is admitted, and not yet on disk",
  ] satisfies Moment[]) {
    test(`who is told to ${how} in the tick in which ${moment} loses no slot: the next one runs`, async (t) => {
      let left = 0;
      const { fleet, room, released, ask } = house((now) => {
        if (now === moment && first?.isSent && left === 0) {
          left += 1;
          second.wasHanded = fleet.inFlight("up") === 1;
          second[how]();
        }
      });
      const first = ask("first");
      const second = ask("second");
      const third = ask("third");
      await settled();
      t.deepEqual(
        [first, second, third].map(({ isSent }) => isSent),
        [true, false, false],
      );
      t.is(room.size, 2);
      first.end();
      await settled();
      t.is(left, 1);
      t.is(second.wasHanded, moment !== "a slot is free");
      t.false(second.isSent, "nobody is left to send it for");
      t.like(second.exchanged, { kind: "unsent", why: how === "leave" ? "client_gone" : "cancelled" });
      t.true(third.isSent, "the next one does not run");
      t.is(fleet.inFlight("up"), 1);
      t.is(room.size, 0);
      t.deepEqual(released, moment === "a slot is free" ? [] : ["second"]);
      third.end();
      await settled();
      t.like(third.exchanged, { kind: "sent" });
      t.is(fleet.inFlight("up"), 0, "a slot is lost");
    });
  }
}
