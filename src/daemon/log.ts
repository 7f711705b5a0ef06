// Two streams on standard output: pino for what happens now and then, and one access line a request, built
// by hand and written in batches, because it is on the hot path. No prompt, no secret, no client header
// but the request id and the labels.

import { writeSync } from "node:fs";
import { type Logger, pino } from "pino";
import { formatUsd, type NanoUsd } from "../metering/money.ts";
import { type DurationUs, formatInstant, type Instant } from "../metering/time.ts";

export type { Logger } from "pino";

/** `write` takes whole lines of JSON; standard output if not said. */
export function makeLog(level: string, write?: (line: string) => void): Logger {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  return write === undefined ? pino(options) : pino(options, { write });
}

export interface AccessLine {
  readonly at: Instant;
  readonly request: string | undefined;
  readonly clientRequestId: string | undefined;
  readonly method: string;
  /** Without its query: that may hold what a client would rather not have kept. */
  readonly path: string;
  readonly status: number | undefined;
  readonly outcome: string;
  readonly model: string | undefined;
  readonly upstream: string | undefined;
  readonly provider: string | undefined;
  readonly user: string | undefined;
  readonly workflow: string | undefined;
  readonly charged: NanoUsd | undefined;
  /** Why it did not go well, in a sentence. */
  readonly reason: string | undefined;
  readonly duration: DurationUs;
}

const FLUSH_AFTER_MS = 20;
const FLUSH_AT_BYTES = 65_536;

export class AccessLog {
  #buffer = "";
  #timer: NodeJS.Timeout | undefined;
  readonly #write: (text: string) => void;

  constructor(write: (text: string) => void = (text) => writeSync(1, text)) {
    this.#write = write;
  }

  line(entry: AccessLine): void {
    this.#buffer += format(entry);
    if (this.#buffer.length >= FLUSH_AT_BYTES) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), FLUSH_AFTER_MS).unref();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const text = this.#buffer;
    this.#buffer = "";
    if (text === "") return;
    try {
      this.#write(text);
    } catch (error) {
      // A pipe whose reader is slow or gone must not end the gateway: the line is lost, the money is not.
      if (!(error instanceof Error && "code" in error)) throw error;
    }
  }
}

function format(entry: AccessLine): string {
  const own = (name: string, value: string | undefined) =>
    value === undefined ? "" : `,"${name}":${JSON.stringify(value)}`;
  return (
    `{"level":30,"time":"${formatInstant(entry.at)}","msg":"request"` +
    own("request", entry.request) +
    own("client_request_id", entry.clientRequestId) +
    own("method", entry.method) +
    own("path", entry.path) +
    (entry.status === undefined ? "" : `,"status":${entry.status}`) +
    `,"outcome":"${entry.outcome}"` +
    own("model", entry.model) +
    own("upstream", entry.upstream) +
    own("provider", entry.provider) +
    own("user", entry.user) +
    own("workflow", entry.workflow) +
    (entry.charged === undefined ? "" : `,"charged_usd":"${formatUsd(entry.charged)}"`) +
    own("reason", entry.reason) +
    `,"duration_ms":${(entry.duration / 1000).toFixed(3)}}\n`
  );
}
