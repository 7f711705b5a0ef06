// Who is measured, in the order in which they are printed, and which scenes are theirs.

import { startHttpProxy, startHttpxy, startPortkey } from "./node-peers.ts";
import { startOurs, startOursFree } from "./ours.ts";
import type { Place, Started } from "./peer.ts";
import type { SceneName } from "./scenes.ts";
import { startHaproxy, startNginx } from "./web-servers.ts";

export const PEER_NAMES = [
  "direct",
  "nginx",
  "haproxy",
  "http-proxy",
  "httpxy",
  "portkey",
  "budgetguard-free",
  "budgetguard",
] as const;
export type PeerName = (typeof PEER_NAMES)[number];

export interface Recipe {
  /** Undefined for the upstream itself, which always runs. */
  readonly start: ((place: Place) => Promise<Started>) | undefined;
  /** Why it has no part in a scene, or undefined where it has. */
  leftOut(scene: SceneName): string | undefined;
}

export const RECIPES: Readonly<Record<PeerName, Recipe>> = {
  direct: { start: undefined, leftOut: inAll },
  nginx: { start: startNginx, leftOut: inAll },
  haproxy: { start: startHaproxy, leftOut: inAll },
  "http-proxy": { start: startHttpProxy, leftOut: inAll },
  httpxy: { start: startHttpxy, leftOut: inAll },
  portkey: { start: startPortkey, leftOut: portkeyLeftOut },
  "budgetguard-free": {
    start: startOursFree,
    leftOut: only(["tiny", "fixed"], "it differs from budgetguard only where the ledger is waited for"),
  },
  budgetguard: { start: startOurs, leftOut: inAll },
};

/** All Node peers run on the one Node that the gateway has; no target asks for its streams. */
function portkeyLeftOut(scene: SceneName): string | undefined {
  if (scene === "chat") return undefined;
  if (scene !== "sse") return "it takes chat completions only";
  return "1.15.2 answers a stream with 500 on this Node: it changes headers that Node keeps from change";
}

function inAll(): undefined {
  return undefined;
}

function only(scenes: readonly SceneName[], why: string): Recipe["leftOut"] {
  return (scene) => (scenes.includes(scene) ? undefined : why);
}
