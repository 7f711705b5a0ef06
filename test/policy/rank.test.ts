// What a request is quoted at an upstream, from the work that its body asks for.

import test from "ava";
import type { Price } from "../../src/metering/price.ts";
import { type DurationUs, seconds } from "../../src/metering/time.ts";
import { quoteOf, rank } from "../../src/policy/rank.ts";
import type { Work } from "../../src/policy/task.ts";
import { model, perHour, policy, task, upstream, usd } from "../support/policies.ts";

const PRICE: Price = {
  kind: "tokens",
  input: usd("1.00"),
  output: usd("10.00"),
  source: { kind: "policy" },
};

/** In micro-dollars, of which one token in costs one and one token out ten. */
function quoted(work: Partial<Work>): number {
  const asked = task({ work: { ...task().work, images: 1, bytes: 0, ...work } });
  const llm = upstream("llm", { price: PRICE });
  return Number(quoteOf(asked, model("flux-dev", ["llm"]), { upstream: llm, inFlight: 0 }).hold) / 1000;
}

test("tokens out are those of one choice times the choices", (t) => {
  t.is(quoted({ maxTokens: 100 }), 1000);
  t.is(quoted({ maxTokens: 100, images: 4 }), 4000);
  t.is(quoted({ maxTokens: undefined, images: 2 }), 20_480);
});

test("who waits for a machine to start holds its start and its minimum too, and is not expected to cost that", (t) => {
  const machine = upstream("pool", { price: perHour("3.6") });
  const at = (cold?: { startUp: DurationUs; unbilled: DurationUs }) => {
    const { hold, amount } = quoteOf(task(), model("flux-dev", ["pool"], { estimate: seconds(10) }), {
      ...{ upstream: machine, inFlight: 0, cold },
    });
    return [hold, amount];
  };
  t.deepEqual(at(), [usd("0.010"), usd("0.010")]);
  t.deepEqual(at({ startUp: seconds(30), unbilled: seconds(30) }), [usd("0.060"), usd("0.010")]);
});

test("tokens in are a quarter of the body's bytes, rounded up", (t) => {
  t.is(quoted({ maxTokens: 0, bytes: 401 }), 101);
  t.is(quoted({ maxTokens: 0, bytes: undefined }), 0);
});

test("among equals a warm one is first, then the one with fewer in flight, then the policy's order", (t) => {
  const ids = ["cold", "busy", "quiet", "later"];
  const [cold, ...warm] = ids.map((id) => upstream(id, { rankPerRequest: usd("0.01") }));
  const flux = model("flux-dev", ids);
  const start = { startUp: seconds(1), unbilled: seconds(0) };
  const candidates = [
    { upstream: cold ?? upstream("cold"), inFlight: 0, cold: start },
    ...warm.map((each) => ({ upstream: each, inFlight: each.id === "busy" ? 2 : 1 })),
  ];
  const quotes = candidates.map((each) => quoteOf(task(), flux, each));
  const given = policy({ upstreams: candidates.map((each) => each.upstream) });
  const order = rank(given, flux, task(), quotes).quotes.map((each) => each.upstream.id);
  t.deepEqual(order, ["quiet", "later", "busy", "cold"]);
});
