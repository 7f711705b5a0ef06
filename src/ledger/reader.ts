// The daemon's side of the reading thread: questions out, answers back by number. A question waits for what
// was handed to the writer before it was asked, so that whoever has a reply in hand finds its record.

import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { FullRecord, RecordRow, RecordsQuestion, SumsQuestion, SumsRow } from "./queries.ts";
import type { Answer, Asked, Question } from "./reader-worker.ts";

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

const LONGEST_WAIT_MS = 1000;

export class LedgerReader {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #written: () => Promise<unknown>;
  #asked = 0;

  /** `written` resolves once what was handed to the writer so far is on disk, or refused. */
  constructor(folder: string, written: () => Promise<unknown>) {
    this.#written = written;
    const file = new URL(import.meta.url.replace(/reader\.(ts|js)/, "reader-worker.$1"));
    this.#worker = new Worker(file, { workerData: { folder } });
    this.#worker.on("message", (answer: Answer) => this.#answered(answer));
    this.#worker.on("error", (cause) => this.#stopped(new Error("the ledger cannot be read", { cause })));
    this.#worker.on("exit", () => this.#stopped(new Error("the ledger's reader is closed")));
  }

  sums(question: SumsQuestion): Promise<readonly SumsRow[]> {
    return this.#ask({ kind: "sums", question }) as Promise<readonly SumsRow[]>;
  }

  /** Newest first; one more than the limit when older ones follow. */
  records(question: RecordsQuestion): Promise<readonly RecordRow[]> {
    return this.#ask({ kind: "records", question }) as Promise<readonly RecordRow[]>;
  }

  record(id: string): Promise<FullRecord | undefined> {
    return this.#ask({ kind: "record", id }) as Promise<FullRecord | undefined>;
  }

  async close(): Promise<void> {
    const exited = new Promise<void>((resolve) => this.#worker.once("exit", () => resolve()));
    this.#worker.postMessage("close");
    await exited;
  }

  async #ask(question: Question): Promise<unknown> {
    // A disk that stalls must not take the pages with it: they then show what it had.
    await Promise.race([this.#written(), sleep(LONGEST_WAIT_MS, undefined, { ref: false })]);
    this.#asked += 1;
    const asked: Asked = { id: this.#asked, question };
    return new Promise((resolve, reject) => {
      this.#waiting.set(asked.id, { resolve, reject });
      this.#worker.postMessage(asked);
    });
  }

  #answered(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (answer.ok) waiting?.resolve(answer.answer);
    else waiting?.reject(new Error(answer.message));
  }

  #stopped(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
