// The daemon's side of the reading thread: questions out, answers back by number.

import { Worker } from "node:worker_threads";
import type { FullRecord, RecordRow, RecordsQuestion, SumsQuestion, SumsRow } from "./queries.ts";
import type { Answer, Asked, Question } from "./reader-worker.ts";

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class LedgerReader {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #asked = 0;

  constructor(folder: string) {
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

  #ask(question: Question): Promise<unknown> {
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
