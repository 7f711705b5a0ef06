// What a policy text becomes: the frozen policy, or its problems. Synchronous, and for a large text slow: at
// start it runs where it stands, afterwards in a thread of its own (policy-parser.ts).

import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { RateCard } from "../metering/rate-card.ts";
import { type PolicyContext as ParseContext, parsePolicy } from "../policy/parse.ts";
import type { Note, Policy } from "../policy/policy.ts";
import { type PolicyText, readPolicyFile } from "../policy/policy-bytes.ts";
import { parseRates } from "../policy/schema/rates.ts";
import { readPrices } from "./price-file.ts";

export interface ReadPolicy {
  readonly policy: Policy;
  readonly text: string;
}

export type PolicyRead =
  | { readonly kind: "policy"; readonly read: ReadPolicy }
  | { readonly kind: "problems"; readonly problems: readonly Note[] };

/** What a policy is read against. Plain: it goes to another thread. */
export interface Surroundings {
  readonly path: string;
  readonly listen: ParseContext["listen"];
  /** DATA, where prices that were fetched are kept. */
  readonly data?: string;
}

/** Never throws: a file that is not there is a problem of it, at 1:1. */
export function readText(path: string): PolicyText {
  return readPolicyFile({ stat: () => statSync(path), read: () => readFileSync(path) });
}

export function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

export function shippedRates(): RateCard {
  return parseRates(readFileSync(new URL("../../config/rates.yaml", import.meta.url), "utf8"));
}

/** `parse` is made once: it reads the shipped price list. Live prices are read anew for each text. */
export function makeParse({ path, listen, data }: Surroundings): (text: string) => PolicyRead {
  const rates = shippedRates();
  return (text) => {
    const digest = digestOf(text);
    const timezone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const found = data === undefined ? undefined : readPrices(data);
    const live = found?.kind === "kept" ? [...found.prices.believed.values()] : [];
    const parsed = parsePolicy(text, { rates, live, listen, file: path, digest, timezone });
    if (parsed.kind === "problems") return parsed;
    return { kind: "policy", read: { policy: parsed.policy, text } };
  };
}
