// What a daemon is started with, and what comes of starting it.

import type { Policy } from "../policy/policy.ts";
import type { ByHand } from "./by-hand.ts";

export interface DaemonOptions {
  readonly policyPath: string;
  readonly dataPath: string;
  /** HOST:PORT; "localhost" is both loopback addresses. */
  readonly listen: string;
  readonly admin: string;
  readonly version: string;
  /** A server in front speaks TLS. Then a caller at a loopback address may be anybody. */
  readonly behindProxy?: boolean;
  /** PEM files: the certificate that addresses off loopback show, and its key. Both, or neither. */
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly logLevel?: string;
  /** Where the log goes, line by line; standard output if not said. */
  readonly log?: (line: string) => void;
  /** Where the access log goes; standard output if not said. */
  readonly accessLog?: (text: string) => void;
}

export type Started =
  | { readonly kind: "started"; readonly daemon: Daemon }
  /** One clear line for each thing that is wrong, each with what to do. */
  | { readonly kind: "refused"; readonly lines: readonly string[] };

export interface Listening {
  /** "127.0.0.1:7070" */
  readonly address: string;
  readonly model: string | undefined;
  readonly scheme: "http" | "https";
}

export interface Daemon {
  readonly listening: readonly Listening[];
  /** "http://127.0.0.1:7071" */
  readonly admin: string;
  readonly adminToken: string;
  policy(): Policy;
  /** Edits of budgets, and amounts that are set aside. */
  readonly byHand: ByHand;
  /** Reads the policy file again; resolves when it is in force or refused. */
  reload(): Promise<void>;
  /** Takes no more requests, lets those under way end for `graceMs` (30 s if not said), settles, closes. */
  stop(graceMs?: number): Promise<void>;
  /** Resolves with the reason when it can no longer go on: it must not be wrong about money. */
  readonly died: Promise<unknown>;
}
