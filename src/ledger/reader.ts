// The daemon's side of the reading thread: questions out, answers back by number. A question waits for what
// was handed to the writer before it was asked, so that whoever has a reply in hand finds its record. The
// thread lives only while somebody asks.

import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { NanoUsd } from "../metering/money.ts";
import type { Instant } from "../metering/time.ts";
import type { HourSpend } from "../policy/anomaly.ts";
import type { Adjustment } from "./adjustments.ts";
import type { AlertMemory, AlertsQuestion, StoredAlert } from "./alert-rows.ts";
import type { FullRecord, RecordRow, RecordsQuestion, SumsQuestion, SumsRow, TurnRow } from "./queries.ts";
import type { Answer, Asked, Question } from "./reader-worker.ts";
import type { Spent, SpentQuestion } from "./spent.ts";

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly exited: Promise<unknown>;
  readonly waiting: Map<number, Waiting>;
}

const LONGEST_WAIT_MS = 1000;
/** A thread takes 12 MB of memory; who looks at one page soon looks at another. */
const KEPT_MS = 30_000;

export class LedgerReader {
  readonly #folder: string;
  readonly #written: () => Promise<unknown>;
  readonly #keptMs: number;
  #thread: Thread | undefined;
  #idle: NodeJS.Timeout | undefined;
  #isClosed = false;
  #asked = 0;

  /** `written` resolves once what was handed to the writer so far is on disk, or refused. */
  constructor(folder: string, written: () => Promise<unknown>, keptMs: number = KEPT_MS) {
    this.#folder = folder;
    this.#written = written;
    this.#keptMs = keptMs;
  }

  /** Whether its thread is there. */
  get isWarm(): boolean {
    return this.#thread !== undefined;
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

  spent(question: SpentQuestion): Promise<Spent> {
    return this.#ask({ kind: "spent", question }) as Promise<Spent>;
  }

  /** Of a switch, newest first. */
  turns(name: string, limit: number): Promise<readonly TurnRow[]> {
    return this.#ask({ kind: "turns", name, limit }) as Promise<readonly TurnRow[]>;
  }

  /** What each UTC hour cost; those without an entry are left out. */
  hours(from: Instant, to: Instant): Promise<readonly HourSpend[]> {
    return this.#ask({ kind: "hours", from, to }) as Promise<readonly HourSpend[]>;
  }

  /** By how much what was posted of machines is off what their leases cost. */
  leaseImbalance(): Promise<NanoUsd> {
    return this.#ask({ kind: "imbalance" }) as Promise<NanoUsd>;
  }

  /** Newest first; one more than the limit when older ones follow. */
  alerts(question: AlertsQuestion): Promise<readonly StoredAlert[]> {
    return this.#ask({ kind: "alerts", question }) as Promise<readonly StoredAlert[]>;
  }

  alert(id: string): Promise<StoredAlert | undefined> {
    return this.#ask({ kind: "alert", id }) as Promise<StoredAlert | undefined>;
  }

  /** Of one budget in the periods that are open at `from`, newest first. */
  adjustments(budget: string, from: Instant): Promise<readonly Adjustment[]> {
    return this.#ask({ kind: "adjustments", budget, from }) as Promise<readonly Adjustment[]>;
  }

  alertMemory(at: Instant, since: Instant): Promise<AlertMemory> {
    return this.#ask({ kind: "alertMemory", at, since }) as Promise<AlertMemory>;
  }

  /** After what was asked is answered; whoever asks later is refused. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#end();
  }

  async #ask(question: Question): Promise<unknown> {
    // A disk that stalls must not take the pages with it: they then show what it had.
    await Promise.race([this.#written(), sleep(LONGEST_WAIT_MS, undefined, { ref: false })]);
    if (this.#isClosed) throw new Error("the ledger's reader is closed");
    clearTimeout(this.#idle);
    this.#thread ??= this.#start();
    const { worker, waiting } = this.#thread;
    this.#asked += 1;
    const asked: Asked = { id: this.#asked, question };
    return new Promise((resolve, reject) => {
      waiting.set(asked.id, { resolve, reject });
      worker.postMessage(asked);
    });
  }

  #start(): Thread {
    const file = new URL(import.meta.url.replace(/reader\.(ts|js)/, "reader-worker.$1"));
    const worker = new Worker(file, { workerData: { folder: this.#folder } });
    const exited = new Promise((resolve) => worker.once("exit", resolve));
    const thread: Thread = { worker, waiting: new Map(), exited };
    worker.on("message", (answer: Answer) => this.#answered(thread, answer));
    worker.on("error", (cause) => this.#stopped(thread, new Error("the ledger cannot be read", { cause })));
    worker.on("exit", () => this.#stopped(thread, new Error("the ledger's reader is closed")));
    return thread;
  }

  #answered({ waiting }: Thread, answer: Answer): void {
    const one = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (answer.ok) one?.resolve(answer.answer);
    else one?.reject(new Error(answer.message));
    if (waiting.size === 0) this.#idle = setTimeout(() => void this.#end(), this.#keptMs).unref();
  }

  #stopped(thread: Thread, error: Error): void {
    if (this.#thread === thread) this.#thread = undefined;
    for (const { reject } of thread.waiting.values()) reject(error);
    thread.waiting.clear();
  }

  /** Asked to end, not terminated: that can take the whole process along. */
  async #end(): Promise<void> {
    clearTimeout(this.#idle);
    const thread = this.#thread;
    if (thread === undefined) return;
    this.#thread = undefined;
    thread.worker.postMessage("close");
    await thread.exited;
  }
}
