// All that a relay is given: one request, one upstream, the permit to send it there, and the client's reply.

import type { ServerResponse } from "node:http";
import type { Reservation } from "../policy/admission.ts";
import type { SecretRef, Upstream } from "../policy/policy.ts";
import type { BodyWindow } from "./body-window.ts";
import type { AddedHeaders } from "./headers.ts";
import type { Connections } from "./hosted-poll.ts";

export interface RelayJob {
  readonly upstream: Upstream;
  /** The permit; undefined only for requests that cost nothing. */
  readonly held: Pick<Reservation, "begin" | "stop" | "cutBy" | "isLost"> | undefined;
  readonly request: {
    readonly method: string;
    /** Origin-form, with its query, without the prefix that named the model. */
    readonly path: string;
    /** That prefix: "/m/flux-dev", or nothing. */
    readonly prefix: string;
    readonly rawHeaders: readonly string[];
    readonly body: BodyWindow;
  };
  readonly response: ServerResponse;
  /** X-BudgetGuard-*: sent with the upstream's own headers. */
  readonly replyHeaders: AddedHeaders;
  /** The X-Request-Id of a client that sent none. */
  readonly requestId: string;
  /** The JSON model name that the upstream knows, where it differs from the client's. */
  readonly rewriteModel: string | undefined;
  readonly secretOf: (ref: SecretRef) => string | undefined;
  /** Aborted with the reason "cut" by the budget, with any other by an operator. */
  readonly signal: AbortSignal;
  readonly pools: Connections;
  /** Told of the status once the reply's head is there; undefined where nobody keeps a slot for it. */
  readonly answered?: ((status: number) => void) | undefined;
}
