// Notes on upstreams that a mode chooses or passes over in a way that its author may not expect.

import type { PolicyFile } from "./policy-file.ts";
import type { Scene } from "./scene.ts";

export function noteChoice(file: PolicyFile, scene: Scene): void {
  const mode = file.mode ?? "manual";
  for (const [id, { upstreams, manual }] of file.models) {
    if (mode === "manual" && upstreams.length > 1 && manual === undefined) {
      const text = `mode manual takes ${upstreams[0]}, the first listed: name another with manual`;
      scene.note(["models", id], text);
    }
    const isLocal = (name: string) => file.upstreams.get(name)?.provider === "local";
    const locals = upstreams.filter(isLocal);
    const hasOthers = locals.length < upstreams.length;
    if (mode === "local" && locals.length === 0) {
      scene.note(["models", id, "upstreams"], "mode local leaves this model none: not one of these is local");
    }
    if (mode === "lowest_price" && !file.lowest_price?.include_local && locals.length > 0 && hasOthers) {
      const text = `mode lowest_price leaves ${locals.join(", ")} out: lowest_price.include_local is false`;
      scene.note(["models", id, "upstreams"], text);
    }
  }
}
