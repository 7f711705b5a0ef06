import test, { type ExecutionContext } from "ava";
import { FOREVER, HOUR } from "../../src/metering/time.ts";
import { decide, type Question } from "../../src/policy/decide.ts";
import type { Decided } from "../../src/policy/decision.ts";
import type { Policy } from "../../src/policy/policy.ts";
import {
  type BudgetSketch,
  budget,
  model,
  perHour,
  policy,
  TEN,
  task,
  upstream,
  usd,
} from "../support/policies.ts";

// A request of 12 s: 1 200 000 nano-dollars of `cheap` for each 0.36 USD/h, ten times as much of `dear`.
const local = upstream("local", { provider: "local", price: perHour("0") });
const cheap = upstream("cheap", { provider: "gcp", gpuTier: "t4", price: perHour("0.36") });
const dear = upstream("dear", { provider: "aws", gpuTier: "a100", price: perHour("3.6") });
const schnell = upstream("schnell", { provider: "aws", price: perHour("0.036") });

interface Given extends BudgetSketch {
  readonly mode?: Policy["mode"];
  readonly spent?: string;
  readonly held?: string;
  readonly more?: Policy["budgets"];
  readonly claimedBefore?: Question["claimedBefore"];
}

function ask({
  mode = "manual",
  spent = "0",
  held = "0",
  more = [],
  claimedBefore,
  ...sketch
}: Given): Decided {
  const flux = model("flux-dev", ["dear", "cheap", "local"], {
    manual: "dear",
    fallbackModel: "flux-schnell",
  });
  const fast = model("flux-schnell", ["schnell"]);
  const given = policy({
    upstreams: [dear, cheap, local, schnell],
    models: [flux, fast],
    budgets: [budget("b", sketch), ...more],
    mode,
  });
  const candidates = [dear, cheap, local].map((one) => ({ upstream: one, inFlight: 0 }));
  const fallback = { model: fast, candidates: [{ upstream: schnell, inFlight: 0 }] };
  const balance = { settled: usd(spent), held: usd(held) };
  const asked = {
    policy: given,
    model: flux,
    task: task(),
    candidates,
    fallback,
    unreachable: [],
    claimedBefore,
  };
  return decide(asked, { at: TEN, balance: () => balance });
}

function said(decided: Decided): string {
  switch (decided.kind) {
    case "forward": {
      const { quote, model: as, degraded, warnings } = decided;
      const told = warnings.map(({ action }) => action).join(",");
      return [`${quote.upstream.id} as ${as}`, degraded && `for ${degraded.budget}`, told]
        .filter(Boolean)
        .join(" ");
    }
    case "refuse":
      return `refused by ${decided.breach.budget}`;
    case "wait":
      return decided.money === undefined ? "waits for a slot" : decided.money.isParked ? "parked" : "in line";
    default:
      return decided.kind;
  }
}

function check(t: ExecutionContext, given: Given, expected: string): void {
  t.is(said(ask(given)), expected);
}

const SPENT = { limit_usd: "0.02", spent: "0.02" };

test("at its limit ignore says nothing, warn and soft_limit say so, and all three let it pass", (t) => {
  check(t, { ...SPENT, onLimit: "ignore" }, "dear as flux-dev");
  check(t, { ...SPENT, onLimit: "warn" }, "dear as flux-dev warn");
  check(t, { ...SPENT, onLimit: "soft_limit" }, "dear as flux-dev soft_limit");
});

test("a soft limit names what is cheaper from critical_at on, and not before", (t) => {
  const text = (spent: string) => {
    const decided = ask({ limit_usd: "1", spent, onLimit: "soft_limit" });
    return decided.kind === "forward" ? (decided.warnings[0]?.text ?? "") : decided.kind;
  };
  t.regex(
    text("0.888"),
    /runs low: 0\.90 of 1\.00 USD used or held; cheaper: cheap \(0\.0012 USD\), local \(0\.00 USD\)$/,
  );
  t.regex(text("0.887999999"), /runs low: [^;]*$/);
});

test("degrade goes to the cheapest of its model that fits all budgets", (t) => {
  check(t, { limit_usd: "0.02", spent: "0.0085", onLimit: "degrade" }, "local as flux-dev for b");
  const noLocal = budget("no-local", { limits: { seconds: 1 }, when: { provider: "local" } });
  check(
    t,
    { limit_usd: "0.02", spent: "0.0085", onLimit: "degrade", more: [noLocal] },
    "cheap as flux-dev for b",
  );
});

