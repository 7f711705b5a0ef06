// Which requests NVIDIA's hosted visual API can serve, and why not the others: a container of one's own takes
// sizes, steps and images that the hosted one rejects. It translates nothing; proxy/hosted-body.ts does.

import type { Upstream } from "./policy.ts";
import type { PictureFacts, Work } from "./task.ts";

/** A model under /v1/genai/PUBLISHER/MODEL, which speaks a body of its own. */
export interface HostedModel {
  readonly name: string;
  /** Undefined for models of which the gateway knows no bounds: NVIDIA judges these requests itself. */
  readonly bounds: Bounds | undefined;
}

interface Bounds {
  readonly steps: readonly [least: number, most: number];
  /** Whether it is guided at all: schnell takes no other cfg_scale than 0, and so is sent none. */
  readonly isGuided: boolean;
  /** Whether it has the modes canny and depth. */
  readonly hasModes: boolean;
}

/** Undefined for every other address, NVIDIA's OpenAI routes included: there bodies pass as they are. */
export function hostedModelOf({ provider, url }: Upstream): HostedModel | undefined {
  return provider === "nvidia-hosted" && url !== undefined ? hostedModelIn(url) : undefined;
}

/** Of an address that is NVIDIA's. */
export function hostedModelIn(url: string): HostedModel | undefined {
  const name = /\/v1\/genai\/[^/]+\/([^/]+)$/.exec(url)?.[1];
  return name === undefined ? undefined : { name, bounds: BOUNDS.get(name) };
}

/** Undefined where `upstream` can serve it, as every upstream can that is no hosted model. */
export function whyUnfit(upstream: Upstream, work: Work): string | undefined {
  const model = hostedModelOf(upstream);
  if (model === undefined) return undefined;
  const { picture } = work;
  switch (picture.kind) {
    case "none":
      return "nvidia-hosted serves nothing but POST /v1/infer for this model";
    case "unread":
      return "nvidia-hosted takes only JSON bodies of up to 64 KiB, and no images of the user's own";
    case "unseen":
      return outOfBounds(model, work);
    case "read":
      return outOfBounds(model, work) ?? unknownThere(model, picture);
  }
}

/**
 * Steps as docs.api.nvidia.com gives them for flux_1-dev-infer and flux_1-schnell-infer. That dev wants a
 * cfg_scale over 1 is what clients report; the page gives the 9 only.
 */
const BOUNDS: ReadonlyMap<string, Bounds> = new Map([
  ["flux.1-dev", { steps: [5, 100], isGuided: true, hasModes: true }],
  ["flux.1-schnell", { steps: [1, 4], isGuided: false, hasModes: false }],
]);

/** The page says "Only 1024 is supported"; clients that are in use send these, and are served. */
const SIDE = { least: 768, most: 1344, step: 64 };
const CFG_OVER = 1;
const CFG_MOST = 9;
/** Of the prompt, by the page. It is counted here in UTF-16, which is never less than characters. */
const LONGEST_PROMPT = 10_000;
/** The page says "at least 0"; nodes send 32 bits, and more is not known to be taken. */
const MOST_SEED = 4_294_967_295;

function outOfBounds({ bounds }: HostedModel, work: Work): string | undefined {
  if (work.images > 1) return `nvidia-hosted makes one image a request, this asks for ${work.images}`;
  if (bounds === undefined) return undefined;
  const [least, most] = bounds.steps;
  if (work.steps !== undefined && (work.steps < least || work.steps > most))
    return `nvidia-hosted takes ${least} to ${most} steps, this asks for ${work.steps}`;
  for (const side of [work.width, work.height]) {
    if (side === undefined || isSide(side)) continue;
    const sizes = `${SIDE.least} to ${SIDE.most} in steps of ${SIDE.step}`;
    return `nvidia-hosted takes a width and height of ${sizes}, this asks for ${side}`;
  }
  return undefined;
}

function isSide(side: number): boolean {
  return side >= SIDE.least && side <= SIDE.most && (side - SIDE.least) % SIDE.step === 0;
}

function unknownThere({ bounds }: HostedModel, asked: PictureFacts): string | undefined {
  const { image, mode, promptLength, seed } = asked;
  if (image === "own") return "nvidia-hosted takes no images of the user's own";
  if (asked.odd !== undefined && bounds !== undefined)
    return `nvidia-hosted does not take this body: ${asked.odd}`;
  if (promptLength === 0) return "nvidia-hosted needs a prompt, and this body has none";
  if (promptLength > LONGEST_PROMPT)
    return `nvidia-hosted takes a prompt of up to ${LONGEST_PROMPT} characters, this has ${promptLength}`;
  if (bounds === undefined) return undefined;
  if (seed !== undefined && seed > MOST_SEED) return `nvidia-hosted takes a seed of up to ${MOST_SEED}`;
  if (mode !== "base" && !bounds.hasModes) return `nvidia-hosted has no mode ${mode} for this model`;
  if (mode !== "base" && image === "none") return `nvidia-hosted needs an image for mode ${mode}`;
  if (mode === "base" && image === "example") return "nvidia-hosted takes no image in mode base";
  return bounds.isGuided ? badGuidance(asked.cfgScale) : undefined;
}

function badGuidance(cfg: number | undefined): string | undefined {
  if (cfg === undefined || (cfg > CFG_OVER && cfg <= CFG_MOST)) return undefined;
  return `nvidia-hosted takes a cfg_scale over ${CFG_OVER} and up to ${CFG_MOST}, this asks for ${cfg}`;
}
