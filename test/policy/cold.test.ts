// A container that is off beside one that is up: what each is ranked by, and how that is explained.

import test from "ava";
import { EPOCH, type Instant, later, MINUTE, seconds } from "../../src/metering/time.ts";
import { decide } from "../../src/policy/decide.ts";
import type { Forward } from "../../src/policy/decision.ts";
import { idleNote } from "../../src/policy/idle-note.ts";
import { Learning } from "../../src/policy/learning.ts";
import { besides, type Cold } from "../../src/policy/rank.ts";
import { seeded } from "../sim/random.ts";
import { model, perHour, policy, TEN, task, upstream, usd, ZERO } from "../support/policies.ts";

const off = upstream("off", { price: perHour("3.6") });
const up = upstream("up", { price: perHour("36") });
const given = policy({
  upstreams: [off, up],
  models: [model("flux-dev", ["off", "up"], { estimate: seconds(10) })],
});

function decided(cold: Cold | undefined, known = new Learning()): Forward {
  const candidates = [
    { upstream: off, inFlight: 0, cold },
    { upstream: up, inFlight: 0 },
  ];
  const [first] = given.models.values();
  if (first === undefined) throw new Error("no model");
  const question = { policy: given, model: first, task: task(), candidates, unreachable: [], known };
  const found = decide(question, { at: TEN, balance: () => ({ settled: ZERO, held: ZERO }) });
  if (found.kind !== "forward") throw new Error(found.kind);
  return found;
}

test("X29: a dearer one that is up serves where start and least billing cost more, and the sum is told", (t) => {
  // 10 s of work: 0.01 beside 0.1; a start of 80 s is worth it, one of 100 s is not.
  t.is(decided({ startUp: seconds(80), unbilled: seconds(0) }).quote.upstream.id, "off");
  const { quote, explanation } = decided({ startUp: seconds(80), unbilled: seconds(21) });
  t.is(quote.upstream.id, "up");
  const told = explanation.candidates.find((one) => one.upstream === "off");
  t.like(told, {
    estimate: usd("0.010"),
    // Of the 21 s that it bills at least beyond its start, 10 are work.
    start: { time: seconds(80), amount: usd("0.080"), minimum: usd("0.011") },
    rank: usd("0.101"),
  });
  t.is(explanation.candidates.find((one) => one.upstream === "up")?.start, undefined);
});

for (let seed = 1; seed <= 20; seed += 1) {
  test(`work, start and least billing add up to the rank, to the nano-dollar, seed ${seed}`, (t) => {
    const random = seeded(seed);
    const cold = { startUp: seconds(random.unit() * 300), unbilled: seconds(random.unit() * 60) };
    const { explanation } = decided(cold);
    const told = explanation.candidates.find((one) => one.upstream === "off");
    if (told?.start === undefined) return t.fail();
    t.is(told.estimate + told.start.amount + told.start.minimum, BigInt(told.rank));
    t.true(told.start.minimum >= 0n && besides({ upstream: off, cold }) >= told.start.amount);
  });
}

test("D69: one that fails often ranks by the price of a success, and the share is told", (t) => {
  const known = new Learning();
  for (let n = 0; n < 40; n += 1) {
    known.ended("off", { outcome: "relayed", status: n % 10 === 0 ? 200 : 503 }, TEN);
    // What others ended, or was wrong of itself, says nothing.
    known.ended("up", { outcome: "aborted", status: undefined }, TEN);
    known.ended("up", { outcome: "relayed", status: 422 }, TEN);
  }
  const { quote, explanation } = decided(undefined, known);
  t.is(quote.upstream.id, "off", "0.04 beside 0.1: never more than four times its price");
  const told = explanation.candidates.find((one) => one.upstream === "off");
  t.like(told, { rank: usd("0.040"), success: { requests: 40, successes: 4 } });
  t.is(explanation.candidates.find((one) => one.upstream === "up")?.success, undefined);
  t.is(decided({ startUp: seconds(20), unbilled: seconds(0) }, known).quote.upstream.id, "up");
});

test("what idling costs is told against starting again", (t) => {
  const billed = { price: perHour("1.00"), idleRate: usd("1.00") as never, minBilled: seconds(60) };
  const since = later(EPOCH, seconds(0));
  const at = later(since, (12 * MINUTE) as never);
  const note = (stops: Instant | undefined, keptUntil?: Instant) =>
    idleNote(billed, { since, stops, keptUntil }, seconds(72), at);
  const again = "starting again costs about 0.02 USD, as much as 1 min 12 s of idling";
  t.is(note(later(at, (18 * MINUTE) as never)), `idle for 12 min at 1.00 USD/h; stops in 18 min; ${again}`);
  t.is(note(at), `idle for 12 min at 1.00 USD/h; stops now; ${again}`);
  t.is(note(undefined, later(at, MINUTE)), `idle for 12 min at 1.00 USD/h; kept warm for 1 min; ${again}`);
  const free = { ...billed, price: perHour("0"), idleRate: 0n as never };
  t.is(idleNote(free, { since, stops: undefined, keptUntil: undefined }, seconds(72), at), "idle for 12 min");
});
