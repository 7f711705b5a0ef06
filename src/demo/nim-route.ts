// What a route of the simulator is given, and the state that its routes share.

import type { Reply } from "./nim-reply.ts";

/** One simulated NIM, as its routes see it. */
export interface Simulated {
  readonly name: string;
  /** Model ids; at least one. */
  readonly models: readonly string[];
  /** Real seconds per simulated second. */
  readonly scale: number;
  readonly isReady: () => boolean;
  readonly inFlight: () => number;
  readonly tally: Tally;
}

/** What /v1/metrics counts. */
export interface Tally {
  images: number;
  promptTokens: number;
  generationTokens: number;
  aborted: number;
}

export interface Call {
  readonly nim: Simulated;
  readonly body: Buffer;
  /** Fires when the client has gone or the simulator closes: work must stop. */
  readonly signal: AbortSignal;
}

export interface Route {
  readonly method: "GET" | "POST";
  readonly answer: (call: Call) => Reply | Promise<Reply>;
}

/** undefined for what is no JSON in UTF-8. */
export function parseJsonBody(body: Buffer): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body)) };
  } catch {
    return undefined;
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
