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
    const posted = judge(reply.statusCode, reply.headers["retry-after"]);
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
function judge(status: number, retryAfter: string | string[] | undefined): Posted {
  if (status >= 200 && status < 300) return { kind: "delivered" };
  const why = `it answered ${status}`;
  if (status !== 408 && status !== 425 && status !== 429 && status < 500) return { kind: "never", why };
  return { kind: "later", why, afterMs: afterOf(retryAfter) };
}

/** Only the form in seconds: a date is by the receiver's clock. */
function afterOf(retryAfter: string | string[] | undefined): number | undefined {
  const text = Array.isArray(retryAfter) ? retryAfter[0] : retryAfter;
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) * 1000 : undefined;
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === "TimeoutError") return "it did not answer in time";
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
  return code === undefined ? "it could not be reached" : `it could not be reached (${code})`;
}
