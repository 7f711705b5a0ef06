// Ranking that learns (MONEY §5): by the median of what was learned, held by the upper quantile, and tried now
// and then where nothing is known yet.

import test, { type ExecutionContext } from "ava";
import type { Lesson } from "../../src/metering/learned-times.ts";
import { type DurationUs, HOUR, type Instant, later, MINUTE, seconds } from "../../src/metering/time.ts";
import type { Balances } from "../../src/policy/admission.ts";
import { decide } from "../../src/policy/decide.ts";
import type { Decided } from "../../src/policy/decision.ts";
import type { Hindrance } from "../../src/policy/hindrance.ts";
import { Learning, teaches } from "../../src/policy/learning.ts";
import type { Policy } from "../../src/policy/policy.ts";
import type { Candidate } from "../../src/policy/rank.ts";
import type { Task } from "../../src/policy/task.ts";
import {
  budget,
  model,
  perHour,
  perRequest,
  policy,
  TEN,
  task,
  upstream,
  usd,
  ZERO,
} from "../support/policies.ts";

/** 1 s costs 1 000 000 nano-dollars at the slow one, 4 times as much at the fast one. */
const slow = upstream("slow", { price: perHour("3.60"), gpuTier: "a10g" });
const fast = upstream("fast", { price: perHour("14.40"), gpuTier: "a100" });
const GIVEN = policy({ upstreams: [slow, fast] });

function lesson(upstream: string, time: number, at: Instant = TEN): Lesson {
  return {
    ...{ model: "flux-dev", bucket: "p24", upstream, tier: undefined, at, elapsed: seconds(time) },
    ...{ isWhole: true, expected: undefined },
  };
}

/** Five requests took so long there. */
function knowing(times: Readonly<Record<string, number>>, learning = new Learning()): Learning {
  for (const [upstream, time] of Object.entries(times)) {
    for (let count = 0; count < 5; count += 1) learning.learn(lesson(upstream, time));
  }
  return learning;
}

const view = (at: Instant): Balances => ({ at, balance: () => ({ settled: ZERO, held: ZERO }) });

interface Asked {
  readonly at?: Instant;
  readonly policy?: Policy;
  readonly task?: Task;
  readonly candidates?: Readonly<Record<string, Partial<Candidate>>>;
}

function ask(known: Learning, asked: Asked = {}): Decided {
  const given = asked.policy ?? GIVEN;
  const flux = given.models.get("flux-dev");
  if (flux === undefined) throw new Error("no flux-dev");
  const candidates = flux.upstreams.flatMap((id) => {
    const found = given.upstreams.get(id);
    return found === undefined ? [] : [{ upstream: found, inFlight: 0, ...asked.candidates?.[id] }];
  });
  const question = { policy: given, model: flux, task: asked.task ?? task(), candidates, unreachable: [] };
  return decide({ ...question, known }, view(asked.at ?? TEN));
}

/** As the exchange does it: in the tick of the decision. */
function follow(known: Learning, asked: Asked = {}): string {
  const own = asked.task ?? task();
  const decision = ask(known, { ...asked, task: own });
  known.follow(own, decision);
  return chosenOf(decision);
}

function chosenOf(decision: Decided): string {
  if (decision.kind !== "forward") return decision.kind;
  const { upstream, standing } = decision.quote;
  return standing === "tried" ? `${upstream.id} to learn` : upstream.id;
}

function check(t: ExecutionContext, known: Learning, expected: string, asked?: Asked): void {
  t.is(chosenOf(ask(known, asked)), expected);
}

test("before anything is learned the lower price an hour wins", (t) => {
  check(t, new Learning(), "slow");
});

test("the dearer hour wins where it takes less than its share of the time", (t) => {
  check(t, knowing({ slow: 40, fast: 9 }), "fast");
  check(t, knowing({ slow: 40, fast: 11 }), "slow");
});

