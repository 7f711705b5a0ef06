// The TypeScript client of the admin API: one method for each resource, over the global fetch, so that it
// works in Node and in browsers. Every reply is checked against the schema that the server was typed by.

import { z } from "zod";
import { Alert, AlertPage, type AlertsQuery } from "./alerts.ts";
import { BudgetExplained } from "./budgets.ts";
import { ClockState } from "./clock.ts";
import { ContainerList, ContainerStatus } from "./containers.ts";
import { CredentialsStatus } from "./credentials.ts";
import { Estimate, type EstimateRequest } from "./estimate.ts";
import { MachineList } from "./machines.ts";
import { PolicyCheck, PolicyInForce } from "./policy.ts";
import { PricePage, PriceSources, type PricesQuery, type PricesUpdate } from "./prices.ts";
import { Problem } from "./problem.ts";
import { Cancelled, RequestDetail, RequestPage, type RequestsQuery } from "./requests.ts";
import { Spend, type SpendQuery, Usage, type UsageQuery } from "./spend.ts";
import { type SpendingChange, SpendingChanged, SpendingHistory } from "./spending.ts";
import { Health, type ModeChange, ModeState, Readiness, Status } from "./status.ts";
import { TokenCreated, type TokenRequest } from "./tokens.ts";

export type { Alert, AlertPage, AlertsQuery } from "./alerts.ts";
export type { BudgetAccount, BudgetCause, BudgetExplained, SpentRow } from "./budgets.ts";
export type { ClockState } from "./clock.ts";
export type { CredentialsStatus } from "./credentials.ts";
export type { Breach, CandidateQuote, Explanation } from "./decision.ts";
export type { Estimate, EstimateRequest } from "./estimate.ts";
export type { PolicyCheck, PolicyInForce, PolicyNote } from "./policy.ts";
export type { PricePage, PriceRow, PriceSources } from "./prices.ts";
export type { Problem } from "./problem.ts";
export type { Cancelled, RequestDetail, RequestPage, RequestSummary, RequestsQuery } from "./requests.ts";
export { type CallerRole, type Permission, permission, RIGHTS, type Right } from "./roles.ts";
export type { Spend, SpendQuery, SpendRow, Usage, UsageQuery } from "./spend.ts";
export type * from "./spending.ts";
export type * from "./status.ts";
export type { TokenCreated, TokenRequest } from "./tokens.ts";

const DEFAULT_TIMEOUT_MS = 10_000;

export interface ClientOptions {
  /** "http://127.0.0.1:7071" */
  readonly baseUrl: string;
  /** The admin token or a client's; reads on the same machine need none. */
  readonly token?: string | undefined;
  readonly timeoutMs?: number | undefined;
}

/** The daemon answered, and not with what was asked for. `body` says why where it could be read. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly body: Problem | undefined;

  constructor(status: number, body: Problem | undefined) {
    super(body?.detail ?? `the daemon answered ${status} without saying why`);
    this.status = status;
    this.body = body;
  }
}

/** Nobody answers at the address, or nobody to be trusted, or not in time, or not to the end. */
export class DaemonUnreachable extends Error {
  override readonly name = "DaemonUnreachable";
  readonly code: "unreachable" | "untrusted" | "timeout" | "broken_off";

