// What is decided while all spending is stopped.

import test, { type ExecutionContext } from "ava";
import { EMPTY_BALANCE } from "../../src/metering/balance.ts";
import { decide } from "../../src/policy/decide.ts";
import type { Decided } from "../../src/policy/decision.ts";
import { NOTHING_KNOWN } from "../../src/policy/expect.ts";
import type { Hindrance } from "../../src/policy/hindrance.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { perHour, perRequest, policy, TEN, task, upstream } from "../support/policies.ts";

const paid = upstream("paid", { price: perHour("0.01") });
const hosted = upstream("hosted", { price: perRequest("0.00") });
const BUSY: Hindrance = { kind: "busy", running: 1, concurrency: 1 } as Hindrance;
const STOP = { by: "olga", at: TEN };

function decided(on: Policy, hindered: Record<string, Hindrance> = {}): Decided {
  const model = on.models.get("flux-dev");
  if (model === undefined) throw new Error("no model");
  const candidates = model.upstreams.flatMap((id) => {
    const found = on.upstreams.get(id);
    return found === undefined ? [] : [{ upstream: found, inFlight: 0, hindrance: hindered[id] }];
  });
  const view = { at: TEN, stopped: STOP, balance: () => EMPTY_BALANCE };
  return decide({ policy: on, model, task: task(), candidates, unreachable: [], known: NOTHING_KNOWN }, view);
}

function check(t: ExecutionContext, given: Decided, expected: string): void {
  const chosen = given.kind === "forward" ? ` ${given.quote.upstream.id}` : "";
  t.is(given.kind + chosen, expected);
}

test("paid work is refused, and the refusal says who stopped it", (t) => {
  const given = decided(policy({ upstreams: [paid] }));
  check(t, given, "stopped");
  t.true(given.kind === "stopped" && given.stop === STOP);
  t.regex(given.explanation.rule, /stopped by olga/);
  t.is(given.explanation.candidates[0]?.leftOut, "all spending is stopped");
  t.is(given.explanation.chosen, undefined);
});

test("free work passes, though a paid upstream would have been chosen", (t) => {
  const ranked = { ...hosted, rankPerRequest: 1_000_000_000n as never };
  const given = decided(policy({ upstreams: [paid, ranked] }));
  check(t, given, "forward hosted");
  const candidates = given.explanation.candidates.map(({ upstream: id, leftOut }) => [id, leftOut]);
  t.deepEqual(candidates, [
    ["hosted", undefined],
    ["paid", "all spending is stopped"],
  ]);
});

test("nobody waits for a paid upstream, and whoever waits for a free one goes on waiting for that alone", (t) => {
  check(t, decided(policy({ upstreams: [paid] }), { paid: BUSY }), "stopped");
  const both = decided(policy({ upstreams: [paid, hosted] }), { paid: BUSY, hosted: BUSY });
  check(t, both, "wait");
  t.deepEqual(both.kind === "wait" && both.upstreams, ["hosted"]);
});

test("in manual the paid one whose turn it is is the outcome, and the free one is an alternative", (t) => {
  const given = decided(policy({ mode: "manual", upstreams: [paid, hosted] }));
  check(t, given, "stopped");
  t.deepEqual(given.kind === "stopped" && given.alternatives.map((one) => one.upstream), ["hosted"]);
});

test("a price per request of nothing is free, whatever the mode", (t) => {
  check(t, decided(policy({ mode: "manual", upstreams: [hosted] })), "forward hosted");
});
