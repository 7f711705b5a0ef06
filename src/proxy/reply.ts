// How every outcome that is not an upstream's reply is said in HTTP: the only file that knows status codes
// and error bodies. Each error is JSON in the shapes of both worlds (FastAPI's `detail`, OpenAI's `error`),
// and its reason phrase carries the message, because the ComfyUI node shows nothing else.

import type { ServerResponse } from "node:http";
import { formatUsd } from "../metering/money.ts";
import { formatNumber } from "../metering/quantity-text.ts";
import { formatInstant } from "../metering/time.ts";
import type { Alternative, NoUpstream, Stopped } from "../policy/decision.ts";
import { breachMessage, stopMessage } from "./breach-message.ts";
import { breakOff } from "./downstream.ts";
import type { AddedHeaders } from "./headers.ts";
import { cutterOf } from "./interruption.ts";
import type { Fault, UnsentWhy } from "./relayed.ts";
import { type Refused, retrySeconds, type TooBusy } from "./vain.ts";

export type Unserved =
  | Refused
  | Omit<Stopped, "explanation">
  | {
      readonly kind: "no_upstream";
      readonly reason: string;
      readonly cause: NoUpstream["cause"];
    }
  | { readonly kind: "ledger_unavailable" }
  | TooBusy
  /** No byte left; `cause` is that of the last upstream that was tried. */
  | { readonly kind: "unsent"; readonly upstream: string; readonly why: UnsentWhy; readonly cause: Error }
  /** It was sent, and what came of it cannot be shown. */
  | { readonly kind: "fault"; readonly upstream: string; readonly fault: Fault }
  | {
      readonly kind: "problem";
      readonly status: ProblemStatus;
      readonly code: string;
      readonly message: string;
    }
  /** A bug of ours: its text is for the log alone. */
  | { readonly kind: "bug" };

export type ProblemStatus = 400 | 401 | 403 | 404 | 405 | 408 | 413 | 415 | 417 | 421 | 431 | 503 | 508;

/** Answers, or breaks the connection where something of a reply has already left. */
export function reply(response: ServerResponse, unserved: Unserved, added: AddedHeaders = []): void {
  send(response, answerTo(unserved), added);
}

/** For connections that never became a request, or a tunnel: the whole message, which ends the connection. */
export function rawReply(unserved: Unserved, added: AddedHeaders = []): string {
  const answer = answerTo(unserved);
  const body = JSON.stringify(answer.body);
  const first = [`HTTP/1.1 ${answer.status} ${answer.reason}`, ...lines(answer.headers), ...lines(added)];
  const head = [...first.map(ascii), "Connection: close"];
  const framing = ["Content-Type: application/json", `Content-Length: ${Buffer.byteLength(body)}`];
  return `${[...head, ...framing].join("\r\n")}\r\n\r\n${body}`;
}

export function statusOf(unserved: Unserved): number {
  return answerTo(unserved).status;
}

export interface Answer {
  readonly status: number;
  /** Printable ASCII, at most 200 bytes. */
  readonly reason: string;
  readonly headers: AddedHeaders;
  readonly body: object;
}

export function send(response: ServerResponse, answer: Answer, added: AddedHeaders = []): void {
  if (response.headersSent || response.destroyed || response.req.socket.destroyed) {
    breakOff(response);
    return;
  }
  const body = Buffer.from(JSON.stringify(answer.body));
  const headers = [
    ["Content-Type", "application/json"],
    ["Content-Length", String(body.length)],
    ...answer.headers,
    ...added.map(([name, value]) => [name, ascii(value)]),
  ];
  response.writeHead(answer.status, answer.reason, headers.flat());
  response.end(body);
}

