// NVIDIA's hosted API as facts of it were gathered: strict about what it takes, slow in its own ways, and with
// errors in its own shapes. Each POST has the next of the given behaviours; it writes down all that it got.

import { randomUUID } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import { rejects } from "./nvidia-fields.ts";
import { listen, portOf } from "./sockets.ts";

export type Behaviour =
  | { readonly kind: "inline"; readonly afterMs?: number; readonly bytes?: number }
  /** 202 to the POST and to so many polls, each held for a while; then what `end` says. */
  | {
      readonly kind: "accepted";
      readonly polls: number;
      readonly heldMs?: number;
      readonly id?: string | undefined;
      readonly end?: Behaviour;
    }
  | { readonly kind: "held" }
  /** No worker took it: 504 without a body. */
  | { readonly kind: "errored" }
  | { readonly kind: "storage"; readonly location: string }
  | {
      readonly kind: "problem";
      readonly status: number;
      readonly title: string;
      readonly detail: string;
      readonly retryAfter?: string;
    }
  | { readonly kind: "text"; readonly status: number; readonly text: string; readonly type?: string }
  /** Closes without a reply. */
  | { readonly kind: "abrupt" }
  /** Sends the head and `of` bytes of the body, then a byte now and then, or nothing. */
  | { readonly kind: "trickle"; readonly everyMs: number | undefined };

export interface Got {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Resolves when its connection went before it had its reply. */
  readonly gone: Promise<void>;
}

export interface FakeNvidia {
  /** "http://127.0.0.1:PORT" */
  readonly origin: string;
  readonly got: Got[];
  /** For the POSTs to come, in turn; after them all are answered at once. */
  behave(...next: readonly Behaviour[]): void;
  close(): Promise<void>;
}

/** A reply as the real one: JPEG in base64. */
export const JPEG = Buffer.from("ffd8ffe000104a46494600010100000100010000ffd9", "hex").toString("base64");
export const ANSWER = JSON.stringify({ artifacts: [{ base64: JPEG, finishReason: "SUCCESS", seed: 7 }] });

/** Takes only requests that show `key`. */
export async function fakeNvidia(key: string): Promise<FakeNvidia> {
  const got: Got[] = [];
  const script: Behaviour[] = [];
  const open = new Map<string, { polls: number; heldMs: number; end: Behaviour }>();

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method = "", url: path = "", headers } = request;
    const body = Buffer.concat(chunks).toString("utf8");
    const gone = new Promise<void>((resolve) => {
      response.once("close", () => response.writableFinished || resolve());
    });
    got.push({ method, path, headers, body, gone });
    if (headers.authorization !== `Bearer ${key}`) {
      problem(response, {
        status: 401,
        title: "Unauthorized",
        detail: `${headers.authorization} is unknown`,
      });
      return;
    }
    const id = /^\/v1\/status\/([^/]+)$/.exec(path)?.[1];
    if (method === "GET" && id !== undefined) poll(response, id);
    else if (method !== "POST") text(response, 405, "405 method not allowed");
    else post(response, { path, headers, body });
  };

  const post = (
    response: ServerResponse,
    request: { path: string; headers: IncomingHttpHeaders; body: string },
  ) => {
    const [, model] = /^\/v1\/genai\/[^/?]+\/([^/?]+)$/.exec(request.path) ?? [];
    const isChat = request.path === "/v1/chat/completions";
    if (model === undefined && !isChat) {
      text(response, 404, "404 page not found");
      return;
    }
    const wrong = model === undefined ? undefined : rejects(model, request.headers, request.body);
    if (wrong === undefined) act(response, script.shift() ?? { kind: "inline" });
    else json(response, 422, { detail: [{ type: "value_error", loc: ["body"], msg: wrong }] });
  };

  const poll = (response: ServerResponse, id: string) => {
    const known = open.get(id);
    if (known === undefined) {
      problem(response, {
        status: 404,
        title: "Not Found",
        detail: `request ${id} was fulfilled or never was`,
      });
    } else if (known.polls > 0) {
      known.polls -= 1;
      setTimeout(() => accepted(response, id), known.heldMs).unref();
    } else {
      open.delete(id);
      act(response, known.end);
    }
  };

  const act = (response: ServerResponse, behaviour: Behaviour): void => {
    switch (behaviour.kind) {
      case "inline": {
        const { afterMs = 0, bytes = 0 } = behaviour;
        const body = bytes === 0 ? ANSWER : large(bytes);
        setTimeout(() => json(response, 200, body), afterMs);
        return;
      }
      case "accepted": {
        const { polls, heldMs = 0, end = { kind: "inline" } } = behaviour;
        const id = "id" in behaviour ? behaviour.id : randomUUID();
        if (id !== undefined) open.set(id, { polls, heldMs, end });
        accepted(response, id);
        return;
      }
      case "held":
        return;
      case "errored":
        response.writeHead(504, {
          "Content-Length": 0,
          "nvcf-status": "errored",
          "nvcf-reqid": randomUUID(),
        });
        response.end();
        return;
      case "storage":
        response.writeHead(302, { Location: behaviour.location, "Content-Length": 0 });
        response.end();
        return;
      case "problem":
        response.setHeader("nvcf-status", "fulfilled");
        problem(response, behaviour);
        return;
      case "text":
        text(response, behaviour.status, behaviour.text, behaviour.type);
        return;
      case "abrupt":
        response.socket?.resetAndDestroy();
        return;
      case "trickle":
        trickle(response, behaviour.everyMs);
    }
  };

  const server = createServer((request, response) => void answer(request, response).catch(() => undefined));
  await listen(server);
  return {
    origin: `http://127.0.0.1:${portOf(server)}`,
    got,
    behave: (...next) => {
      script.splice(0, script.length, ...next);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function accepted(response: ServerResponse, id: string | undefined): void {
  const reqid = id === undefined ? {} : { "nvcf-reqid": id };
  response.writeHead(202, { "Content-Length": 0, "nvcf-status": "in-progress", ...reqid });
  response.end();
}

interface ProblemSketch {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly retryAfter?: string;
}

function problem(response: ServerResponse, { status, title, detail, retryAfter }: ProblemSketch): void {
  const retry = retryAfter === undefined ? {} : { "Retry-After": retryAfter };
  response.writeHead(status, { "Content-Type": "application/problem+json", ...retry });
  response.end(JSON.stringify({ type: "about:blank", title, status, detail }));
}

function text(response: ServerResponse, status: number, words: string, type = "text/plain"): void {
  response.writeHead(status, { "Content-Type": type });
  response.end(`${words}\n`);
}

function json(response: ServerResponse, status: number, body: object | string): void {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(text),
    "access-control-expose-headers": "nvcf-reqid",
    "nvcf-status": "fulfilled",
  });
  response.end(text);
}

function large(bytes: number): string {
  const base64 = Buffer.alloc(bytes, 7).toString("base64");
  return JSON.stringify({ artifacts: [{ base64, finishReason: "SUCCESS", seed: 7 }] });
}

function trickle(response: ServerResponse, everyMs: number | undefined): void {
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": ANSWER.length });
  let sent = 10;
  response.write(ANSWER.slice(0, sent));
  if (everyMs === undefined) return;
  const timer = setInterval(() => {
    response.write(ANSWER.slice(sent, sent + 1));
    sent += 1;
    if (sent === ANSWER.length) response.end();
  }, everyMs);
  response.once("close", () => clearInterval(timer));
}
