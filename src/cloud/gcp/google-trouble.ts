// What Google's APIs refuse, in our own words: the same of its clients' errors and of plain JSON answers. The
// permission that is missing stands in Google's own sentence.

import { Trouble } from "../adapter.ts";
import { isMapping } from "../kubernetes/kube-api.ts";

/** Of Google's status codes, as its clients have them, to what HTTP says. */
const HTTP: Readonly<Record<number, number>> = {
  3: 400,
  4: 504,
  5: 404,
  7: 403,
  8: 429,
  9: 400,
  13: 500,
  14: 503,
  16: 401,
};

const LOGIN = " Renew what providers.gcp.credentials names, and look at this machine's clock.";

export interface Refused {
  readonly status: number;
  readonly message: string;
  /** Such as rateLimitExceeded. */
  readonly reason: string;
}

/** `what`: as it stands in a sentence, such as "node pool gpu of cluster nim". */
export function googleTrouble({ status, message, reason }: Refused, what: string, cause?: unknown): Trouble {
  const said = message.slice(0, 400);
  if (status === 429 || /rateLimitExceeded|RATE_LIMIT_EXCEEDED/.test(reason)) {
    return new Trouble("throttled", `Google is asked too often about ${what}: ${said}`, cause);
  }
  // Another operation on the cluster is under way: it passes.
  if (/currently operating|incompatible operation/i.test(said)) {
    return new Trouble("throttled", `${what} is busy: ${said}`, cause);
  }
  switch (status) {
    case 401:
      return new Trouble(
        "unauthenticated",
        `Google does not take the gateway's token: ${said}${LOGIN}`,
        cause,
      );
    case 403:
      return new Trouble("denied", `${what}: ${said} Grant it with the role that docs/clouds.md has.`, cause);
    case 404:
      return new Trouble("not_found", `there is no ${what}: ${said}`, cause);
    case 504:
      return new Trouble("timeout", `Google took too long over ${what}`, cause);
    default:
      return new Trouble(status >= 500 ? "unreachable" : "failed", `${what}: ${said}`, cause);
  }
}

/** Of a JSON answer that is no success. */
export function refusedBy(status: number, body: unknown): Refused {
  const error = isMapping(body) && isMapping(body.error) ? body.error : {};
  const first =
    Array.isArray(error.errors) && isMapping(error.errors[0]) ? error.errors[0].reason : undefined;
  const message = typeof error.message === "string" ? error.message : `status ${status}`;
  return { status, message, reason: String(first ?? error.status ?? "") };
}

/** Of an error that Google's client threw. */
export function clientTrouble(error: unknown, what: string): Trouble {
  if (error instanceof Trouble) return error;
  const given = (error ?? {}) as {
    code?: unknown;
    httpStatusCode?: unknown;
    message?: unknown;
    cause?: unknown;
  };
  if (given.cause instanceof Trouble) return given.cause;
  const code = Number(given.httpStatusCode ?? given.code);
  const status = HTTP[code] ?? (code >= 400 && code < 600 ? code : 503);
  const said = String(given.message ?? "");
  // Where the client could not read the answer, its message is the answer.
  const body = jsonOf(said);
  if (isMapping(body)) return googleTrouble(refusedBy(status, body), what, error);
  if (status === 503)
    return new Trouble("unreachable", `Google's GKE API cannot be asked about ${what}`, error);
  return googleTrouble({ status, message: said, reason: "" }, what, error);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
