// One attempt to tell one webhook. Its address is a secret: nothing here says it, and what went wrong is said
// in our own words, because an error's may hold it.

import { type Dispatcher, request } from "undici";
import { whyForbidden } from "../policy/forbidden-host.ts";
import type { SecretRef } from "../policy/policy.ts";
import type { Webhook } from "../policy/settings.ts";

export type Posted =
  | { readonly kind: "delivered" }
  | { readonly kind: "later"; readonly why: string; readonly afterMs: number | undefined }
  /** It would be refused the next time too. */
  | { readonly kind: "never"; readonly why: string };

export interface Attempt {
  readonly address: string;
  readonly message: string;
  readonly dispatcher: Dispatcher;
  readonly timeoutMs: number;
  /** The end of the daemon. */
  readonly stopping: AbortSignal;
}

/** Of the reply: it says nothing that is used, and reading it keeps the connection. */
const REPLY_BYTES = 65_536;

export async function post(attempt: Attempt): Promise<Posted> {
  const url = URL.parse(attempt.address);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    return { kind: "never", why: "its address is no http(s) URL" };
  }
  const forbidden = whyForbidden(url.hostname);
  if (forbidden !== undefined) return { kind: "never", why: `its address is forbidden: ${forbidden}` };
  const signal = AbortSignal.any([attempt.stopping, AbortSignal.timeout(attempt.timeoutMs)]);
  try {
    const reply = await request(url, {
      method: "POST",
      headers: { "content-type": "application/json", "user-agent": "budgetguard" },
      body: attempt.message,
      dispatcher: attempt.dispatcher,
      signal,
    });
    const posted = judge(reply.statusCode, reply.headers);
    // What comes after the status changes nothing.
    await reply.body.dump({ limit: REPLY_BYTES, signal }).catch(() => undefined);
    return posted;
  } catch (error) {
    return { kind: "later", why: reasonOf(error), afterMs: undefined };
  }
}

/** As the log and the API call it: where the address is read from, never the address. */
export function webhookName({ format, url }: Pick<Webhook, "format" | "url">): string {
  return `${format} to ${placeOf(url)}`;
}

function placeOf(ref: SecretRef): string {
  return ref.kind === "file" ? `file ${ref.path}` : `${ref.kind} ${ref.name}`;
}

/** Too many, too slow, and faults of the receiver's own pass; what it refuses otherwise it refuses again. */
function judge(status: number, headers: Headers): Posted {
  if (status >= 200 && status < 300) return { kind: "delivered" };
  const why = `it answered ${status}`;
  if (status !== 408 && status !== 425 && status !== 429 && status < 500) return { kind: "never", why };
  return { kind: "later", why, afterMs: afterOf(headers) };
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** In seconds, or until a date: that is by the receiver's clock, as is the `Date` that it is taken from. */
function afterOf(headers: Headers): number | undefined {
  const text = one(headers["retry-after"]);
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const until = dateOf(text) - dateOf(one(headers.date) ?? "");
  return Number.isNaN(until) ? undefined : Math.max(0, until);
}

/** Milliseconds of the one form that HTTP writes (RFC 9110 §5.6.7); NaN for anything else. */
function dateOf(text: string): number {
  return HTTP_DATE.test(text) ? Date.parse(text) : Number.NaN;
}

const HTTP_DATE = /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === "TimeoutError") return "it did not answer in time";
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
  return code === undefined ? "it could not be reached" : `it could not be reached (${code})`;
}
