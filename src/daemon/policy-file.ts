// The policy file: read, parsed, watched. A file that cannot be used leaves the last good policy in force
// and its problems visible; one that can is adopted, one after another, never two at a time.
//
//   good ──file changes──► reading ──problems──► good (the old one), problems shown
//                             └──── policy ────► adopting ──► good (the new one)

import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { type FSWatcher, watch } from "chokidar";
import type { RateCard } from "../metering/rate-card.ts";
import type { Instant } from "../metering/time.ts";
import { type PolicyContext as ParseContext, parsePolicy } from "../policy/parse.ts";
import type { Note, Policy } from "../policy/policy.ts";
import { tokensProblem } from "./exposure.ts";

const LARGEST_BYTES = 256 * 1024;

export interface ReadPolicy {
  readonly policy: Policy;
  readonly text: string;
}

export type PolicyRead =
  | { readonly kind: "policy"; readonly read: ReadPolicy }
  | { readonly kind: "problems"; readonly problems: readonly Note[] };

export interface PolicyContext {
  readonly rates: RateCard;
  readonly listen: ParseContext["listen"];
  /** Other machines can come in: whoever asks must have a token. */
  readonly needsTokens: boolean;
}

/** Never throws: a file that is not there is a problem of it, at 1:1. */
export function readPolicyFile(path: string, context: PolicyContext): PolicyRead {
  let text: string;
  try {
    const size = statSync(path).size;
    if (size > LARGEST_BYTES)
      return unusable(`the file has ${size} bytes; at most ${LARGEST_BYTES} are read`);
    text = readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return unusable(`the policy file cannot be read (${code}): name another with --policy`);
  }
  return parseText(text, path, context);
}

export function parseText(text: string, file: string, context: PolicyContext): PolicyRead {
  const digest = createHash("sha256").update(text).digest("hex");
  const timezone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const parsed = parsePolicy(text, { ...context, file, digest, timezone });
  if (parsed.kind === "problems") return parsed;
  if (context.needsTokens && parsed.policy.identity !== "token") {
    return { kind: "problems", problems: [tokensProblem(text)] };
  }
  return { kind: "policy", read: { policy: parsed.policy, text } };
}

function unusable(text: string): PolicyRead {
  return { kind: "problems", problems: [{ line: 1, column: 1, path: "", text }] };
}

export interface PolicyListener {
  /** Puts it in force. Rejects: the old one stays, and it is tried again at the next change. */
  adopt(read: ReadPolicy): Promise<void>;
  refused(problems: readonly Note[], at: Instant): void;
  /** Something of the policy in force did not work, such as a port that was taken: worth another try. */
  hasProblems(): boolean;
}

export class PolicyFile {
  readonly path: string;
  readonly #context: PolicyContext;
  readonly #listener: PolicyListener;
  readonly #now: () => Instant;
  #watcher: FSWatcher | undefined;
  #work: Promise<void> = Promise.resolve();
  #digest: string;

  constructor(
    path: string,
    inForce: Policy,
    context: PolicyContext,
    listener: PolicyListener,
    now: () => Instant,
  ) {
    this.path = path;
    this.#digest = inForce.digest;
    this.#context = context;
    this.#listener = listener;
    this.#now = now;
  }

  /** A write, an atomic rename, delete and create, a swapped symbolic link: each is seen within a second. */
  async watch(): Promise<void> {
    const watcher = watch(this.path, { ignoreInitial: true, atomic: true });
    this.#watcher = watcher;
    watcher.on("all", () => this.reload());
    await new Promise<void>((resolve) => watcher.once("ready", () => resolve()));
    // What changed between the first reading and the watch being ready is not missed.
    await this.reload();
  }

  /** Reads the file again; resolves when what it says is in force, or refused. */
  reload(): Promise<void> {
    this.#work = this.#work.then(() => this.#reload());
    return this.#work;
  }

  async close(): Promise<void> {
    await this.#watcher?.close();
    await this.#work;
  }

  async #reload(): Promise<void> {
    const result = readPolicyFile(this.path, this.#context);
    if (result.kind === "problems") {
      this.#listener.refused(result.problems, this.#now());
      this.#digest = "";
      return;
    }
    if (result.read.policy.digest === this.#digest && !this.#listener.hasProblems()) return;
    try {
      await this.#listener.adopt(result.read);
      this.#digest = result.read.policy.digest;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#listener.refused(
        [{ line: 1, column: 1, path: "", text: `it could not be put in force: ${why}` }],
        this.#now(),
      );
    }
  }
}
