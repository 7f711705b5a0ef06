// The policy file: read, parsed, watched. A file that cannot be used leaves the last good policy in force
// and its problems visible; one that can is adopted, one after another, never two at a time.
//
//   good ──file changes──► reading ──problems──► good (the old one), problems shown
//                             └──── policy ────► adopting ──► good (the new one)

import { type FSWatcher, watch } from "chokidar";
import type { Instant } from "../metering/time.ts";
import type { Note } from "../policy/policy.ts";
import { identityOf } from "./file-identity.ts";
import type { PolicyParser } from "./policy-parser.ts";
import { digestOf, type PolicyRead, type ReadPolicy, readText } from "./policy-text.ts";

const LOOK_MS = 500;

export interface PolicyListener {
  /** Puts it in force. Rejects: the old one stays, and it is tried again at the next change. */
  adopt(read: ReadPolicy): Promise<void>;
  refused(problems: readonly Note[], at: Instant): void;
  /** Something of the policy in force did not work, such as a port that was taken: worth another try. */
  hasProblems(): boolean;
}

export class PolicyFile {
  readonly path: string;
  readonly #parser: PolicyParser;
  readonly #listener: PolicyListener;
  readonly #now: () => Instant;
  #watcher: FSWatcher | undefined;
  #looking: NodeJS.Timeout | undefined;
  #seen: string | undefined;
  #work: Promise<void> = Promise.resolve();
  #digest: string;
  /** In force. */
  #text: string;

  constructor(
    path: string,
    inForce: ReadPolicy,
    parser: PolicyParser,
    listener: PolicyListener,
    now: () => Instant,
  ) {
    this.path = path;
    this.#digest = inForce.policy.digest;
    this.#text = inForce.text;
    this.#parser = parser;
    this.#listener = listener;
    this.#now = now;
  }

  /**
   * A write, an atomic rename, delete and create, a swapped symbolic link: each is seen within a second. The
   * watcher sees the first ones at once; behind a link, or where a folder on the way is one, it sees nothing
   * after the first change, so the file is also looked at twice a second.
   */
  async watch(): Promise<void> {
    const watcher = watch(this.path, { ignoreInitial: true, atomic: true });
    this.#watcher = watcher;
    watcher.on("all", () => this.reload());
    await new Promise<void>((resolve) => watcher.once("ready", () => resolve()));
    this.#seen = identityOf(this.path);
    this.#looking = setInterval(() => this.#look(), LOOK_MS);
    this.#looking.unref();
    // What changed between the first reading and the watch being ready is not missed.
    await this.reload();
  }

  /**
   * Resolves the text in force anew, because the prices that it goes by have changed; along the way of every
   * reload. What is on disk may be another text, or one with problems: that is not looked at.
   */
  reprice(): Promise<void> {
    this.#work = this.#work.then(() => this.#reprice());
    return this.#work;
  }

  /** Reads the file again; resolves when what it says is in force, or refused. */
  reload(): Promise<void> {
    this.#work = this.#work.then(() => this.#reload());
    return this.#work;
  }

  async close(): Promise<void> {
    clearInterval(this.#looking);
    await this.#watcher?.close();
    await this.#work;
  }

  #look(): void {
    const now = identityOf(this.path);
    if (now === this.#seen) return;
    this.#seen = now;
    this.reload();
  }

  async #reprice(): Promise<void> {
    const had = this.#listener.hasProblems();
    const result = await this.#parser.parse(this.#text);
    await this.#adopt(result);
    // What was wrong with the file still is, and must be seen.
    if (had) await this.#reload();
  }

  async #reload(): Promise<void> {
    const found = readText(this.path);
    // An editor touches a file more often than it changes it.
    if (found.kind === "text" && digestOf(found.text) === this.#digest && !this.#listener.hasProblems())
      return;
    await this.#adopt(found.kind === "problems" ? found : await this.#parser.parse(found.text));
  }

  async #adopt(result: PolicyRead): Promise<void> {
    if (result.kind === "problems") {
      this.#listener.refused(result.problems, this.#now());
      this.#digest = "";
      return;
    }
    try {
      await this.#listener.adopt(result.read);
      this.#digest = result.read.policy.digest;
      this.#text = result.read.text;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#listener.refused(
        [{ line: 1, column: 1, path: "", text: `it could not be put in force: ${why}` }],
        this.#now(),
      );
    }
  }
}
