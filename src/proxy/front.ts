// From a request that passed the door to its answer: read the window, identify, exchange, reply. It puts
// the rooms of the data plane together and knows no money.

import type { IncomingMessage, ServerResponse } from "node:http";
import { ZERO_USD } from "../metering/money.ts";
import { between, type Instant } from "../metering/time.ts";
import type { Settlement } from "../policy/admission.ts";
import type { Policy, SecretRef, Upstream } from "../policy/policy.ts";
import type { Sessions } from "../policy/sessions.ts";
import type { Call } from "../policy/slot.ts";
import type { Task } from "../policy/task.ts";
import { BODY_TIMES, type BodyFault, type BodyWindow, openBody } from "./body-window.ts";
import type { TokenLookup } from "./credentials.ts";
import { breakOff, whenGone } from "./downstream.ts";
import { type Attempt, type Exchanged, exchange, type Gateway, type Sent } from "./exchange.ts";
import type { AddedHeaders } from "./headers.ts";
import { PollingPools } from "./hosted-poll.ts";
import { type Identified, identify, type Own, type Place, readHead } from "./identify.ts";
import { askedInstead, ownAnswer } from "./own-answers.ts";
import { Pools } from "./pools.ts";
import { relay } from "./relay.ts";
import type { RelayJob } from "./relay-job.ts";
import type { Relayed } from "./relayed.ts";
import { reply, send, type Unserved } from "./reply.ts";
import type { Running } from "./running.ts";
import { servable } from "./servable.ts";
import { newTaskId } from "./task-id.ts";
import { readOn } from "./unread.ts";
import { outOfCalls } from "./vain.ts";

export interface FrontHouse extends Gateway {
  readonly version: string;
  readonly running: Running;
  readonly tokens: TokenLookup;
  readonly sessions: Sessions;
  secretOf(ref: SecretRef): string | undefined;
  /** For what costs nothing. */
  call(upstream: Upstream): Call;
  /** A task has ended, however it ended. */
  ended(event: TaskEnded): void;
  /** Something that is no task was answered or passed on. */
  passed(event: Passed): void;
  bug(error: unknown): void;
}

export interface TaskEnded {
  readonly task: Task;
  readonly method: string;
  readonly path: string;
  readonly at: Instant;
  readonly exchanged: Exchanged;
  /** The status that the client saw; undefined when its connection was broken off. */
  readonly status: number | undefined;
  /** Label values that were longer than their cap. */
  readonly cutLabels: number;
}

export interface Passed {
  readonly kind: "unmetered" | "own" | "problem";
  readonly method: string;
  readonly path: string;
  readonly at: Instant;
  readonly status: number | undefined;
}

export class Front {
  readonly pools = new Pools();
  readonly #polling = new PollingPools(this.pools);
  readonly #house: FrontHouse;

  constructor(house: FrontHouse) {
    this.#house = house;
  }

