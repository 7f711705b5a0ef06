// What is offered to NVIDIA's hosted API, and what everybody is told of the rest.

import test, { type ExecutionContext } from "ava";
import { decide } from "../../src/policy/decide.ts";
import { NOTHING_KNOWN } from "../../src/policy/expect.ts";
import { whyUnfit } from "../../src/policy/hosted.ts";
import type { Policy } from "../../src/policy/policy.ts";
import type { Picture, PictureFacts, Work } from "../../src/policy/task.ts";
import { model, perHour, perRequest, policy, TEN, task, upstream, ZERO } from "../support/policies.ts";

const GENAI = "https://ai.api.nvidia.com/v1/genai/black-forest-labs";
const dev = hosted("flux.1-dev");
const schnell = hosted("flux.1-schnell");

function hosted(name: string, id = "flux-hosted") {
  return upstream(id, { provider: "nvidia-hosted", url: `${GENAI}/${name}`, price: perRequest("0") });
}

interface Sketch extends Partial<Omit<Work, "picture">>, Partial<PictureFacts> {}

/** A body that flux.1-dev serves, but for what is given. */
function asked({ promptLength, mode, image, cfgScale, seed, odd, ...rest }: Sketch = {}): Work {
  const facts = { promptLength: promptLength ?? 20, mode: mode ?? "base", image: image ?? "none" } as const;
  const picture: Picture = { kind: "read", ...facts, cfgScale, seed, odd };
  return { ...task().work, steps: 30, ...rest, picture };
}

function check(t: ExecutionContext, sketch: Sketch, expected: RegExp | undefined, at = dev) {
  const why = whyUnfit(at, asked(sketch));
  if (expected === undefined) t.is(why, undefined);
  else t.regex(why ?? "it was taken", expected);
}

test("what a node's plain body asks for is served", check, { cfgScale: 3.5, seed: 7 }, undefined);
test(
  "an image of the user's own is not",
  check,
  { image: "own", mode: "depth" },
  /takes no images of the user's own/,
);
test("an example image is, in a mode that needs one", check, { image: "example", mode: "canny" }, undefined);
test(
  "a mode that needs an image is not served without one",
  check,
  { mode: "canny" },
  /needs an image for mode canny/,
);
test("an image in mode base is not", check, { image: "example" }, /no image in mode base/);
test(
  "schnell has no mode depth",
  check,
  { mode: "depth", image: "example", steps: 4 },
  /no mode depth/,
  schnell,
);
test("5 steps are enough for dev", check, { steps: 5 }, undefined);
test("4 are not", check, { steps: 4 }, /takes 5 to 100 steps, this asks for 4/);
test("100 steps are not too many", check, { steps: 100 }, undefined);
test("101 are", check, { steps: 101 }, /5 to 100 steps/);
test("schnell takes 4 steps", check, { steps: 4 }, undefined, schnell);
test("schnell does not take 5", check, { steps: 5 }, /takes 1 to 4 steps, this asks for 5/, schnell);
test("a side of 1344 is served", check, { width: 1344, height: 768 }, undefined);
test("a side of 1408 is not", check, { height: 1408 }, /width and height of 768 to 1344.*asks for 1408/);
test("a side of 704 is not", check, { width: 704 }, /asks for 704/);
test("nor one that is no multiple of 64", check, { width: 1000 }, /asks for 1000/);
test("a cfg_scale of 9 is served", check, { cfgScale: 9 }, undefined);
test("more than 9 is not", check, { cfgScale: 9.1 }, /cfg_scale over 1 and up to 9, this asks for 9.1/);
test("1 is not", check, { cfgScale: 1 }, /cfg_scale over 1/);
test("schnell is sent no cfg_scale, so any will do", check, { cfgScale: 0, steps: 4 }, undefined, schnell);
test("two images a request are not served", check, { images: 2 }, /one image a request, this asks for 2/);
test("a prompt of 10000 characters is served", check, { promptLength: 10_000 }, undefined);
test("one of 10001 is not", check, { promptLength: 10_001 }, /up to 10000 characters, this has 10001/);
test("a body without a prompt is not", check, { promptLength: 0 }, /needs a prompt/);
test("a seed of 32 bits is served", check, { seed: 4_294_967_295 }, undefined);
test("a larger one is not", check, { seed: 4_294_967_296 }, /seed of up to 4294967295/);
test("what nobody can read is not", check, { odd: "width is no whole number" }, /width is no whole number$/);
test("no bounds are known of another model", check, { width: 672, steps: 3 }, undefined, hosted("sd-9"));
test(
  "but that it takes no image of the user's own",
  check,
  { image: "own" },
  /of the user's own/,
  hosted("sd-9"),
);

