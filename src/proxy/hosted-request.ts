// A client's request in the words of NVIDIA's hosted API. What cannot be said there was not to be offered to
// it (policy/hosted.ts); nothing is sent from here, and no rule of NVIDIA's is known but the field names.

import { type HostedModel, hostedModelOf } from "../policy/hosted.ts";
import type { Upstream } from "../policy/policy.ts";
import type { BodyWindow } from "./body-window.ts";
import type { FlatHeaders } from "./headers.ts";
import { isInfer } from "./nim-paths.ts";
import { promptIn } from "./picture-facts.ts";

/** How long NVIDIA holds a request before it says 202: what its own front sets where nobody else does. */
const POLL_SECONDS = 300;
/** Beyond it NVIDIA answers 400. */
const MOST_POLL_SECONDS = 3600;

export interface HostedRequest {
  readonly rawHeaders: FlatHeaders;
  /** For a picture, which is asked for at the upstream's address itself. */
  readonly picture: Buffer | undefined;
}

interface Asking {
  readonly path: string;
  readonly rawHeaders: readonly string[];
  readonly body: Pick<BodyWindow, "source" | "isWhole">;
}

/** Undefined for upstreams that are not NVIDIA's. */
export function hostedRequest(upstream: Upstream, request: Asking): HostedRequest | Error | undefined {
  if (upstream.provider !== "nvidia-hosted") return undefined;
  const { rawHeaders } = request;
  const model = hostedModelOf(upstream);
  if (model === undefined || !isInfer(request.path))
    return { rawHeaders: withPollSeconds(rawHeaders), picture: undefined };
  const bytes = request.body.isWhole ? request.body.source() : null;
  const picture = Buffer.isBuffer(bytes) ? hostedBody(model, bytes) : undefined;
  if (picture === undefined)
    return new Error(`upstream ${upstream.id} is NVIDIA's, and this body cannot be said in its words`);
  return { rawHeaders: pictureHeaders(rawHeaders), picture };
}

/** `text_prompts[0].text` becomes `prompt`; keys that the hosted API does not have are left out. */
export function hostedBody({ bounds }: HostedModel, bytes: Uint8Array): Buffer | undefined {
  const given: unknown = JSON.parse(text.decode(bytes));
  if (typeof given !== "object" || given === null) return undefined;
  const prompt = promptIn(given);
  if (prompt.kind !== "said") return undefined;
  // Of a model whose fields are not known, a body in its own words is right as it is.
  if (bounds === undefined && "prompt" in given) return Buffer.from(bytes);
  const isGuided = bounds?.isGuided ?? true;
  const kept = Object.entries(given).filter(
    ([key, value]) => KEPT.has(key) && value !== null && (isGuided || key !== "cfg_scale"),
  );
  return Buffer.from(JSON.stringify({ prompt: prompt.text, ...Object.fromEntries(kept) }));
}

const KEPT: ReadonlySet<string> = new Set([
  "width",
  "height",
  "cfg_scale",
  "mode",
  "image",
  "samples",
  "seed",
  "steps",
]);

const text = new TextDecoder();

/** The body is another one now, so what a client says of its own no longer holds. */
function pictureHeaders(raw: readonly string[]): FlatHeaders {
  const headers: FlatHeaders = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? "";
    if (!/^(?:accept|accept-encoding|content-.*|nvcf-.*)$/i.test(name)) headers.push(name, raw[at + 1] ?? "");
  }
  headers.push("Accept", "application/json", "Content-Type", "application/json");
  headers.push(POLL_HEADER, String(pollSecondsIn(raw) ?? POLL_SECONDS));
  return headers;
}

const POLL_HEADER = "NVCF-POLL-SECONDS";

/** A client may say how long it wants to wait; what NVIDIA would answer with 400 is not passed on. */
function withPollSeconds(raw: readonly string[]): FlatHeaders {
  const headers: FlatHeaders = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? "";
    if (name.toLowerCase() !== POLL_HEADER.toLowerCase()) headers.push(name, raw[at + 1] ?? "");
  }
  const seconds = pollSecondsIn(raw);
  if (seconds !== undefined) headers.push(POLL_HEADER, String(seconds));
  return headers;
}

/** Undefined unless it is said once, as a whole number of seconds. */
function pollSecondsIn(raw: readonly string[]): number | undefined {
  const said = raw.filter(
    (_, at) => at % 2 === 1 && raw[at - 1]?.toLowerCase() === POLL_HEADER.toLowerCase(),
  );
  const [value = "", ...others] = said;
  if (others.length > 0 || !/^\d{1,9}$/.test(value)) return undefined;
  return Math.min(Math.max(Number(value), 1), MOST_POLL_SECONDS);
}