function answerTo(unserved: Unserved): Answer {
  switch (unserved.kind) {
    case "refused":
      return refusal(unserved);
    case "stopped":
      return stopped(unserved);
    case "no_upstream":
      return noUpstream(unserved);
    case "ledger_unavailable":
      return ledgerUnavailable();
    case "too_busy":
      return tooBusy(unserved);
    case "unsent":
      return unsent(unserved.upstream, unserved.why, unserved.cause);
    case "fault":
      return faulty(unserved.upstream, unserved.fault);
    case "problem":
      return error(unserved.status, unserved.code, unserved.message, PROBLEM_HEADERS[unserved.status] ?? {});
    case "bug":
      return error(500, "internal_error", "the gateway made a mistake; its log says more");
  }
}

/** The contract of a refusal is fixed (DESIGN §7). */
function refusal({ breach, why }: Refused): Answer {
  const message = [breachMessage(breach), why].filter((word) => word !== undefined).join("; ");
  const { unit } = breach;
  const budgetguard = {
    budget: breach.budget,
    [`limit_${unit}`]: formatNumber(unit, breach.limit),
    [`settled_${unit}`]: formatNumber(unit, breach.settled),
    [`held_${unit}`]: formatNumber(unit, breach.held),
    [`needed_${unit}`]: formatNumber(unit, breach.needed),
    resets_at: breach.resets === undefined ? null : formatInstant(breach.resets),
    alternatives: breach.alternatives.map(alternativeOf),
    ...(breach.waited !== undefined && { waited_us: breach.waited }),
  };
  return error(402, "budget_exceeded", message, { headers: [NO_RETRY], budgetguard });
}

/** To come again helps no more than with a spent budget: somebody has to resume. */
function stopped(unserved: Omit<Stopped, "explanation">): Answer {
  const { stop, alternatives } = unserved;
  const budgetguard = {
    stopped_by: stop.by,
    stopped_at: formatInstant(stop.at),
    alternatives: alternatives.map(alternativeOf),
  };
  return error(402, "spending_stopped", stopMessage(unserved), { headers: [NO_RETRY], budgetguard });
}

function alternativeOf({ upstream, provider, estimate }: Alternative) {
  return { upstream, provider, estimate_usd: formatUsd(estimate) };
}

/** A request that no upstream can serve is wrong as it is, as a NIM's own 422 says; nothing else is. */
function noUpstream({ reason, cause }: Extract<Unserved, { kind: "no_upstream" }>): Answer {
  if (cause === "upstreams") return error(503, "no_upstream", reason);
  return error(422, "unservable_request", reason, { headers: [NO_RETRY] });
}

function ledgerUnavailable(): Answer {
  const message =
    "the ledger cannot be written, so nothing is sent; free disk space or see the gateway's log";
  return error(503, "ledger_unavailable", message, { headers: [["Retry-After", "5"]] });
}

/** Nothing was sent and nothing is charged: to come again is right. */
function tooBusy({ reason, retryAfter }: TooBusy): Answer {
  const headers: AddedHeaders = [
    ["Retry-After", String(retrySeconds(retryAfter))],
    ["x-should-retry", "true"],
  ];
  return error(503, "too_busy", reason, { headers });
}

/** Nothing was sent and nothing is charged: where the upstream was the trouble, a client may try again. */
function unsent(upstream: string, why: UnsentWhy, cause: Error): Answer {
  const said = causeOf({ cause });
  const { status, code, isFinal } = UNSENT[why];
  const budget = cutterOf(cause);
  const advice = budget === undefined ? "" : "; ask for a raise, or for less work";
  return error(status, code, `nothing was sent to upstream ${upstream}: ${said}${advice}`, {
    headers: isFinal ? [NO_RETRY] : [],
    budgetguard: { upstream, ...(budget !== undefined && { budget }) },
  });
}

/** Some of Node's errors have a code and no words. */
export function causeOf({ cause }: { readonly cause: Error }): string {
  return cause.message === "" && "code" in cause ? String(cause.code) : cause.message;
}

const UNSENT = {
  unreachable: { status: 502, code: "upstream_unreachable", isFinal: false },
  unsendable: { status: 502, code: "upstream_unsendable", isFinal: false },
  not_started: { status: 504, code: "container_not_started", isFinal: true },
  client_gone: { status: 499, code: "client_gone", isFinal: true },
  cancelled: { status: 499, code: "cancelled", isFinal: true },
  cut: { status: 402, code: "budget_cut", isFinal: true },
} as const satisfies Record<UnsentWhy, { status: number; code: string; isFinal: boolean }>;

