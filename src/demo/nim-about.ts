// The GET routes by which a NIM tells what it is and how it is: health, models, metadata, version, licence,
// metrics.

import { jsonReply, type Reply, textReply } from "./nim-reply.ts";
import type { Call } from "./nim-route.ts";

/** A date that never changes, so that equal questions get equal bytes: 2025-01-01T00:00:00Z. */
export const CREATED = 1_735_689_600;

const VERSION = { release: "1.1.0", api: "1.0.0" };
const LICENSE = {
  name: "Apache License 2.0",
  path: "/opt/nim/LICENSE",
  sha: "0".repeat(40),
  size: 33,
  url: "https://www.apache.org/licenses/LICENSE-2.0",
  type: "file",
  content: "A simulator: there is no model here.",
};

export function ready({ nim }: Call): Reply {
  return nim.isReady() ? jsonReply(200, { status: "ready" }) : jsonReply(503, { status: "not ready" });
}

export function live(): Reply {
  return jsonReply(200, { status: "live" });
}

export function models({ nim }: Call): Reply {
  const data = nim.models.map((id) => ({
    id,
    object: "model",
    created: CREATED,
    owned_by: "system",
    root: id,
    parent: null,
    max_model_len: 131_072,
    permission: [],
  }));
  return jsonReply(200, { object: "list", data });
}

export function metadata({ nim }: Call): Reply {
  return jsonReply(200, {
    name: nim.name,
    assetInfo: [],
    licenseInfo: LICENSE,
    modelInfo: nim.models.map((id) => ({ shortName: id, modelUrl: "" })),
    repository_override: "",
    selectedModelProfileId: "simulated",
    version: VERSION.release,
  });
}

export function version(): Reply {
  return jsonReply(200, VERSION);
}

export function license(): Reply {
  return jsonReply(200, LICENSE);
}

export function metrics({ nim }: Call): Reply {
  const { tally } = nim;
  const lines = [
    ...series("num_requests_running", "gauge", nim.inFlight()),
    ...series("num_requests_waiting", "gauge", 0),
    ...series("prompt_tokens_total", "counter", tally.promptTokens),
    ...series("generation_tokens_total", "counter", tally.generationTokens),
    ...series("images_total", "counter", tally.images),
    ...series("aborted_requests_total", "counter", tally.aborted),
  ];
  return textReply(200, "text/plain; version=0.0.4; charset=utf-8", `${lines.join("\n")}\n`);
}

function series(name: string, type: "gauge" | "counter", value: number): readonly string[] {
  return [`# TYPE ${name} ${type}`, `${name} ${value}`];
}
