// What the hosted visual API takes, field by field, written down apart from the gateway's own rule so that the
// two can be held against each other: docs.api.nvidia.com, and where it is silent what clients found.

import type { IncomingHttpHeaders } from "node:http";

const SIDES: readonly unknown[] = [768, 832, 896, 960, 1024, 1088, 1152, 1216, 1280, 1344];
const EXAMPLES: readonly unknown[] = [0, 1, 2, 3].map((id) => `data:image/png;example_id,${id}`);

/** Why NVIDIA would answer 422 or 400; undefined where it would work. */
export function rejects(model: string, headers: IncomingHttpHeaders, text: string): string | undefined {
  if (headers["content-type"] !== "application/json") return "the body is no JSON";
  if (headers.accept !== "application/json") return "only application/json can be had";
  if (Number(headers["content-length"]) !== Buffer.byteLength(text)) return "the length is not the body's";
  const seconds = Number(headers["nvcf-poll-seconds"] ?? 300);
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 3600) return "NVCF-POLL-SECONDS is 1 to 3600";
  return rejectsBody(model, JSON.parse(text));
}

export function rejectsBody(model: string, body: Readonly<Record<string, unknown>>): string | undefined {
  const isSchnell = model === "flux.1-schnell";
  const unknown = Object.keys(body).find((key) => !Object.hasOwn(FIELDS, key));
  if (unknown !== undefined) return `${unknown}: extra fields are not permitted`;
  for (const [key, takes] of Object.entries(FIELDS)) {
    if (key in body && !takes(body[key], isSchnell)) return `${key} is not permitted`;
  }
  if (!("prompt" in body)) return "prompt: field required";
  const { mode = "base" } = body;
  if ((mode === "base") === "image" in body) return "image: needed by canny and depth, and by them alone";
  return undefined;
}

const FIELDS: Record<string, (value: unknown, isSchnell: boolean) => boolean> = {
  prompt: (value) => typeof value === "string" && value !== "" && [...value].length <= 10_000,
  width: (value) => SIDES.includes(value),
  height: (value) => SIDES.includes(value),
  cfg_scale: (value, isSchnell) =>
    isSchnell ? value === 0 : typeof value === "number" && value > 1 && value <= 9,
  mode: (value, isSchnell) => value === "base" || (!isSchnell && (value === "canny" || value === "depth")),
  image: (value) => EXAMPLES.includes(value),
  samples: (value) => value === 1,
  seed: (value) => isBetween(value, 0, 4_294_967_295),
  steps: (value, isSchnell) => (isSchnell ? isBetween(value, 1, 4) : isBetween(value, 5, 100)),
};

function isBetween(value: unknown, least: number, most: number): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= least && value <= most;
}
