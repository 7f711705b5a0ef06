// Which whole replies a NIM's client cannot take as they are. Its node parses every body as JSON before it
// looks at the status, and follows redirects wherever they lead; so these are told in the gateway's words,
// with what the upstream said of the matter.

import { STATUS_CODES } from "node:http";
import type { Provider } from "../policy/policy.ts";
import { type Asked, ownLocation } from "./redirect.ts";
import type { Fault } from "./relayed.ts";
import { MOST_SAID, saidIn } from "./upstream-words.ts";

export interface ReplyStart {
  readonly status: number;
  readonly reason: string;
  readonly headers: readonly string[];
}

/** Bytes of such a reply that are read to its end, so that its connection can be used again. */
export const MOST_UNREADABLE = 1024 * 1024;

/** A reply that the client gets our words for; what it says is read for them. */
export class Unreadable {
  readonly #start: ReplyStart;
  readonly #told: Told;
  #said: Buffer[] = [];
  #bytes = 0;

  constructor(start: ReplyStart, told: Told) {
    this.#start = start;
    this.#told = told;
  }

  add(chunk: Buffer): void {
    if (this.#told.words !== undefined || this.#bytes >= MOST_SAID) return;
    this.#bytes += chunk.length;
    this.#said.push(chunk);
  }

  get fault(): Fault {
    const { status, words, speaker } = this.#told;
    const isCoded = headerOf(this.#start, "content-encoding") !== undefined;
    const all = words !== undefined || isCoded ? "" : saidIn(Buffer.concat(this.#said));
    // A problem's title is often the reason phrase, which is told already.
    const said = all.startsWith(`${this.#start.reason}: `) ? all.slice(this.#start.reason.length + 2) : all;
    const reason = words ?? errorWords(this.#start, said !== "");
    return { kind: "unreadable", status, reason, said, speaker, retryAfter: retryAfterOf(this.#start) };
  }
}

/** Undefined where the client gets the reply. */
export function unreadable(reply: ReplyStart, asked: Asked, provider: Provider): Unreadable | undefined {
  const told = toldOf(reply, asked, provider);
  return told === undefined ? undefined : new Unreadable(reply, told);
}

interface Told {
  readonly status: number;
  /** Undefined where the upstream's own text is to be found in the body. */
  readonly words: string | undefined;
  /** Whose word a client is to take it for, where it is not the gateway's. */
  readonly speaker: "nvidia-hosted" | undefined;
}

function toldOf(reply: ReplyStart, asked: Asked, provider: Provider): Told | undefined {
  if (asked.method === "HEAD") return undefined;
  const { status } = reply;
  const isHosted = provider === "nvidia-hosted";
  const speaker = isHosted ? "nvidia-hosted" : undefined;
  if (status >= 400) {
    const passes = isJson(reply) && !(isHosted && isNvidiasOwn(reply));
    return passes ? undefined : { status, words: undefined, speaker };
  }
  if (isHosted && status === 202) return { status: 502, words: ACCEPTED, speaker };
  if (!REDIRECTS.includes(status)) return undefined;
  const words = redirect(reply, asked, isHosted);
  return words === undefined ? undefined : { status: 502, words, speaker };
}

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
/** A client sends the same request again only after these; after the others a POST becomes a GET. */
const KEEPS_METHOD: readonly number[] = [307, 308];
/** Clients that know it would ask NVIDIA for the result themselves, past this gateway. */
const ACCEPTED = "it answered 202 and no id by which its result could be asked for";

/** No client of a NIM knows problem+json, and a 402 must not be taken for a budget's. */
function isNvidiasOwn(reply: ReplyStart): boolean {
  return reply.status === 402 || /\bproblem\+json\b/i.test(headerOf(reply, "content-type") ?? "");
}

/** Not in its own phrase, which may repeat the key that it was sent: this is logged. */
function errorWords(reply: ReplyStart, hasWords: boolean): string {
  const { status } = reply;
  const said = `it answered ${status} ${STATUS_CODES[status] ?? ""}`.trimEnd();
  if (status === 504 && headerOf(reply, "nvcf-status") === "errored") return `${said}: ${UNTAKEN}`;
  return hasWords || isJson(reply) ? said : `${said}, and not in JSON`;
}

const UNTAKEN = "no worker took the request in time (nvcf-status: errored), so try again later";

function redirect(reply: ReplyStart, asked: Asked, isHosted: boolean): string | undefined {
  const to = headerOf(reply, "location");
  const isOwn = to !== undefined && ownLocation(to, asked) !== undefined;
  const keepsMethod = asked.method === "GET" || KEEPS_METHOD.includes(reply.status);
  if (isOwn && keepsMethod) return undefined;
  if (isHosted && reply.status === 302) return TO_STORAGE;
  const where = isOwn ? "in a way that would lose the request's body" : "past this gateway";
  const cure = "give the address that really serves as its url";
  return `it redirects (${reply.status}) ${where}; ${cure}`;
}

/** What NVIDIA does with replies over 5 MB. */
const TO_STORAGE =
  "its reply is too large to be sent (it redirects to a download): ask for less, such as a smaller image, " +
  "or use a container";

function retryAfterOf(reply: ReplyStart): string | undefined {
  const said = headerOf(reply, "retry-after")?.trim() ?? "";
  return /^(?:\d{1,8}|[A-Za-z]{3}, [\w :]{15,30})$/.test(said) ? said : undefined;
}

function isJson(reply: ReplyStart): boolean {
  const isEmpty = headerOf(reply, "content-length") === "0";
  return !isEmpty && /^\s*application\/(?:[\w.-]+\+)?json\b/i.test(headerOf(reply, "content-type") ?? "");
}

function headerOf({ headers }: ReplyStart, name: string): string | undefined {
  const at = headers.findIndex((each, index) => index % 2 === 0 && each.toLowerCase() === name);
  return at === -1 ? undefined : headers[at + 1];
}
