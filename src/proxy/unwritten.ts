// Which of a ledger's errors only mean that it could not write, for now: it keeps what it was told and
// reports the failure itself. Every other error is a bug, and is not for the data path to forgive.

import type { Settlement } from "../policy/admission.ts";

/** Known by name: rooms do not import each other. */
export function isUnwritten(error: unknown): error is Error {
  return error instanceof Error && error.name === "StoreError";
}

/** What was charged all the same, where the ledger says so: counted now, written when the disk is back. */
export function keptOf(error: Error & { readonly settlement?: Settlement }): Settlement | undefined {
  return error.settlement;
}
