// A node's body in NVIDIA's words: every body that the rule lets through is one that NVIDIA takes, and the rule
// keeps no plain one back.

import test from "ava";
import fc from "fast-check";
import { COMFYUI_BODY } from "../../src/demo/artist.ts";
import { hostedModelOf, whyUnfit } from "../../src/policy/hosted.ts";
import { readFacts } from "../../src/proxy/body-facts.ts";
import { hostedBody } from "../../src/proxy/hosted-request.ts";
import { saidIn } from "../../src/proxy/upstream-words.ts";
import { rejectsBody } from "../support/nvidia-fields.ts";
import { upstream } from "../support/policies.ts";

function hosted(name: string) {
  const url = `https://ai.api.nvidia.com/v1/genai/black-forest-labs/${name}`;
  const at = upstream("flux-hosted", { provider: "nvidia-hosted", url });
  const model = hostedModelOf(at);
  if (model === undefined) throw new Error(`${url} is no hosted model`);
  return { at, model, name };
}

const dev = hosted("flux.1-dev");
const schnell = hosted("flux.1-schnell");

/** What becomes of a body: why it is left out, or what is sent. */
function through({ at, model }: typeof dev, text: string): { why: string } | { sent: unknown } {
  const bytes = Buffer.from(text);
  const isWhole = bytes.length <= 65_536;
  const read = readFacts({ bytes, isWhole, contentType: "application/json", contentEncoding: undefined });
  if (read.kind === "invalid") return { why: "no JSON" };
  const why = whyUnfit(at, { ...read.work, bytes: bytes.length });
  if (why !== undefined) return { why };
  const sent = hostedBody(model, bytes);
  return { sent: sent === undefined ? undefined : JSON.parse(sent.toString("utf8")) };
}

test("the node's own body becomes NVIDIA's: one prompt, the same seed, no cfg_scale for schnell", (t) => {
  t.deepEqual(through(schnell, COMFYUI_BODY), {
    sent: { prompt: "a lighthouse at dusk", width: 1024, height: 768, mode: "base", seed: 7, steps: 4 },
  });
  t.deepEqual(through(dev, COMFYUI_BODY.replace('"steps": 4', '"steps": 30')), {
    sent: {
      prompt: "a lighthouse at dusk",
      width: 1024,
      height: 768,
      mode: "base",
      cfg_scale: 3.5,
      seed: 7,
      steps: 30,
    },
  });
});

test("keys that NVIDIA does not have are left out, and so is everything that is null", (t) => {
  const body = { prompt: "x", model: "flux", preprocess_image: true, image: null, steps: null, __proto: 1 };
  t.deepEqual(through(dev, JSON.stringify(body)), { sent: { prompt: "x" } });
});

test("a body in words of a model whose fields are not known passes as it is", (t) => {
  const body = { prompt: "x", aspect_ratio: "16:9", cfg_scale: 40 };
  t.deepEqual(through(hosted("sd-9"), JSON.stringify(body)), { sent: body });
  const nodes = { text_prompts: [{ text: "x" }], steps: 3 };
  t.deepEqual(through(hosted("sd-9"), JSON.stringify(nodes)), { sent: { prompt: "x", steps: 3 } });
});

for (const [what, text, why] of [
  ["several prompts", { text_prompts: [{ text: "a" }, { text: "b" }] }, /several text_prompts/],
  ["a weighted prompt", { text_prompts: [{ text: "a", weight: -1 }] }, /have weights/],
  ["a negative prompt", { prompt: "a", negative_prompt: "hands" }, /negative_prompt/],
  ["a prompt that is a list", { prompt: ["a"] }, /prompt is no text/],
  ["a width in quotes", { prompt: "a", width: "1024" }, /width is no whole number/],
  ["half a step", { prompt: "a", steps: 7.5 }, /steps is no whole number/],
  ["a negative seed", { prompt: "a", seed: -1 }, /seed is no whole number/],
  ["another mode", { prompt: "a", mode: "inpaint" }, /mode is none of base, canny, depth/],
  ["the image of a node", { prompt: "a", image: "data:image/png;base64,iVBORw0=" }, /of the user's own/],
  ["a fifth example", { prompt: "a", mode: "canny", image: "data:image/png;example_id,4" }, /user's own/],
  ["a list", [1], /only JSON bodies/],
] satisfies [string, object, RegExp][]) {
  test(`${what} cannot be said to NVIDIA`, (t) => {
    const found = through(dev, JSON.stringify(text));
    t.regex("why" in found ? found.why : "it was sent", why);
  });
}

test("a body that is longer than what is looked at is left out", (t) => {
  const found = through(dev, JSON.stringify({ prompt: "a", image: "x".repeat(70_000) }));
  t.regex("why" in found ? found.why : "it was sent", /up to 64 KiB/);
});

const either = <T>(often: T, ...seldom: unknown[]) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constant(often) },
    { weight: 1, arbitrary: fc.constantFrom(...seldom) },
  );