test("the rank is the median, the hold the upper quantile, both at the price for one alone", (t) => {
  const known = new Learning();
  for (const time of [10, 10, 10, 10, 30]) known.learn(lesson("slow", time));
  const decision = ask(known);
  if (decision.kind !== "forward") throw new Error(decision.kind);
  const { quote, explanation } = decision;
  t.deepEqual([quote.rank, quote.amount, quote.hold], [usd("0.01"), usd("0.01"), usd("0.03")]);
  t.deepEqual([quote.time, quote.holdTime], [seconds(10), seconds(30)]);
  t.is(explanation.candidates[0]?.timeSource, "learned from 5 requests");
});

test("where nothing was learned: the policy's estimate, then the table, then a guess", (t) => {
  const sourced = (up: typeof slow, estimate?: DurationUs) => {
    const models = [model("flux-dev", [up.id], { estimate })];
    const decision = ask(new Learning(), { policy: policy({ upstreams: [up], models }) });
    const [first] = decision.explanation.candidates;
    return [first?.time, first?.timeSource];
  };
  const rtx = upstream("rtx", { gpuTier: "rtx-4090" });
  t.deepEqual(sourced(rtx, seconds(12)), [seconds(12), "the policy's estimate"]);
  t.deepEqual(sourced(rtx), [seconds(5), "the table's time for rtx-4090"]);
  t.deepEqual(sourced(slow), [seconds(30), "a guess: nothing is known yet"]);
});

test("requests that were ended there raise the policy's estimate, and never lower it", (t) => {
  const known = new Learning();
  for (let count = 0; count < 5; count += 1) known.learn({ ...lesson("slow", 11), isWhole: false });
  t.is(ask(known).explanation.candidates[0]?.time, seconds(12));
  for (let count = 0; count < 5; count += 1) known.learn({ ...lesson("slow", 90), isWhole: false });
  t.is(ask(known).explanation.candidates.find(({ upstream }) => upstream === "slow")?.time, seconds(90));
});

test("one of unknown speed ranks as the fastest that is known, and is chosen to learn where that is cheaper", (t) => {
  const known = knowing({ fast: 10 });
  const decision = ask(known);
  t.is(chosenOf(decision), "slow to learn");
  t.regex(decision.explanation.rule, /chose slow: chosen to learn how long such work takes there/);
  const [first] = decision.explanation.candidates;
  t.is(first?.rank, usd("0.01"));
  t.is(first?.timeSource, "the policy's estimate; ranked by the fastest known time, to learn its own");
  // Held as the policy says: what is borrowed is only the rank.
  t.is(first?.hold, usd("0.012"));
  check(t, knowing({ slow: 10 }), "slow");
});

test("of two requests in the same tick one tries, whatever they are about", (t) => {
  const known = knowing({ fast: 10 });
  const other = task({ work: { ...task().work, steps: 40 } });
  for (let count = 0; count < 5; count += 1) known.learn({ ...lesson("fast", 20), bucket: "p25" });
  t.is(follow(known), "slow to learn");
  t.is(follow(known), "fast");
  t.is(follow(known, { task: other }), "fast");
});

test("an hour after it was tried it is tried again, a moment earlier it is not", (t) => {
  const known = knowing({ fast: 10 });
  const first = task();
  t.is(follow(known, { task: first }), "slow to learn");
  known.end(first.id);
  check(t, known, "fast", { at: later(TEN, (HOUR - 1) as DurationUs) });
  check(t, known, "slow to learn", { at: later(TEN, HOUR) });
  // Other work is another question.
  for (let count = 0; count < 5; count += 1) known.learn({ ...lesson("fast", 20), bucket: "p25" });
  check(t, known, "slow to learn", { task: task({ work: { ...task().work, steps: 40 } }) });
});

test("while it is tried nobody else tries, however long that takes", (t) => {
  const known = knowing({ fast: 10 });
  follow(known);
  check(t, known, "fast", { at: later(TEN, (5 * HOUR) as DurationUs) });
});

test("a decision that is made again for the same request is no second try", (t) => {
  const known = knowing({ fast: 10 });
  const own = task();
  t.is(follow(known, { task: own }), "slow to learn");
  t.is(follow(known, { task: own }), "slow to learn");
  // It could not be reached and goes elsewhere: nobody tries any more, but the hour has begun.
  known.follow(own, ask(known, { policy: policy({ upstreams: [fast] }), task: own }));
  check(t, known, "fast", { at: later(TEN, MINUTE) });
  check(t, known, "slow to learn", { at: later(TEN, HOUR) });
});

