// The scenes: what is asked, how, and of whom. What a scene means for a target is targets.ts's affair.

import type { Load } from "./job.ts";
import { type Ask, chat, infer } from "./traffic.ts";

export interface Scene {
  readonly name: SceneName;
  readonly title: string;
  readonly ask: Ask;
  load(options: { readonly ms: number; readonly connections: number | undefined }): Load;
  /** Each round on processes that were started for it: memory per connection shows only there. */
  readonly fresh: boolean;
  /** Which of a row's columns say something here. */
  readonly shows: readonly Column[];
}

export const SCENE_NAMES = ["tiny", "fixed", "download", "upload", "sse", "idle", "chat", "memory"] as const;
export type SceneName = (typeof SCENE_NAMES)[number];

/** Without `memory`, which takes minutes of its own. */
export const USUAL_SCENES: readonly SceneName[] = SCENE_NAMES.filter((name) => name !== "memory");

export type Column =
  | "perSecond"
  | "mbPerSecond"
  | "p50"
  | "p99"
  | "first"
  | "cpu"
  | "rss"
  | "open"
  | "perConnection";

const BULK_BYTES = 2_000_000;
const UPLOAD_BYTES = 10_000_000;
const REQUESTS = ["perSecond", "p50", "p99", "cpu", "rss"] as const;

export const SCENES: Readonly<Record<SceneName, Scene>> = {
  tiny: scene("tiny", "tiny replies, 64 connections", infer(140, 200), closedOn(64), REQUESTS),
  fixed: scene("fixed", "300 requests/s, 16 connections, open loop", infer(140, 200), atRate(300, 16), [
    "p50",
    "p99",
    "cpu",
    "rss",
  ]),
  download: bulk("download", "2 MB replies, 8 connections", infer(140, BULK_BYTES), 8),
  upload: bulk("upload", "10 MB uploads, 4 connections", infer(UPLOAD_BYTES, 200), 4),
  sse: scene(
    "sse",
    "20 streams of 100 events, 10 ms apart (p50, p99 and CPU are of one event)",
    chat(600, true),
    ({ connections }) => ({ kind: "streams", connections: connections ?? 20 }),
    ["first", "p50", "p99", "cpu", "rss"],
  ),
  idle: {
    ...scene(
      "idle",
      "5,000 idle connections",
      infer(140, 200),
      ({ connections }) => ({ kind: "idle", connections: connections ?? 5000 }),
      ["open", "perConnection"],
    ),
    fresh: true,
  },
  chat: scene("chat", "chat POST of 600 B, 64 connections", chat(600, false), closedOn(64), REQUESTS),
  memory: bulk("memory", "2 MB replies for minutes, 8 connections", infer(140, BULK_BYTES), 8),
};

function scene(
  name: SceneName,
  title: string,
  ask: Ask,
  load: Scene["load"],
  shows: readonly Column[],
): Scene {
  return { name, title, ask, load, shows, fresh: false };
}

function bulk(name: SceneName, title: string, ask: Ask, connections: number): Scene {
  return scene(name, title, ask, closedOn(connections), ["mbPerSecond", "p50", "cpu", "rss"]);
}

function closedOn(usual: number): Scene["load"] {
  return ({ ms, connections }) => ({ kind: "closed", connections: connections ?? usual, ms });
}

function atRate(perSecond: number, usual: number): Scene["load"] {
  return ({ ms, connections }) => ({ kind: "open", connections: connections ?? usual, perSecond, ms });
}
