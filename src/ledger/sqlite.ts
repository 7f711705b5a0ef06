// The Store on SQLite, as the main thread sees it: one batch under way, the next one gathering. Order is
// the order of the calls, folds included.

import { Worker } from "node:worker_threads";
import type { Join } from "../metering/lease.ts";
import type { Instant } from "../metering/time.ts";
import type { Adjustment } from "./adjustments.ts";
import { hasState } from "./owed.ts";
import { pack, packShares } from "./packing.ts";
import type { Forgotten, Silence } from "./silent.ts";
import { isFatal } from "./sqlite-codes.ts";
import type { Answer, Batch, BatchResult, Operation } from "./sqlite-worker.ts";
import {
  type FoldAnswer,
  type FoldQuestion,
  type Forgiven,
  type ForgivenQuestion,
  type Store,
  StoreError,
  type Write,
} from "./store.ts";

interface Waiting {
  readonly operation: Operation;
  /** For what it shares with its neighbours. */
  readonly write: Write | undefined;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** How long a write that nobody waits for is held back (MONEY §7). */
const GATHERED_MS = 10;

export interface StoreObserver {
  /** Seconds from handing a batch over to its being durable. */
  committed(seconds: number): void;
}

export class SqliteStore implements Store {
  readonly #worker: Worker;
  readonly #observer: StoreObserver;
  #next: Waiting[] = [];
  #underWay: Waiting[] = [];
  /** Joins of writes that the disk refused, until the next commit. */
  readonly #owed = new Map<string, Join>();
  /** Whether somebody waits for what is next. */
  #isAwaited = false;
  #turn: NodeJS.Immediate | undefined;
  #gathering: NodeJS.Timeout | undefined;
  #batch = 0;
  #startedAt = 0;
  #dead: StoreError | undefined;
  #closed: (() => void) | undefined;

