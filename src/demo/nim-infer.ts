// POST /v1/infer of a Visual GenAI NIM: takes the body that the ComfyUI node sends (text_prompts) and the
// documented one (prompt), and answers with pictures after a time in proportion to the work.

import { Fields } from "./nim-fields.ts";
import { startPace } from "./nim-pace.ts";
import { jsonReply, type Reply } from "./nim-reply.ts";
import { type Call, isObject, parseJsonBody } from "./nim-route.ts";
import { paintPng } from "./png.ts";

export interface ImageWork {
  readonly prompt: string;
  readonly width: number;
  readonly height: number;
  readonly steps: number;
  readonly seed: number;
  readonly samples: number;
}

/** 1024 x 1024 pixels at 20 steps. */
const BASE_SECONDS = 10;
const BASE_WORK = 1024 * 1024 * 20;
const SIDE = { min: 64, max: 2048 };
const LONGEST_PROMPT = 10_000;
const IMAGE_URL = /^data:image\/(?:png|jpeg);base64,(?=.)/;
/** Looked for, rather than the whole matched: a picture of 10 MB would fill the expression's stack. */
const NOT_BASE64 = /[^A-Za-z0-9+/=]/;

export async function infer({ nim, body, signal }: Call): Promise<Reply> {
  const json = parseJsonBody(body);
  if (!json) return jsonReply(400, { detail: "There was an error parsing the body" });
  const fields = new Fields(json.value);
  const work = readWork(fields);
  if (fields.problems.length > 0) return jsonReply(422, { detail: fields.problems });

  const pace = startPace(nim.scale, signal);
  const artifacts: { base64: string; finishReason: "SUCCESS"; seed: number }[] = [];
  for (let sample = 0; sample < work.samples; sample++) {
    const seed = work.seed + sample;
    const png = await paintPng({ ...work, seed }, signal);
    artifacts.push({ base64: png.toString("base64"), finishReason: "SUCCESS", seed });
  }
  await pace.until(secondsOf(work));
  nim.tally.images += work.samples;
  return jsonReply(200, { artifacts });
}

/** Simulated seconds: in proportion to pixels, steps and pictures. */
export function secondsOf(work: ImageWork): number {
  return (BASE_SECONDS * work.width * work.height * work.steps * work.samples) / BASE_WORK;
}

function readWork(fields: Fields): ImageWork {
  const prompt = fields.has("text_prompts") ? readTextPrompts(fields) : fields.text("prompt", LONGEST_PROMPT);
  const mode = fields.choice("mode", ["base", "canny", "depth"]);
  checkImage(fields, mode);
  fields.float("cfg_scale", { min: 0, max: 9 }, 5);
  return {
    prompt,
    width: fields.integer("width", SIDE, 1024),
    height: fields.integer("height", SIDE, 1024),
    steps: fields.integer("steps", { min: 1, max: 100 }, 50),
    seed: fields.integer("seed", { min: 0, max: 4_294_967_295 }, 0),
    samples: fields.integer("samples", { min: 1, max: 8 }, 1),
  };
}

function readTextPrompts(fields: Fields): string {
  const texts = fields.list("text_prompts").map((item, index) => {
    const prompt = new Fields(item, ["body", "text_prompts", index]);
    const text = isObject(item) ? prompt.text("text", LONGEST_PROMPT) : "";
    fields.problems.push(...prompt.problems);
    return text;
  });
  return texts.join("\n");
}

function checkImage(fields: Fields, mode: "base" | "canny" | "depth"): void {
  const image = fields.value("image") ?? undefined;
  if (image === undefined) {
    if (mode !== "base") fields.reject("image", `image is required in mode ${mode}`);
    return;
  }
  const prefix = typeof image === "string" ? IMAGE_URL.exec(image)?.[0] : undefined;
  if (typeof image === "string" && prefix && !NOT_BASE64.test(image.slice(prefix.length))) return;
  fields.reject("image", "image must be a PNG or JPEG as a base64 data URL");
}