test("degrade goes to the fallback model where its own model has nothing that fits", (t) => {
  const none = budget("none", { limits: { seconds: 1 }, when: { model: "flux-dev" }, onLimit: "degrade" });
  check(t, { limit_usd: "1", more: [none] }, "schnell as flux-schnell for none");
});

test("degrade is not followed into a budget that has nothing left: then decides", (t) => {
  const all = budget("all", { limits: { seconds: 1 }, onLimit: "degrade", then: "queue" });
  const seconds = { limits: { seconds: 1 } };
  check(t, { ...seconds, onLimit: "degrade", then: "block" }, "refused by b");
  check(t, { ...seconds, onLimit: "degrade", then: "warn" }, "dear as flux-dev warn");
  check(t, { ...seconds, onLimit: "degrade", then: "warn", more: [all] }, "refused by all");
});

test("a degrade that may pass in the end still goes to something cheaper first", (t) => {
  check(t, { ...SPENT, onLimit: "degrade", then: "warn" }, "local as flux-dev for b warn");
});

test("queue waits in line for what is only held, and parks where it is spent until the period turns", (t) => {
  check(t, { limit_usd: "0.02", held: "0.02", onLimit: "queue" }, "in line");
  check(t, { limit_usd: "0.02", spent: "0.009", held: "0.01", onLimit: "queue" }, "parked");
  check(t, { limit_usd: "0.02", spent: "0.008", held: "0.01", onLimit: "queue" }, "in line");
});

test("what asks for more than the whole limit is refused at once, whatever queues", (t) => {
  check(t, { limit_usd: "0.011999999", onLimit: "queue" }, "refused by b");
  check(t, { limit_usd: "0.012", onLimit: "queue" }, "dear as flux-dev warn");
});

test("a wait says in which accounts it stands, until when, how long at most, and why", (t) => {
  const decided = ask({ limit_usd: "0.02", spent: "0.02", onLimit: "queue", maxWait: HOUR, priority: 8 });
  if (decided.kind !== "wait" || decided.money === undefined) throw new Error(decided.kind);
  t.is(decided.money.accounts.length, 1);
  t.is(decided.money.turnsAt - TEN, 14 * HOUR, "the day ends at midnight");
  t.is(decided.money.longest, HOUR);
  t.deepEqual(decided.urgency, { priority: 8, step: HOUR / 8 });
  t.is(
    decided.reason,
    "it waits for budget b until the period turns or the limit is raised: this needs 0.012 USD of 0.02 USD, " +
      "0.02 USD settled and 0.00 USD held",
  );
  const never = ask({ ...SPENT, onLimit: "queue", period: "infinite" });
  t.is(never.kind === "wait" && never.money?.turnsAt, FOREVER);
});

test("who comes later waits behind who came earlier, though there is enough for it", (t) => {
  check(t, { limit_usd: "1", onLimit: "queue", claimedBefore: () => 1 }, "in line");
  check(t, { limit_usd: "1", onLimit: "warn", claimedBefore: () => 1 }, "dear as flux-dev");
});

test("the strictest action on one candidate wins", (t) => {
  const tight = (onLimit: "block" | "queue" | "degrade") => budget(onLimit, { ...SPENT, onLimit });
  check(t, { ...SPENT, onLimit: "degrade", more: [tight("queue")] }, "parked");
  check(t, { ...SPENT, onLimit: "queue", more: [tight("block")] }, "refused by block");
  check(
    t,
    { ...SPENT, onLimit: "warn", more: [tight("degrade")] },
    "local as flux-dev for degrade warn,warn",
  );
});

test("in lowest_price a candidate that does not fit drops out, whatever its budget would do", (t) => {
  const both = { mode: "lowest_price", ...SPENT, when: { provider: "gcp" } } as const;
  for (const onLimit of ["block", "queue", "degrade"] as const) {
    check(t, { ...both, onLimit }, "dear as flux-dev");
  }
});

test("a shadow budget is told and changes nothing", (t) => {
  const decided = ask({ ...SPENT, onLimit: "block", shadow: true });
  t.is(decided.kind, "forward");
  const [seen] = decided.explanation.candidates[0]?.budgets ?? [];
  t.like(seen, { budget: "b", shadow: true, fits: false });
});

test("layers: a daily warn, a block on one provider and a warn on a component act together", (t) => {
  const more = [
    budget("aws-day", { limit_usd: "10", when: { provider: "aws" } }),
    budget("codex", { limit_usd: "0.001", when: { tag: "codex" }, onLimit: "warn" }),
  ];
  check(t, { limit_usd: "0.001", onLimit: "warn", more }, "dear as flux-dev warn");
});
