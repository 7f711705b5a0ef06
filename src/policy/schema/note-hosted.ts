// Notes on upstreams of NVIDIA's hosted API whose address the gateway cannot translate for, or only blindly.

import { hostedModelIn } from "../hosted.ts";
import type { PolicyFile } from "./policy-file.ts";
import type { Scene } from "./scene.ts";

export function noteHosted(file: PolicyFile, scene: Scene): void {
  for (const [id, { provider, url }] of file.upstreams) {
    if (provider !== "nvidia-hosted" || url === undefined) continue;
    const model = hostedModelIn(url);
    const path = ["upstreams", id, "url"];
    if (model === undefined && new URL(url).hostname === VISUAL_HOST) {
      scene.note(path, "is no address of a visual model: write https://…/v1/genai/PUBLISHER/MODEL");
    } else if (model !== undefined && model.bounds === undefined) {
      scene.note(
        path,
        `what NVIDIA takes for ${model.name} is not known here: it may reject what it is offered`,
      );
    }
  }
}

const VISUAL_HOST = "ai.api.nvidia.com";
