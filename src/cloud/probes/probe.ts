// Whether a cloud takes a login: asked once, in the cheapest way that changes nothing and needs no right
// beyond being known there. What the login may do is seen when it does it.

import { Trouble } from "../adapter.ts";
import type { CredentialsOf } from "../techops/credentials.ts";

export type ProbedOwner = "aws" | "azure" | "gcp";

/** What passes to the thread that asks; in memory only. */
export type ProbeAsk = {
  [O in ProbedOwner]: {
    readonly owner: O;
    readonly values: CredentialsOf[O];
    /** Instead of the provider's public API. */
    readonly endpoint: string | undefined;
    readonly timeoutMs: number;
  };
}[ProbedOwner];

export type Probed =
  | { readonly kind: "valid" }
  /** The cloud refuses it, in a sentence with what to do. */
  | { readonly kind: "invalid"; readonly why: string }
  /** Nobody answered: that says nothing about the login. */
  | { readonly kind: "unknown"; readonly why: string };

/** Of what `ask` threw: who is not let in is not known there, all else tells nothing. */
export async function probed(ask: () => Promise<void>): Promise<Probed> {
  try {
    await ask();
    return { kind: "valid" };
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
    const isRefused = error.kind === "unauthenticated" || error.kind === "denied";
    return { kind: isRefused ? "invalid" : "unknown", why: error.message };
  }
}