test("a body that was not read is not offered, another path neither, and an estimate only by what it says", (t) => {
  const by = (picture: Picture, more: Partial<Work> = {}) =>
    whyUnfit(dev, { ...asked(), steps: undefined, width: undefined, height: undefined, ...more, picture });
  t.regex(by({ kind: "unread" }) ?? "", /up to 64 KiB, and no images of the user's own/);
  t.regex(by({ kind: "none" }) ?? "", /nothing but POST \/v1\/infer/);
  t.is(by({ kind: "unseen" }), undefined);
  t.regex(by({ kind: "unseen" }, { steps: 4 }) ?? "", /5 to 100 steps/);
});

test("NVIDIA's OpenAI routes and everybody else's upstreams are asked for anything", (t) => {
  const own = asked({ image: "own" });
  const chat = upstream("llm", { provider: "nvidia-hosted", url: "https://integrate.api.nvidia.com" });
  t.is(whyUnfit(chat, { ...own, picture: { kind: "none" } }), undefined);
  t.is(whyUnfit(upstream("aws", { url: `${GENAI}/flux.1-dev` }), own), undefined);
});

const aws = upstream("flux-aws", { price: perHour("3.6") });
const OWN = task({ work: asked({ image: "own" }) });

function decided(given: Policy, unreachable: readonly string[] = []) {
  const [only] = given.models.values();
  if (only === undefined) throw new Error("the policy has no model");
  const candidates = [...given.upstreams.values()].map((one) => ({ upstream: one, inFlight: 0 }));
  const view = { at: TEN, balance: () => ({ settled: ZERO, held: ZERO }) };
  return decide(
    { policy: given, model: only, task: OWN, candidates, unreachable, known: NOTHING_KNOWN },
    view,
  );
}

test("who can serve it serves it, though the hosted one is cheaper, and the explanation says why", (t) => {
  const decision = decided(policy({ upstreams: [dev, aws] }));
  if (decision.kind !== "forward") return t.fail(decision.kind);
  t.is(decision.quote.upstream.id, "flux-aws");
  t.regex(decision.explanation.rule, /flux-hosted cannot serve this request/);
  t.deepEqual(
    decision.explanation.candidates.map(({ upstream: id, leftOut }) => [id, leftOut]),
    [
      ["flux-aws", undefined],
      ["flux-hosted", "nvidia-hosted takes no images of the user's own"],
    ],
  );
});

test("an upstream that cannot serve it is no alternative", (t) => {
  const { explanation } = decided(policy({ upstreams: [dev, aws] }));
  t.deepEqual(
    explanation.alternatives.map((one) => one.upstream),
    ["flux-aws"],
  );
});

test("manual mode passes over the first listed where it cannot serve, and stays with one that is named", (t) => {
  const given = policy({ upstreams: [dev, aws], mode: "manual" });
  const first = decided(given);
  t.is(first.explanation.chosen, "flux-aws");
  t.regex(first.explanation.rule, /the first listed that can serve this request/);
  const named = new Map([
    ["flux-dev", model("flux-dev", ["flux-hosted", "flux-aws"], { manual: "flux-hosted" })],
  ]);
  t.like(decided({ ...given, models: named }), { kind: "no_upstream", cause: "request" });
});

test("where only the hosted one may serve, the request is what to change", (t) => {
  const local = upstream("flux-local", { provider: "local" });
  const decision = decided(policy({ upstreams: [local, dev] }));
  t.like(decision, { kind: "no_upstream", cause: "request" });
  t.is(
    decision.kind === "no_upstream" && decision.reason,
    "no upstream of flux-dev can serve this request: " +
      "flux-hosted left out, nvidia-hosted takes no images of the user's own; " +
      "flux-local left out, lowest_price leaves local upstreams out (lowest_price.include_local is false)",
  );
});

test("where one that could serve it is down, it is not the request's fault", (t) => {
  const decision = decided(policy({ upstreams: [dev] }), ["flux-aws"]);
  t.like(decision, { kind: "no_upstream", cause: "upstreams" });
});

test("where the mode would not ask NVIDIA anyway, it is not the request's fault", (t) => {
  const decision = decided(policy({ upstreams: [dev], mode: "local" }));
  t.like(decision, { kind: "no_upstream", cause: "upstreams" });
});
