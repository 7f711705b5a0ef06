// What runner and load say to each other: a job at the start, "ready" and "go", and a sample at the end.

import type { Ask } from "./traffic.ts";

export interface Job {
  readonly port: number;
  /** Further ones that this peer needs. */
  readonly headers: Readonly<Record<string, string>>;
  readonly ask: Ask;
  readonly load: Load;
}

export type Load =
  | { readonly kind: "closed"; readonly connections: number; readonly ms: number }
  | { readonly kind: "open"; readonly connections: number; readonly perSecond: number; readonly ms: number }
  | { readonly kind: "streams"; readonly connections: number }
  | { readonly kind: "idle"; readonly connections: number };

export interface Sample {
  readonly replies: number;
  readonly seconds: number;
  /** Of all replies' bodies. */
  readonly bytes: number;
  /** Of replies; in streams, of events from the upstream to the client. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** In streams, until the first event. */
  readonly firstMs: number | undefined;
  /** Connections that were closed before they had answered all. */
  readonly lost: number;
  /** The share of one core that the load itself took. */
  readonly busy: number;
}

export type Said =
  | { readonly kind: "ready" }
  /** All connections are open and silent. */
  | { readonly kind: "idle" }
  | { readonly kind: "sample"; readonly sample: Sample }
  | { readonly kind: "failed"; readonly why: string };
