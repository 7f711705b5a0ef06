// Asks an upstream whether it is ready: GET /v1/health/ready, with its own credentials, over the
// connections that its requests use, so that what guards these guards the probe. It follows no redirect,
// reads next to nothing, and judges nothing but that one answer. When to ask is cloud/readiness.ts's
// affair.

import { milliseconds } from "../metering/time.ts";
import type { SecretRef, Upstream } from "../policy/policy.ts";
import type { Pools } from "./pools.ts";
import { causeOf } from "./reply.ts";
import { prepare } from "./upstream-request.ts";

/** `unclear`: it was not asked, because of something on this side. */
export type Answered =
  | { readonly kind: "up" }
  | { readonly kind: "down"; readonly why: string }
  | { readonly kind: "unclear" };

export interface ReadyProbeParts {
  readonly pools: Pools;
  secretOf(ref: SecretRef): string | undefined;
}

/** A NIM answers within milliseconds; one that needs longer than this is not ready for anybody. */
const TIMEOUT_MS = 3_000;
/** Of the answer's body, which nobody reads: what is longer ends the connection. */
const MOST_BODY = 4_096;

/** `signal` ends it, without a verdict. */
export async function askReady(
  upstream: Upstream,
  signal: AbortSignal,
  { pools, secretOf }: ReadyProbeParts,
): Promise<Answered> {
  const prepared = prepare({
    upstream,
    request: { path: "/v1/health/ready", rawHeaders: ["Accept", "*/*"], body: NO_BODY },
    requestId: "readiness",
    rewriteModel: undefined,
    secretOf,
  });
  if (prepared instanceof Error) return { kind: "unclear" };
  const pool = pools.of(prepared.origin, milliseconds(upstream.timeouts.connect));
  try {
    const { statusCode, body } = await pool.request({
      path: prepared.options.path,
      method: "GET",
      headers: prepared.options.headers,
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    await body.dump({ limit: MOST_BODY });
    return NOT_READY.includes(statusCode)
      ? { kind: "down", why: `it answered ${statusCode}` }
      : { kind: "up" };
  } catch (error) {
    if (signal.aborted) return { kind: "unclear" };
    return { kind: "down", why: whyOf(error) };
  }
}

/**
 * Whatever else it says, somebody is there: 404 and 405 come from upstreams without this path, 401 from
 * those that ask it for more than a request, 3xx from those that have it elsewhere.
 */
const NOT_READY: readonly number[] = [500, 502, 503, 504];

const NO_BODY = { isWhole: true, source: () => null, announcedAs: () => undefined };

function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.name === "TimeoutError"
    ? `it did not answer within ${TIMEOUT_MS / 1000} s`
    : causeOf({ cause: error });
}
