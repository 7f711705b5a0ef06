// What a container is doing, and what may be asked of it then: the one table that API, commands and the
// gateway itself ask.
//
//   off ──start──► starting ──it serves──► ready ──stop──► draining ──nobody runs there──► stopping ──► off
//                     └──too long, refused──► failed
//   unknown: nobody has answered yet. Whoever else starts or stops it moves it too.

import type { Instant } from "../metering/time.ts";

export type ContainerState =
  | { readonly kind: "unknown" }
  | { readonly kind: "off" }
  | { readonly kind: "starting"; readonly since: Instant }
  | { readonly kind: "ready"; readonly since: Instant }
  | { readonly kind: "draining"; readonly since: Instant }
  | { readonly kind: "stopping"; readonly since: Instant }
  /** At what; one that failed to stop costs on. */
  | { readonly kind: "failed"; readonly at: "start" | "stop" | "running" };

export type Command = "start" | "stop";

const ALLOWED: Readonly<Record<ContainerState["kind"], readonly Command[]>> = {
  unknown: ["start", "stop"],
  off: ["start"],
  starting: ["stop"],
  ready: ["stop"],
  draining: [],
  stopping: [],
  failed: ["start", "stop"],
};

export function mayBe(command: Command, { kind }: ContainerState): boolean {
  return ALLOWED[kind].includes(command);
}

/** It changes by itself soon: worth looking at often. */
export function isMoving({ kind }: ContainerState): boolean {
  return kind === "starting" || kind === "draining" || kind === "stopping";
}
