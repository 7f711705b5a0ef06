// How an exchange ends when the ledger cannot write, which is forgiven, and when it has a bug, which is not.

import test from "ava";
import { StoreError, UnwrittenSettlement } from "../../src/ledger/store.ts";
import { seconds } from "../../src/metering/time.ts";
import type { Admission, Reservation } from "../../src/policy/admission.ts";
import { Learning } from "../../src/policy/learning.ts";
import { exchange, type Gateway, type Send } from "../../src/proxy/exchange.ts";
import { chargedFor } from "../../src/proxy/front.ts";
import type { Relayed } from "../../src/proxy/relayed.ts";
import { WaitingRoom } from "../../src/proxy/waiting-room.ts";
import { perRequest, policy, TEN, task, upstream, usd, ZERO } from "../support/policies.ts";

const UP = upstream("up", { price: perRequest("0.01") });
const POLICY = policy({ upstreams: [UP] });
const SETTLEMENT = { charged: usd("0.01"), elapsed: seconds(1) };
const FULL = new StoreError("the disk is full", false);
const BUG = new TypeError("a bug in the ledger");

const EMPTY = { at: TEN, balance: () => ({ settled: ZERO, held: ZERO }) };
const TIMERS = { now: () => TEN, after: () => () => undefined };

/** Admits whatever is asked with one reservation, and notes what becomes of it and of the client. */
function bench(ledger: Partial<Reservation>) {
  const told: string[] = [];
  const asked = task();
  const quote = { upstream: UP, time: seconds(1), amount: ZERO, hold: ZERO, holdTime: seconds(0) };
  const held = {
    onShortened: () => undefined,
    task: asked,
    begun: true,
    horizon: Number.MAX_SAFE_INTEGER,
    settle: async () => SETTLEMENT,
    release: async () => void told.push("released"),
    ...ledger,
  } as unknown as Reservation;
  const decision = {
    kind: "forward",
    quote: { ...quote, rank: ZERO, inFlight: 0 },
    warnings: [],
    cheaper: [],
  };
  const slots = {
    hindrance: () => undefined,
    take: () => ({ upstream: UP, answers: () => undefined, free: () => void told.push("left") }),
  };
  const gateway: Gateway = {
    policy: () => POLICY,
    accounts: {
      prepare: async () => () => undefined,
      // Decides as a ledger does, and admits whatever came of it.
      admit: async (_task, decide) => {
        decide({ at: TEN, balance: () => ({ settled: ZERO, held: ZERO }) });
        return { kind: "admitted", reservation: held, decision } as unknown as Admission;
      },
    },
    candidates: () => [{ upstream: UP, inFlight: 0 }],
    room: new WaitingRoom({ slots, timers: TIMERS, policy: () => POLICY, balances: () => EMPTY }),
    timers: TIMERS,
    learning: new Learning(),
  };
  const relayed: Relayed = {
    kind: "ended",
    ending: { outcome: "relayed", status: 200, tokens: undefined },
    fault: undefined,
    firstByteAfterMs: 1,
    bytes: 1,
    headSent: false,
    finish: () => void told.push("finished"),
    destroy: () => void told.push("destroyed"),
  };
  const run = (send: Send = async () => relayed) =>
    exchange(asked, send, gateway, new AbortController().signal);
  return { told, run };
}

function rejecting(error: unknown) {
  return () => Promise.reject(error);
}

const unsent: Send = async () => ({
  kind: "unsent",
  why: "client_gone",
  replayable: false,
  cause: new Error("the client went away"),
});

test("a charge that is kept but not yet written is counted, and the client sees nothing whole", async (t) => {
  const { told, run } = bench({ settle: rejecting(new UnwrittenSettlement(FULL, SETTLEMENT)) });
  const exchanged = await run();
  t.like(exchanged, { kind: "sent", settlement: undefined, kept: SETTLEMENT });
  t.is(chargedFor(exchanged), SETTLEMENT.charged);
  t.deepEqual(told, ["left", "destroyed"]);
});

test("a settlement that is a bug breaks the client off first and is thrown", async (t) => {
  const { told, run } = bench({ settle: rejecting(BUG) });
  t.is(await t.throwsAsync(run()), BUG);
  t.deepEqual(told, ["left", "destroyed"]);
});

test("a release that cannot be written is forgiven, one that is a bug is thrown", async (t) => {
  t.like(await bench({ release: rejecting(FULL) }).run(unsent), { kind: "unsent", why: "client_gone" });
  t.is(await t.throwsAsync(bench({ release: rejecting(BUG) }).run(unsent)), BUG);
});

test("a relay that has a bug gives back what was not sent, and the bug is thrown", async (t) => {
  const bug = new Error("a bug in the relay");
  const { told, run } = bench({ begun: false });
  t.is(await t.throwsAsync(run(rejecting(bug))), bug);
  t.deepEqual(told, ["left", "released"]);
});

test("a bug in ending what had a bug hides neither; a full disk hides nothing", async (t) => {
  const bug = new Error("a bug in the relay");
  const both = await t.throwsAsync(bench({ settle: rejecting(BUG) }).run(rejecting(bug)), {
    instanceOf: AggregateError,
  });
  t.deepEqual(both.errors, [bug, BUG]);
  t.is(await t.throwsAsync(bench({ settle: rejecting(FULL) }).run(rejecting(bug))), bug);
});
