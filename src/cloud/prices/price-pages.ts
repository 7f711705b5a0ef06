// Pages of a price list over HTTP: bounded in size and time, asked again where the list is busy. Errors are
// told in our own words, because a client's may hold an address or a key.

import { setTimeout as pause } from "node:timers/promises";
import { Agent, request } from "undici";
import { PriceTrouble, parseExact } from "./price-source.ts";

/** Bytes of one page; 5000 SKUs of Google's take about six million. */
const LARGEST_PAGE = 64 * 1024 * 1024;
const ATTEMPTS = 4;
/** However long a list says to stay away, the whole has an end before. */
const LONGEST_PAUSE_MS = 60_000;

export interface Page {
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent with POST. */
  readonly body?: string;
}

export class PricePages {
  readonly #agent = new Agent({ maxResponseSize: LARGEST_PAGE, maxHeaderSize: 32 * 1024 });
  readonly #signal: AbortSignal;
  readonly #pauseMs: number;

  constructor(signal: AbortSignal, pauseMs: number) {
    this.#signal = signal;
    this.#pauseMs = pauseMs;
  }

  /** Numbers are texts. */
  async json(page: Page): Promise<unknown> {
    const text = await this.#text(page);
    try {
      return parseExact(text);
    } catch {
      throw new PriceTrouble("its answer is no JSON");
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #text(page: Page): Promise<string> {
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.#once(page);
      if (answer.kind === "text") return answer.text;
      if (!answer.passes || attempt === ATTEMPTS) throw new PriceTrouble(answer.why);
      const grown = this.#pauseMs * 2 ** (attempt - 1);
      await pause(Math.min(answer.afterMs ?? grown, LONGEST_PAUSE_MS), undefined, { signal: this.#signal });
    }
  }

  async #once({ url, headers = {}, body }: Page): Promise<Answer> {
    try {
      const reply = await request(url, {
        method: body === undefined ? "GET" : "POST",
        headers: { accept: "application/json", "user-agent": "budgetguard", ...headers },
        ...(body !== undefined && { body }),
        dispatcher: this.#agent,
        signal: this.#signal,
      });
      const text = await reply.body.text();
      return reply.statusCode === 200 ? { kind: "text", text } : refusal(reply.statusCode, reply.headers);
    } catch (error) {
      if (this.#signal.aborted) throw error;
      const code = error instanceof Error && "code" in error ? ` (${error.code})` : "";
      const passes = code !== " (UND_ERR_RES_EXCEEDED_MAX_SIZE)";
      return {
        kind: "refused",
        why: `it could not be reached or broke off${code}`,
        passes,
        afterMs: undefined,
      };
    }
  }
}

type Answer =
  | { readonly kind: "text"; readonly text: string }
  | {
      readonly kind: "refused";
      readonly why: string;
      /** Whether it may go well the next time. */
      readonly passes: boolean;
      readonly afterMs: number | undefined;
    };

function refusal(status: number, headers: Readonly<Record<string, string | string[] | undefined>>): Answer {
  const passes = status === 408 || status === 429 || status >= 500;
  const cure = status === 401 || status === 403 ? ": look at its key, and at what that key may do" : "";
  const after = headers["retry-after"];
  const afterMs = typeof after === "string" && /^\d{1,6}$/.test(after) ? Number(after) * 1000 : undefined;
  const busy = status === 429 ? "it is asked too often (429)" : `it answered ${status}${cure}`;
  return { kind: "refused", why: busy, passes, afterMs };
}
