// From a request for a tunnel that passed the door to its end: identify, exchange, and an answer in JSON
// where none was opened. A tunnel is priced, held, cut and recorded as any request is; this knows no money.

import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Instant } from "../metering/time.ts";
import { readFacts } from "./body-facts.ts";
import { type Attempt, exchange } from "./exchange.ts";
import { bare, type FrontHouse, unservedOf } from "./front.ts";
import type { AddedHeaders } from "./headers.ts";
import { type Identified, identify, type LookedAt, type Place, type Problem, readHead } from "./identify.ts";
import type { Unserved } from "./reply.ts";
import { newTaskId } from "./task-id.ts";
import { tunnel } from "./tunnel.ts";
import { answerRaw, whenLeft } from "./tunnel-door.ts";

/** A connection that Node has let go of, with what came on it. */
export interface AskedTunnel {
  readonly request: IncomingMessage;
  readonly socket: Socket;
  readonly head: Buffer;
}

/** `path` is origin-form, whatever form the request had. */
export type ServeTunnel = (asked: AskedTunnel, place: Place, path: string) => void;

export class TunnelFront {
  readonly #house: FrontHouse;

  constructor(house: FrontHouse) {
    this.#house = house;
  }

  serve(asked: AskedTunnel, place: Place, path: string): void {
    const { socket } = asked;
    const before = socket.bytesWritten;
    this.#serve(asked, place, path).catch((error) => {
      this.#house.bug(error);
      // What is open already can only be broken off.
      if (socket.bytesWritten > before) socket.destroy();
      else answerRaw(socket, { kind: "bug" });
    });
  }

  async #serve(asked: AskedTunnel, place: Place, path: string): Promise<void> {
    const house = this.#house;
    const at = house.timers.now();
    const found = this.#identify(asked.request, place, path, at);
    if (found.kind !== "task") {
      const status = answerRaw(asked.socket, found.kind === "problem" ? found : NO_TUNNEL);
      house.passed({ kind: "problem", method: "GET", path: bare(path), at, status });
      return;
    }
    const { task, cutLabels } = found;
    const running = house.running.enter(task.id);
    try {
      let tried: AddedHeaders = [["X-BudgetGuard-Request", task.id]];
      const send = (attempt: Attempt) => {
        tried = attempt.headers;
        return tunnel({
          ...attempt,
          path: found.path,
          rawHeaders: asked.request.rawHeaders,
          client: asked.socket,
          head: asked.head,
          rewriteModel:
            attempt.upstream.model ?? (attempt.model === task.model ? found.renamed : attempt.model),
          replyHeaders: attempt.headers,
          requestId: task.id,
          secretOf: (ref) => house.secretOf(ref),
        });
      };
      const exchanged = await exchange(task, send, house, running.signal, whenLeft(asked.socket));
      const unserved = unservedOf(exchanged);
      const isOpened = exchanged.kind === "sent" && exchanged.relayed.headSent;
      const told = unserved && answerRaw(asked.socket, unserved, tried);
      const status = isOpened ? SWITCHED : told;
      house.ended({ task, method: "GET", path: bare(found.path), at, exchanged, status, cutLabels });
    } finally {
      house.sessions.end(task.labels.user, task.labels.session, house.timers.now());
      running.leave();
    }
  }

  /** A tunnel names its model in its query, as a request does in its body; and it is work, though a GET. */
  #identify(request: IncomingMessage, place: Place, path: string, at: Instant): Identified {
    const house = this.#house;
    const policy = house.policy();
    const head = { method: "GET", path, rawHeaders: request.rawHeaders };
    const known = readHead(head, policy, place, house.tokens);
    if (known.kind !== "known") return known;
    const models = modelsIn(path);
    // Whoever is sent two may take the other one than the one that is priced.
    if (models.length > 1) return TWO_MODELS;
    const means = { newId: newTaskId, at, sessions: house.sessions };
    return identify({ ...known, isMetered: true }, askedFor(models[0]), policy, means);
  }
}

function modelsIn(path: string): string[] {
  return new URLSearchParams(path.replace(/^[^?]*\??/, "")).getAll("model");
}

/** As if it were a body of nothing but its model. */
function askedFor(name: string | undefined): LookedAt {
  const facts = readFacts({
    bytes: NOTHING,
    isWhole: true,
    contentType: undefined,
    contentEncoding: undefined,
  });
  if (name === undefined || name === "" || facts.kind !== "facts") return { facts, length: 0 };
  return { facts: { ...facts, model: { name, start: 0, end: 0 } }, length: 0 };
}

const NOTHING = Buffer.alloc(0);
const SWITCHED = 101;
const TWO_MODELS: Problem = {
  kind: "problem",
  status: 400,
  code: "bad_query",
  message: "name one model in the query of a tunnel, not several",
};
const NO_TUNNEL: Unserved = {
  kind: "problem",
  status: 404,
  code: "unknown_path",
  message: "no tunnel can be opened at this path",
};
