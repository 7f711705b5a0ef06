// What a policy is checked against, and where checks say what they found.

import type { Rate, RateCard } from "../../metering/rate-card.ts";
import type { Path } from "./source.ts";

export interface PolicyContext {
  /** The file's name, as problems show it. */
  readonly file: string;
  /** SHA-256 of its text, hex. */
  readonly digest: string;
  /** The shipped price list. */
  readonly rates: RateCard;
  /** Prices that were fetched; those of sources that the policy names lie above the shipped ones. */
  readonly live?: readonly Rate[];
  /** For a policy that names none: the machine's. */
  readonly timezone: string;
  /** Where the gateway and its admin page listen; off loopback, whoever asks must have a token. */
  readonly listen: readonly { readonly host: string; readonly port: number }[];
}

export interface Scene {
  readonly context: PolicyContext;
  /** Every name that the file gives, those of entries that are wrong in themselves included. */
  readonly names: Names;
  problem(path: Path, text: string): void;
  note(path: Path, text: string): void;
}

export interface Names {
  readonly upstreams: ReadonlySet<string>;
  readonly models: ReadonlySet<string>;
  readonly machines: ReadonlySet<string>;
}
