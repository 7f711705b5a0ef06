// What a whole body for POST /v1/infer says about the picture, as facts: in the words of NVIDIA's nodes
// (`text_prompts`) or in those of the NIM's own documents (`prompt`). Nobody's rules are known here.

import type { Picture, PictureFacts } from "../policy/task.ts";

/** Of the value that the body is. */
export function pictureOf(body: unknown): Picture {
  if (!isObject(body)) return { kind: "unread" };
  const prompt = promptIn(body);
  const mode = MODES.find((each) => each === (body.mode ?? "base"));
  return {
    kind: "read",
    promptLength: prompt.kind === "said" ? prompt.text.length : 0,
    mode: mode ?? "base",
    image: imageIn(body.image),
    cfgScale: typeof body.cfg_scale === "number" ? body.cfg_scale : undefined,
    seed: typeof body.seed === "number" ? body.seed : undefined,
    odd: oddityIn(body) ?? (prompt.kind === "odd" ? prompt.why : undefined),
  };
}

export type Prompt =
  | { readonly kind: "said"; readonly text: string }
  | { readonly kind: "none" }
  | { readonly kind: "odd"; readonly why: string };

/** Where both are there, `prompt` counts. A `null` is as good as nothing, for every key. */
export function promptIn(body: object): Prompt {
  const { prompt, text_prompts: all } = body as Fields;
  if (typeof prompt === "string") return { kind: "said", text: prompt };
  if (prompt !== undefined && prompt !== null) return { kind: "odd", why: "prompt is no text" };
  if (all === undefined || all === null) return { kind: "none" };
  if (!Array.isArray(all)) return { kind: "odd", why: "text_prompts is no list" };
  const [first, ...others]: unknown[] = all;
  if (others.length > 0) return { kind: "odd", why: "it has several text_prompts" };
  if (first === undefined) return { kind: "none" };
  if (!isObject(first) || typeof first.text !== "string")
    return { kind: "odd", why: "text_prompts has no text" };
  if (first.weight !== undefined && first.weight !== 1)
    return { kind: "odd", why: "its text_prompts have weights" };
  return { kind: "said", text: first.text };
}

type Fields = Readonly<Record<string, unknown>>;

const MODES: readonly PictureFacts["mode"][] = ["base", "canny", "depth"];
const WHOLE: readonly string[] = ["width", "height", "steps", "seed", "samples"];

function imageIn(image: unknown): PictureFacts["image"] {
  if (image === undefined || image === null) return "none";
  return typeof image === "string" && EXAMPLE.test(image) ? "example" : "own";
}

const EXAMPLE = /^data:image\/png;example_id,[0-3]$/;

function oddityIn(body: Fields): string | undefined {
  const wrong = WHOLE.find((key) => !isAbsent(body[key]) && !isWhole(body[key]));
  if (wrong !== undefined) return `${wrong} is no whole number`;
  if (body.samples === 0) return "samples is 0";
  if (!isAbsent(body.cfg_scale) && typeof body.cfg_scale !== "number") return "cfg_scale is no number";
  if (!isAbsent(body.mode) && !MODES.some((mode) => mode === body.mode))
    return `mode is none of ${MODES.join(", ")}`;
  if (!isAbsent(body.negative_prompt) && body.negative_prompt !== "") return "it has a negative_prompt";
  return undefined;
}

function isWhole(value: unknown): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