  constructor(code: DaemonUnreachable["code"], message: string, cause: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** Something answers that does not speak this API: another program, or another version. */
export class UnexpectedReply extends Error {
  override readonly name = "UnexpectedReply";
}

export class BudgetGuardClient {
  readonly #baseUrl: string;
  readonly #token: string | undefined;
  readonly #timeoutMs: number;

  constructor({ baseUrl, token, timeoutMs = DEFAULT_TIMEOUT_MS }: ClientOptions) {
    this.#baseUrl = baseUrl.replace(/\/+$/, "");
    this.#token = token;
    this.#timeoutMs = timeoutMs;
  }

  status(): Promise<Status> {
    return this.#get("/api/v1/status", Status);
  }

  spend(query: SpendQuery = {}): Promise<Spend> {
    return this.#get(`/api/v1/spend${searchOf(query)}`, Spend);
  }

  usage(query: UsageQuery = {}): Promise<Usage> {
    return this.#get(`/api/v1/usage${searchOf(query)}`, Usage);
  }

  requests(query: RequestsQuery = {}): Promise<RequestPage> {
    return this.#get(`/api/v1/requests${searchOf(query)}`, RequestPage);
  }

  request(id: string): Promise<RequestDetail> {
    return this.#get(`/api/v1/requests/${encodeURIComponent(id)}`, RequestDetail);
  }

  cancel(id: string): Promise<Cancelled> {
    return this.#send("POST", `/api/v1/requests/${encodeURIComponent(id)}/cancel`, {}, Cancelled);
  }

  estimate(request: EstimateRequest): Promise<Estimate> {
    return this.#send("POST", "/api/v1/estimate", request, Estimate);
  }

  mode(): Promise<ModeState> {
    return this.#get("/api/v1/mode", ModeState);
  }

  setMode(mode: ModeChange["mode"]): Promise<ModeState> {
    return this.#send("PUT", "/api/v1/mode", { mode }, ModeState);
  }

  explainBudget(id: string): Promise<BudgetExplained> {
    return this.#get(`/api/v1/budgets/${encodeURIComponent(id)}`, BudgetExplained);
  }

  clock(): Promise<ClockState> {
    return this.#get("/api/v1/clock", ClockState);
  }

  acceptClock(): Promise<ClockState> {
    return this.#send("POST", "/api/v1/clock", { accept: true }, ClockState);
  }

  credentials(query: { check?: "live" } = {}): Promise<CredentialsStatus> {
    return this.#get(`/api/v1/credentials/status${searchOf(query)}`, CredentialsStatus);
  }

  spending(): Promise<SpendingHistory> {
    return this.#get("/api/v1/spending", SpendingHistory);
  }

  /** Stops all spending, or resumes it. */
  changeSpending(change: SpendingChange): Promise<SpendingChanged> {
    return this.#send("POST", "/api/v1/spending", change, SpendingChanged);
  }

  policy(): Promise<PolicyInForce> {
    return this.#get("/api/v1/policy", PolicyInForce);
  }

  checkPolicy(text: string): Promise<PolicyCheck> {
    return this.#send("POST", "/api/v1/policy/check", { text }, PolicyCheck);
  }

  alerts(query: AlertsQuery = {}): Promise<AlertPage> {
    return this.#get(`/api/v1/alerts${searchOf(query)}`, AlertPage);
  }

  acknowledgeAlert(id: string): Promise<Alert> {
    return this.#send("POST", `/api/v1/alerts/${encodeURIComponent(id)}/acknowledge`, {}, Alert);
  }

  containers(): Promise<ContainerList> {
    return this.#get("/api/v1/containers", ContainerList);
  }

  /** What bills under the containers, with its leases. */
  machines(): Promise<MachineList> {
    return this.#get("/api/v1/machines", MachineList);
  }

  /** Resolves once its provider has taken the order. */
  orderContainer(order: "start" | "stop", upstream: string): Promise<ContainerStatus> {
    const path = `/api/v1/containers/${encodeURIComponent(upstream)}/${order}`;
    return this.#send("POST", path, {}, ContainerStatus);
  }

  prices(query: PricesQuery = {}): Promise<PricePage> {
    return this.#get(`/api/v1/prices${searchOf(query)}`, PricePage);
  }

  /** Asks the sources of live prices now; what takes longer goes on, and `prices` shows it. */
  updatePrices(update: PricesUpdate = {}): Promise<PriceSources> {
    return this.#send("POST", "/api/v1/prices/update", update, PriceSources);
  }

  createToken(request: TokenRequest): Promise<TokenCreated> {
    return this.#send("POST", "/api/v1/tokens", request, TokenCreated);
  }

  health(): Promise<Health> {
    return this.#get("/healthz", Health);
  }

  /** Answers also when the daemon is not ready: that is what is asked. */
  async readiness(): Promise<Readiness> {
    const response = await this.#fetch("GET", "/readyz", undefined);
    return parsed(await this.#textOf(response), Readiness);
  }

  /** The Prometheus text. */
  async metrics(): Promise<string> {
    const response = await this.#fetch("GET", "/metrics", undefined);
    const text = await this.#textOf(response);
    if (!response.ok) throw new ApiError(response.status, problemOf(text));
    return text;
  }

  #get<T extends z.ZodType>(path: string, schema: T): Promise<z.infer<T>> {
    return this.#send("GET", path, undefined, schema);
  }

  async #send<T extends z.ZodType>(
    method: string,
    path: string,
    body: unknown,
    schema: T,
  ): Promise<z.infer<T>> {
    const response = await this.#fetch(method, path, body);
    const text = await this.#textOf(response);
    if (!response.ok) throw new ApiError(response.status, problemOf(text));
    return parsed(text, schema);
  }

  async #fetch(method: string, path: string, body: unknown): Promise<Response> {
    const headers: Record<string, string> = { accept: "application/json" };
    if (this.#token !== undefined) headers.authorization = `Bearer ${this.#token}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const signal = AbortSignal.timeout(this.#timeoutMs);
    try {
      // A redirect would carry the token to wherever it points.
      return await fetch(this.#baseUrl + path, { method, headers, signal, redirect: "error", ...sent });
    } catch (cause) {
      const text = `no daemon answers at ${this.#baseUrl}; start it with: budgetguard serve`;
      const known = this.#tooLate(cause) ?? this.#untrusted(cause);
      throw known ?? new DaemonUnreachable("unreachable", text, cause);
    }
  }

  async #textOf(response: Response): Promise<string> {
    try {
      return await response.text();
    } catch (cause) {
      const text = "the daemon went away in the middle of its answer: see its log";
      throw this.#tooLate(cause) ?? new DaemonUnreachable("broken_off", text, cause);
    }
  }

  /** Somebody is there, and starting another daemon would cure nothing. */
  #untrusted(cause: unknown): DaemonUnreachable | undefined {
    const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : undefined;
    const code = inner !== undefined && "code" in inner ? String(inner.code) : "";
    if (!UNTRUSTED.test(code)) return undefined;
    const what = `what answers at ${this.#baseUrl} shows a certificate that is not trusted (${code})`;
    const cure =
      "call it by a name that its certificate has; for one of your own authority, set NODE_EXTRA_CA_CERTS " +
      "to that authority's file";
    return new DaemonUnreachable("untrusted", `${what}: ${cure}`, cause);
  }

  #tooLate(cause: unknown): DaemonUnreachable | undefined {
    if (!(cause instanceof Error && cause.name === "TimeoutError")) return undefined;
    const text = `something is at ${this.#baseUrl}, and does not answer within ${this.#timeoutMs / 1000} s`;
    return new DaemonUnreachable("timeout", `${text}: it is busy, or stuck; see its log`, cause);
  }
}

/** Of OpenSSL, and Node's own for a name that the certificate lacks. */
const UNTRUSTED = /CERT|UNABLE_TO_VERIFY|INVALID_CA/;

function parsed<T extends z.ZodType>(text: string, schema: T): z.infer<T> {
  const result = schema.safeParse(jsonOf(text));
  if (result.success) return result.data;
  const wrong = z.prettifyError(result.error);
  throw new UnexpectedReply(`what answers is not this version of BudgetGuard's API: ${wrong}`);
}

function problemOf(text: string): Problem | undefined {
  return Problem.safeParse(jsonOf(text)).data;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON is a finding of the schema, which says so in the same words as any other mismatch.
    return undefined;
  }
}

function searchOf(query: Record<string, string | number | undefined>): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value));
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}