const side = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 12, max: 21 }).map((n) => n * 64) },
  { weight: 1, arbitrary: fc.integer({ min: 600, max: 1600 }) },
);
const plain = fc.record({
  width: fc.integer({ min: 12, max: 21 }).map((n) => n * 64),
  height: fc.integer({ min: 12, max: 21 }).map((n) => n * 64),
  text_prompts: fc.string({ minLength: 1, unit: "grapheme" }).map((text) => [{ text }]),
  mode: fc.constant("base"),
  cfg_scale: fc.double({ min: 1.001, max: 9, noNaN: true }),
  seed: fc.integer({ min: 0, max: 4_294_967_295 }),
  steps: fc.integer({ min: 5, max: 100 }),
});
const anyFields = fc.record({
  width: fc.oneof(
    { weight: 9, arbitrary: side },
    { weight: 1, arbitrary: fc.constantFrom("1024", 1.5, null) },
  ),
  height: side,
  text_prompts: either([{ text: "a cat" }], [], [{ text: "" }], [{ text: "a" }, { text: "b" }], "x", [null]),
  prompt: fc.constantFrom("a dog", "", "\ud83d\ude00".repeat(5001), "\ud800", null, 7),
  mode: either("base", "canny", "depth", "other", null, 1),
  image: fc.constantFrom(null, "data:image/png;example_id,2", "data:image/png;base64,AAAA", "", 3),
  cfg_scale: fc.oneof(fc.double({ min: 0, max: 10, noNaN: true }), fc.constantFrom(null, "3", 1e300)),
  seed: either(7, 0, -1, 4_294_967_296, 2 ** 60, "7", null),
  steps: fc.oneof(fc.integer({ min: 0, max: 110 }), fc.integer({ min: 1, max: 6 }), fc.constant("4")),
  samples: either(1, 0, 2, "1", null),
  n: fc.constantFrom(1, 4),
  negative_prompt: fc.constantFrom("", "hands"),
  model: fc.constant("flux.1-dev"),
});

/** A plain body in which up to three keys are said in another way, or are new. */
const anyBody = fc
  .tuple(plain, anyFields, fc.array(fc.nat(), { maxLength: 3 }))
  .map(([good, fields, picks]) => {
    const keys = Object.entries(fields);
    const changes = picks.flatMap((pick) => keys.slice(pick % keys.length, (pick % keys.length) + 1));
    return { ...good, ...Object.fromEntries(changes) };
  });

test("whatever a node may say is taken by NVIDIA as it is sent, or left out with a reason", (t) => {
  const seen = { sent: 0, left: 0 };
  fc.assert(
    fc.property(anyBody, fc.boolean(), (any, isDev) => {
      const to = isDev ? dev : schnell;
      const body = isDev || typeof any.steps !== "number" ? any : { ...any, steps: any.steps % 6 };
      const found = through(to, JSON.stringify(body));
      if ("why" in found) {
        seen.left += 1;
        return;
      }
      seen.sent += 1;
      t.is(rejectsBody(to.name, found.sent as Record<string, unknown>), undefined, JSON.stringify(body));
    }),
    { numRuns: 3000 },
  );
  t.true(seen.sent > 300 && seen.left > 300, JSON.stringify(seen));
});

test("nothing is left out that the node says and NVIDIA would take", (t) => {
  fc.assert(
    fc.property(plain, (body) => {
      const found = through(dev, JSON.stringify(body));
      t.true("sent" in found, JSON.stringify([body, found]));
    }),
  );
});

for (const [what, body, said] of [
  [
    "problem+json",
    '{"title":"Payment Required","detail":"Cloud credits expired"}',
    "Payment Required: Cloud credits expired",
  ],
  ["OpenAI's shape", '{"error":{"message":"no messages","code":"missing_required_field"}}', "no messages"],
  ["FastAPI's shape", '{"detail":[{"loc":["body"],"msg":"Input is too long"}]}', "Input is too long"],
  ["plain text", "404 page not found\n", "404 page not found"],
  ["a web page", "<html><body>Bad Gateway</body></html>", ""],
  ["JSON that is cut short", '{"title":"Pay', ""],
  ["line breaks and letters that no header holds", '{"detail":"a\\r\\nX: 1 \\u00fc"}', "a X: 1 ?"],
  ["our key", '{"detail":"key nvapi-AbC_12-x is unknown"}', "key nvapi-*** is unknown"],
  ["a long story", "x".repeat(400), `${"x".repeat(157)}...`],
] as const) {
  test(`of an error in ${what} is told what it says`, (t) => {
    t.is(saidIn(Buffer.from(body)), said);
  });
}