  private constructor(worker: Worker, observer: StoreObserver) {
    this.#worker = worker;
    this.#observer = observer;
    worker.on("message", (result: BatchResult) => this.#finish(result));
    worker.on("error", (error) => this.#die(new StoreError("the ledger's thread stopped", true, error)));
    worker.on("exit", () => {
      this.#closed?.();
      this.#die(new StoreError("the ledger is closed", true));
    });
  }

  /** Rejects with the sentence of openLedger where the ledger cannot be opened. */
  static open(folder: string, observer: StoreObserver): Promise<SqliteStore> {
    // The source runs as .ts, the installed package as .js: the worker is its neighbour of the same kind.
    const file = new URL(import.meta.url.replace(/sqlite\.(ts|js)/, "sqlite-worker.$1"));
    const worker = new Worker(file, { workerData: { folder } });
    return new Promise((resolve, reject) => {
      const refuse = (cause: Error) => reject(new Error(cause.message, { cause }));
      worker.once("error", refuse);
      worker.once("message", (_ready: "ready") => {
        worker.off("error", refuse);
        resolve(new SqliteStore(worker, observer));
      });
    });
  }

  async write(write: Write, when: "now" | "soon" = "now"): Promise<void> {
    await this.#enqueue({ kind: "write", packed: pack(write) }, write, when);
  }

  fold(questions: readonly FoldQuestion[]): Promise<FoldAnswer> {
    return this.#enqueue({ kind: "fold", questions }) as Promise<FoldAnswer>;
  }

  /** Some of the entries of before then, and how many; 0 when none are left that may go (dropping.ts). */
  drop(before: Instant): Promise<number> {
    return this.#enqueue({ kind: "drop", before }) as Promise<number>;
  }

  /** Forgets what was silent for long among the next balances of sessions and tasks (silent.ts). */
  forgetSilent(silence: Silence): Promise<Forgotten> {
    return this.#enqueue({ kind: "silence", silence }) as Promise<Forgotten>;
  }

  forgiven(questions: readonly ForgivenQuestion[]): Promise<readonly Forgiven[]> {
    return this.#enqueue({ kind: "forgiven", questions }) as Promise<readonly Forgiven[]>;
  }

  async track(keys: readonly string[]): Promise<void> {
    await this.#enqueue({ kind: "track", keys });
  }

  async setSwitch(name: string, value: string, author: string, at: number): Promise<void> {
    await this.#enqueue({ kind: "switch", name, value, author, at });
  }

  async addToken(sha256: string, id: string, role: string, at: number): Promise<void> {
    await this.#enqueue({ kind: "token", sha256, id, role, at });
  }

  /** All of them or none. */
  async adjust(adjustments: readonly Adjustment[]): Promise<void> {
    await this.#enqueue({ kind: "adjust", adjustments });
  }

  /** Who acknowledged it first stays. */
  async acknowledgeAlert(id: string, author: string, at: number): Promise<void> {
    await this.#enqueue({ kind: "acknowledge", id, author, at });
  }

  /** After what was handed over is durable or refused. */
  async close(): Promise<void> {
    while (this.#underWay.length + this.#next.length > 0 && this.#dead === undefined)
      await new Promise((go) => setTimeout(go, 5));
    if (this.#dead !== undefined) return;
    await new Promise<void>((resolve) => {
      this.#closed = resolve;
      this.#worker.postMessage("close");
    });
  }

  #enqueue(operation: Operation, write?: Write, when: "now" | "soon" = "now"): Promise<Answer> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    return new Promise((resolve, reject) => {
      this.#next.push({ operation, write, resolve, reject });
      this.#isAwaited ||= when === "now";
      if (this.#underWay.length === 0) this.#plan();
    });
  }

  /**
   * What the same turn of the loop still has to write goes along, and what nobody waits for gathers for a
   * while: fewer commits, each with more in it.
   */
  #plan(): void {
    if (this.#next.length === 0) return;
    if (this.#isAwaited) this.#turn ??= setImmediate(() => this.#start());
    else this.#gathering ??= setTimeout(() => this.#start(), GATHERED_MS);
  }

  #start(): void {
    clearImmediate(this.#turn);
    clearTimeout(this.#gathering);
    this.#turn = undefined;
    this.#gathering = undefined;
    if (this.#next.length === 0 || this.#underWay.length > 0) return;
    this.#isAwaited = false;
    this.#underWay = this.#next;
    this.#next = [];
    this.#batch += 1;
    this.#startedAt = performance.now();
    const operations = this.#underWay.map(({ operation }) => operation);
    const writes = this.#underWay.flatMap(({ write }) => write ?? []);
    const owed = [...this.#owed].map(([id, join]) => ({ id, join }));
    const shares = packShares([{ joins: owed }, ...writes]);
    const batch: Batch = { id: this.#batch, operations, shares };
    try {
      this.#worker.postMessage(batch);
    } catch (error) {
      // What cannot be handed over is a bug of whoever made it, and must not keep the others waiting.
      for (const { reject } of this.#underWay.splice(0)) reject(error);
      this.#start();
    }
  }

  #finish(result: BatchResult): void {
    const done = this.#underWay;
    this.#underWay = [];
    if (result.ok) {
      this.#owed.clear();
      this.#observer.committed((performance.now() - this.#startedAt) / 1000);
      for (const [index, waiting] of done.entries()) {
        const one = result.results[index];
        if (one?.ok) waiting.resolve(one.answer);
        else waiting.reject(storeError(one?.message ?? "no answer", one?.errcode ?? 0));
      }
    } else {
      const error = storeError(result.message, result.errcode);
      // Writes that wait behind them count on these joins, and may be the last ones before a crash.
      for (const { write } of done) for (const { id, join } of write?.joins ?? []) this.#owed.set(id, join);
      const behind = this.#next.filter(takesForWritten);
      this.#next = this.#next.filter((waiting) => !behind.includes(waiting));
      for (const waiting of [...done, ...behind]) waiting.reject(error);
    }
    // What they wake has endings to write: these go along.
    this.#plan();
  }

  #die(error: StoreError): void {
    this.#dead ??= error;
    for (const waiting of [...this.#underWay.splice(0), ...this.#next.splice(0)]) waiting.reject(this.#dead);
  }
}

/** What was handed over before it: the state of a container's lease, or what a reset forgives. */
function takesForWritten({ operation, write }: Waiting): boolean {
  return operation.kind === "adjust" || (write !== undefined && hasState(write));
}

function storeError(message: string, errcode: number): StoreError {
  return new StoreError(`the ledger could not be written: ${message}`, isFatal(errcode));
}