test("five that ended well end the trying", (t) => {
  const known = knowing({ slow: 10 }, knowing({ fast: 10 }));
  check(t, known, "slow");
});

test("explore: false ends it: what is unknown ranks by the policy's estimate", (t) => {
  const quiet = { ...GIVEN, lowestPrice: { includeLocal: false, explore: false } };
  check(t, knowing({ fast: 1 }), "slow to learn");
  check(t, knowing({ fast: 1 }), "fast", { policy: quiet });
  check(t, knowing({ fast: 10 }), "slow", { policy: quiet });
});

test("between tries it stands behind those that are known, and serves when they cannot", (t) => {
  const known = knowing({ fast: 10 });
  follow(known);
  const busy: Hindrance = { kind: "busy", running: 1, concurrency: 1 };
  const decision = ask(known, { candidates: { fast: { hindrance: busy } } });
  t.is(chosenOf(decision), "slow");
  t.is(
    decision.explanation.candidates[1]?.timeSource,
    "the policy's estimate; behind those whose time is known",
  );
});

test("one that would be dearer even as the fastest is not there to learn from, whenever it serves", (t) => {
  const busy: Hindrance = { kind: "busy", running: 1, concurrency: 1 };
  check(t, knowing({ slow: 10 }), "fast", { candidates: { slow: { hindrance: busy } } });
});

test("a try goes through the same budgets", (t) => {
  const tight = budget("tight", { limit_usd: "0.001", when: { upstream: "slow" } });
  check(t, knowing({ fast: 10 }), "fast", { policy: { ...GIVEN, budgets: [tight] } });
});

test("where all are unknown none is tried: the cheapest serves", (t) => {
  const known = knowing({ gone: 10 });
  t.is(follow(known), "slow");
  t.is(follow(known), "slow");
});

test("a price that time does not touch leaves nothing to learn", (t) => {
  const flat = upstream("flat", { price: perRequest("0.03") });
  const shadow = upstream("shadow", { rankPerRequest: usd("0.05") });
  const given = policy({ upstreams: [shadow, flat, fast] });
  check(t, knowing({ fast: 10 }), "flat", { policy: given });
  check(t, knowing({ fast: 7 }), "fast", { policy: given });
});

test("manual mode tries nothing", (t) => {
  const manual = { ...GIVEN, mode: "manual" as const };
  check(t, knowing({ fast: 10 }), "slow", { policy: manual });
});

test("a container that must be started costs its start and what its machine bills at least", (t) => {
  const known = knowing({ slow: 40, fast: 11 });
  check(t, known, "slow", { candidates: { slow: { cold: { startUp: seconds(3), unbilled: seconds(0) } } } });
  check(t, known, "fast", {
    candidates: { slow: { cold: { startUp: seconds(3), unbilled: seconds(42) } } },
  });
});

test("of equal prices the one that is up serves", (t) => {
  const twin = upstream("twin", { price: perHour("3.60") });
  const nothing = { startUp: seconds(0), unbilled: seconds(0) };
  const given = policy({ upstreams: [slow, twin] });
  check(t, new Learning(), "twin", {
    policy: given,
    candidates: { slow: { cold: nothing }, twin: { inFlight: 3 } },
  });
});

test("only what was relayed whole teaches a time; what was ended is a lower bound; errors teach nothing", (t) => {
  t.is(teaches("relayed", 200), "whole");
  t.is(teaches("relayed", 422), undefined);
  t.is(teaches("relayed", undefined), undefined);
  t.is(teaches("aborted", 101), undefined);
  for (const outcome of ["aborted", "cut", "failed", "truncated"] as const) {
    t.is(teaches(outcome, 200), "bound");
  }
  for (const outcome of ["unsent", "refused", "no_upstream", "unknown"] as const) {
    t.is(teaches(outcome, undefined), undefined);
  }
});
