// What is sent to an upstream for a client's request: where to, with which headers, and the body. It sends
// nothing; a request that cannot be sent as it is comes back as an error that says what to change.

import type { Readable } from "node:stream";
import type { Auth, SecretRef, Upstream } from "../policy/policy.ts";
import type { BodyWindow } from "./body-window.ts";
import { type FlatHeaders, requestHeaders } from "./headers.ts";
import { hostedRequest } from "./hosted-request.ts";
import { VIA } from "./via.ts";

export interface Wanted {
  readonly upstream: Upstream;
  readonly request: {
    readonly path: string;
    readonly rawHeaders: readonly string[];
    readonly body: Pick<BodyWindow, "source" | "announcedAs" | "isWhole">;
  };
  readonly requestId: string;
  readonly rewriteModel: string | undefined;
  readonly secretOf: (ref: SecretRef) => string | undefined;
}

export interface Prepared {
  readonly origin: string;
  readonly options: {
    readonly path: string;
    readonly headers: FlatHeaders;
    readonly body: Buffer | Readable | null;
  };
}

export function prepare({ upstream, request, requestId, rewriteModel, secretOf }: Wanted): Prepared | Error {
  const url = upstream.url === undefined ? null : URL.parse(upstream.url);
  if (url === null) return new Error(`upstream ${upstream.id} has no address yet`);
  const auth = upstream.auth === undefined ? undefined : readAuth(upstream.id, upstream.auth, secretOf);
  if (auth instanceof Error) return auth;
  const hosted = hostedRequest(upstream, request);
  if (hosted instanceof Error) return hosted;
  const picture = hosted?.picture;
  const body = picture ?? request.body.source(rewriteModel);
  const headers = requestHeaders(hosted?.rawHeaders ?? request.rawHeaders, {
    auth,
    requestId,
    contentLength:
      body === null || Buffer.isBuffer(body) ? undefined : request.body.announcedAs(rewriteModel),
    readsReply: upstream.price.kind === "tokens" || picture !== undefined,
  });
  headers.push(...VIA);
  const path = url.pathname.replace(/\/$/, "") + (picture === undefined ? request.path : "");
  return { origin: url.origin, options: { path, headers, body } };
}

function readAuth(
  upstream: string,
  by: Auth,
  secretOf: Wanted["secretOf"],
): { by: Auth; secret: string } | Error {
  const secret = secretOf(by.secret)?.trim();
  if (secret === undefined || secret === "") {
    return new Error(`upstream ${upstream} needs a secret that is not there: ${placeOf(by.secret)}`);
  }
  // A secret that is no header value must not appear in anybody's error.
  if (!/^[!-~]+$/.test(secret)) {
    return new Error(
      `upstream ${upstream} has a secret with characters that no header may hold: ${placeOf(by.secret)}`,
    );
  }
  return { by, secret };
}

function placeOf(ref: SecretRef): string {
  return ref.kind === "file" ? `file ${ref.path}` : `${ref.kind} ${ref.name}`;
}
