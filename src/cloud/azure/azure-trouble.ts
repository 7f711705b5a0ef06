// What Azure refuses, in our own words. Its own sentence names the action that is missing, or the resource
// that is not there; the ids of whoever asked are left out.

import { Trouble } from "../adapter.ts";

interface Refused {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** `what`: as it stands in a sentence. */
export function azureTrouble(error: unknown, what: string): Trouble {
  if (error instanceof Trouble) return error;
  const given = (error ?? {}) as { statusCode?: unknown; code?: unknown; message?: unknown; cause?: unknown };
  if (given.cause instanceof Trouble) return given.cause;
  const status = Number(given.statusCode);
  const code = String(given.code ?? "");
  if (!Number.isFinite(status)) return unanswered(error, code, what);
  return refusal({ status, code, message: String(given.message ?? "").slice(0, 400) }, what, error);
}

function unanswered(error: unknown, code: string, what: string): Trouble {
  const name = error instanceof Error ? error.name : "";
  if (name === "AbortError" || code === "ETIMEDOUT") {
    return new Trouble("timeout", `Azure did not answer in time about ${what}`, error);
  }
  const how = /^\w{1,64}$/.test(code) ? ` (${code})` : "";
  return new Trouble(
    "unreachable",
    `Azure cannot be asked about ${what}${how}: is this machine online?`,
    error,
  );
}

function refusal({ status, code, message }: Refused, what: string, cause: unknown): Trouble {
  switch (status) {
    case 401:
      return new Trouble(
        "unauthenticated",
        `Azure does not take the gateway's token for ${what} (${code}): is providers.azure.credentials of ` +
          "that subscription's tenant, and this machine's clock right?",
        cause,
      );
    case 403: {
      const action = /perform action '([\w./-]+)'/.exec(message)?.[1];
      const lacking = action === undefined ? `(${code}) ${message}` : `the action ${action} is not allowed`;
      return new Trouble(
        "denied",
        `${what}: ${lacking}: grant it with the role that docs/clouds.md has`,
        cause,
      );
    }
    case 404:
      return new Trouble("not_found", `there is no ${what}: ${message}`, cause);
    case 409:
      // Another operation on the pool or its cluster is under way: it passes.
      return new Trouble("throttled", `${what} is busy: ${message}`, cause);
    case 412:
      return new Trouble(
        "throttled",
        `somebody else changed ${what} in that moment: it is asked again`,
        cause,
      );
    case 429:
      return throttled(what, undefined, cause);
    default:
      return new Trouble(status >= 500 ? "unreachable" : "failed", `${what}: ${message} (${code})`, cause);
  }
}

/** `after`: seconds that Azure wants to be left alone for. */
export function throttled(what: string, after: number | undefined, cause?: unknown): Trouble {
  const when = after === undefined ? "" : `; again in ${after} s`;
  return new Trouble("throttled", `Azure is asked too often (429) about ${what}${when}`, cause);
}