/** Time was used and is charged, so no client library is to try again by itself. */
function faulty(upstream: string, fault: Fault): Answer {
  if (fault.kind === "unreadable") return unreadable(upstream, fault);
  const { status, code } = FAULTS[fault.kind];
  const budget = fault.kind === "cut" ? fault.budget : undefined;
  const advice = budget === undefined ? "" : `; what was used is charged: ask for a raise, or for less work`;
  return error(status, code, `upstream ${upstream}: ${fault.reason}${advice}`, {
    headers: [NO_RETRY],
    budgetguard: { upstream, ...(budget !== undefined && { budget }) },
  });
}

/** The upstream's own status, in words that are told from ours: its 402 is no budget's. */
function unreadable(upstream: string, fault: Extract<Fault, { kind: "unreadable" }>): Answer {
  const { status, reason, said, speaker, retryAfter } = fault;
  const mayRetry = speaker === undefined || RETRIED.includes(status);
  const words = said === "" ? "" : `: ${said}`;
  return error(status, "upstream_refused", `upstream ${upstream}: ${reason}${words}`, {
    type: "upstream_error",
    ...(speaker && { speaker }),
    headers: [
      ...(retryAfter === undefined ? [] : [["Retry-After", retryAfter] as const]),
      ...(mayRetry ? [] : [NO_RETRY]),
    ],
    budgetguard: { upstream },
  });
}

/** NVIDIA has done nothing yet where it says these. */
const RETRIED: readonly number[] = [429, 503];

const FAULTS = {
  broken: { status: 502, code: "upstream_failed" },
  timeout: { status: 504, code: "upstream_timeout" },
  too_large: { status: 413, code: "body_too_large" },
  stalled: { status: 408, code: "body_stalled" },
  client_gone: { status: 499, code: "client_gone" },
  cancelled: { status: 499, code: "cancelled" },
  cut: { status: 402, code: "budget_cut" },
} as const satisfies Record<Exclude<Fault["kind"], "unreadable">, { status: number; code: string }>;

const NO_RETRY = ["x-should-retry", "false"] as const;

const PROBLEM_HEADERS: Partial<Record<ProblemStatus, Extra>> = {
  401: { headers: [["WWW-Authenticate", 'Bearer realm="BudgetGuard", Basic realm="BudgetGuard"']] },
  405: { headers: [["Allow", "GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE"]] },
};

interface Extra {
  readonly type?: string;
  /** Whose words the reason phrase says that it is. */
  readonly speaker?: string;
  readonly headers?: AddedHeaders;
  readonly budgetguard?: object;
}

function error(status: number, code: string, message: string, extra: Extra = {}): Answer {
  return {
    status,
    reason: ascii(`${extra.speaker ?? "BudgetGuard"}: ${message}`).slice(0, LONGEST_REASON),
    headers: extra.headers ?? [],
    body: {
      // langchain shows "[status] title", then the detail.
      status,
      title: titleOf(code),
      detail: message,
      error: { message, type: extra.type ?? typeOf(status), code, param: null },
      budgetguard: extra.budgetguard ?? {},
    },
  };
}

const LONGEST_REASON = 200;

/** "budget_exceeded": "Budget exceeded". */
function titleOf(code: string): string {
  return `${code.charAt(0).toUpperCase()}${code.slice(1).replaceAll("_", " ")}`;
}

function typeOf(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 402) return "budget_error";
  if (status === 403) return "permission_error";
  if (status === 502 || status === 504) return "upstream_error";
  return status < 500 ? "invalid_request_error" : "gateway_error";
}

/** One line of printable ASCII: what a reason phrase and a header value can be in every client. */
function ascii(text: string): string {
  return text.replace(/[^ -~]/g, "?");
}

function lines(headers: AddedHeaders): string[] {
  return headers.map(([name, value]) => `${name}: ${value}`);
}