  serve(request: IncomingMessage, response: ServerResponse, place: Place, path: string): void {
    this.#serve(request, response, place, path).catch((error) => {
      this.#house.bug(error);
      reply(response, { kind: "bug" });
    });
  }

  async #serve(
    request: IncomingMessage,
    response: ServerResponse,
    place: Place,
    path: string,
  ): Promise<void> {
    const house = this.#house;
    const at = house.timers.now();
    const method = request.method ?? "GET";
    const policy = house.policy();
    const head = readHead({ method, path, rawHeaders: request.rawHeaders }, policy, place, house.tokens);
    const passed = (kind: Passed["kind"]) =>
      house.passed({ kind, method, path: bare(path), at, status: statusOf(response) });
    if (head.kind !== "known") {
      readOn(request, response);
      if (head.kind === "own") send(response, this.#own(head, policy));
      else reply(response, head);
      passed(head.kind);
      return;
    }
    const opened = await openBody(request, response, { bytes: policy.limits.body, ...BODY_TIMES });
    if (opened.kind === "fault") {
      answerBodyFault(response, opened.fault);
      passed("problem");
      return;
    }
    const found = identify(head, opened.body, policy, { newId: newTaskId, at, sessions: house.sessions });
    if (found.kind === "task") {
      await this.#task(found, { request, response, path, body: opened.body, at });
      return;
    }
    if (found.kind === "own") send(response, this.#own(found, policy));
    else if (found.kind === "problem") reply(response, found);
    else await this.#unmetered(found, policy, { request, response, path, body: opened.body });
    passed(found.kind);
  }

  async #task(found: Extract<Identified, { kind: "task" }>, came: Came & { at: Instant }): Promise<void> {
    const house = this.#house;
    const { task } = found;
    const running = house.running.enter(task.id);
    try {
      let tried: AddedHeaders = [];
      const sendTo = (attempt: Attempt): Promise<Relayed> => {
        tried = attempt.headers;
        const fallback = attempt.model === task.model ? found.renamed : attempt.model;
        return relay(this.#job(came, found.path, task.id, { ...attempt, replyHeaders: tried, fallback }));
      };
      const exchanged = await exchange(task, sendTo, house, running.signal, whenGone(came.request.socket));
      const unserved = unservedOf(exchanged);
      const isOfUpstream = exchanged.kind === "sent" || exchanged.kind === "unsent";
      const added = isOfUpstream ? tried : [["X-BudgetGuard-Request", task.id] as const];
      if (unserved !== undefined) reply(came.response, unserved, added);
      const status = statusOf(came.response);
      const method = came.request.method ?? "";
      house.ended({
        task,
        method,
        path: bare(found.path),
        at: came.at,
        exchanged,
        status,
        cutLabels: found.cutLabels,
      });
    } finally {
      house.sessions.end(task.labels.user, task.labels.session, house.timers.now());
      running.leave();
    }
  }

  /** Costs nothing and takes no slot, so it goes to whichever upstream would be offered first. */
  async #unmetered(
    found: Extract<Identified, { kind: "unmetered" }>,
    policy: Policy,
    came: Came,
  ): Promise<void> {
    const { model, standIn } = found;
    const unserved = (what: Unserved) => {
      if (standIn === undefined) reply(came.response, what);
      else send(came.response, this.#own({ kind: "own", what: standIn, model }, policy));
    };
    const first = this.#firstUpstream(policy, model, "up");
    const upstream = standIn === undefined ? first : askedInstead(first, policy.models.get(model));
    if (upstream === undefined) {
      const reason = `no upstream of ${model} may serve`;
      unserved({ kind: "no_upstream", reason, cause: "upstreams" });
      return;
    }
    const call = this.#house.call(upstream);
    if (call.kind === "rated") return unserved(outOfCalls(upstream, call));
    const id = newTaskId();
    const own = { upstream, held: undefined, replyHeaders: [], signal: new AbortController().signal };
    const relayed = await relay(this.#job(came, found.path, id, own));
    if (relayed.kind === "unsent") {
      call.unused();
      unserved({ kind: "unsent", upstream: upstream.id, why: relayed.why, cause: relayed.cause });
    } else if (relayed.fault === undefined) relayed.finish();
    else if (relayed.headSent) relayed.destroy();
    else unserved({ kind: "fault", upstream: upstream.id, fault: relayed.fault });
  }

  #own(found: Own, policy: Policy) {
    const isServable = ({ id }: { id: string }) => this.#firstUpstream(policy, id) !== undefined;
    return ownAnswer(found, policy, { version: this.#house.version, isServable });
  }

  #firstUpstream(policy: Policy, id: string, which?: "up") {
    const model = policy.models.get(id);
    return model && servable(policy, model, this.#house.candidates(policy, model), which);
  }

  #job(
    came: Came,
    path: string,
    requestId: string,
    own: Pick<RelayJob, "upstream" | "held" | "signal" | "replyHeaders" | "answered"> & {
      /** The model that it is degraded to, or was priced as: its body names another. */
      readonly fallback?: string | undefined;
    },
  ): RelayJob {
    const { request, response, body } = came;
    return {
      upstream: own.upstream,
      held: own.held,
      signal: own.signal,
      replyHeaders: own.replyHeaders,
      answered: own.answered,
      request: {
        method: request.method ?? "GET",
        path,
        prefix: came.path.slice(0, came.path.length - path.length),
        rawHeaders: request.rawHeaders,
        body,
      },
      response,
      requestId,
      rewriteModel: own.upstream.model ?? own.fallback,
      secretOf: (ref) => this.#house.secretOf(ref),
      pools: own.upstream.provider === "nvidia-hosted" ? this.#polling : this.pools,
    };
  }
}

interface Came {
  /** As the client wrote it. */
  readonly path: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: BodyWindow;
}

/** What is still to be told to the client; undefined when it has its reply, or can have none. */
export function unservedOf(exchanged: Exchanged): Unserved | undefined {
  switch (exchanged.kind) {
    case "no_upstream":
      return exchanged.last === undefined ? exchanged : { kind: "unsent", ...exchanged.last };
    case "refused":
    case "stopped":
    case "ledger_unavailable":
    case "unsent":
    case "too_busy":
      return exchanged;
    case "sent": {
      const { relayed, settlement, decision } = exchanged;
      if (relayed.fault === undefined || relayed.headSent) return undefined;
      // Where something was sent its connection is broken off already.
      if (settlement === undefined) return { kind: "ledger_unavailable" };
      return { kind: "fault", upstream: decision.quote.upstream.id, fault: relayed.fault };
    }
  }
}

function answerBodyFault(response: ServerResponse, fault: BodyFault): void {
  switch (fault) {
    case "too_large": {
      const message = "the body is larger than limits.body in the policy allows";
      reply(response, { kind: "problem", status: 413, code: "body_too_large", message });
      return;
    }
    case "stalled": {
      const message = "the request body stopped coming";
      reply(response, { kind: "problem", status: 408, code: "body_stalled", message });
      return;
    }
    case "gone":
      breakOff(response);
  }
}

/** Undefined where the client was told nothing. */
function statusOf(response: ServerResponse): number | undefined {
  return response.headersSent ? response.statusCode : undefined;
}

/** Without its query, which may hold what a client would rather not have in a log. */
export function bare(path: string): string {
  return path.replace(/[?#].*$/s, "");
}

/** What a request was charged, for whoever counts: nothing unless it was sent. */
export function chargedFor(exchanged: Exchanged) {
  return exchanged.kind === "sent" ? (settlementOf(exchanged)?.charged ?? ZERO_USD) : ZERO_USD;
}

/** Written or not: the ledger counts both. */
function settlementOf({ settlement, kept }: Sent): Settlement | undefined {
  return settlement ?? kept;
}

/** The part of a task's time that was the gateway's own, in microseconds: not its wait for a slot. */
export function overheadOf(event: TaskEnded, now: Instant) {
  const { exchanged } = event;
  if (exchanged.kind !== "sent") return undefined;
  const settlement = settlementOf(exchanged);
  if (settlement === undefined) return undefined;
  const { waited } = exchanged;
  const own = between(event.at, now) - settlement.elapsed - waited;
  return Math.max(0, own) as ReturnType<typeof between>;
}
