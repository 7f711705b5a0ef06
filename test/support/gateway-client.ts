// A client of the running gateway that says what it really saw: the bytes, the reason phrase, and whether the
// reply was whole. Each request has a connection of its own, as ComfyUI's node makes them.

import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { COMFYUI_BODY } from "../../src/demo/artist.ts";
import { CANARY, CANARY_HEADERS } from "./canary.ts";

export interface Reply {
  /** 0 where the connection broke before a status came. */
  readonly status: number;
  readonly reason: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Whether the client could take it for a complete reply. */
  readonly isWhole: boolean;
}

export interface Asked {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Buffer;
  /** Aborted: the client goes away. */
  readonly signal?: AbortSignal;
}

/** What the ComfyUI node sends besides its body; Node adds Host and the length. */
const NODE_HEADERS = {
  "User-Agent": "python-requests/2.34.2",
  "Accept-Encoding": "gzip, deflate",
  Accept: "*/*",
  Connection: "keep-alive",
  "Content-Type": "application/json",
  ...CANARY_HEADERS,
};

/** Never rejects: a broken connection is an answer here. */
export function ask(
  url: string,
  { method = "POST", headers, body = "", signal }: Asked = {},
): Promise<Reply> {
  return new Promise((resolve) => {
    const isChunked = headers !== undefined && "Transfer-Encoding" in headers;
    const length = method === "POST" && !isChunked ? { "Content-Length": Buffer.byteLength(body) } : {};
    const all = { ...NODE_HEADERS, ...length, ...headers };
    const asked = request(url, { method, headers: all, agent: false, ...(signal && { signal }) });
    asked.on("error", () => resolve(NOTHING));
    asked.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", () => undefined);
      response.on("close", () =>
        resolve({
          status: response.statusCode ?? 0,
          reason: response.statusMessage ?? "",
          headers: response.headers,
          body: Buffer.concat(chunks),
          isWhole: response.complete,
        }),
      );
    });
    asked.end(body);
  });
}

const NOTHING: Reply = { status: 0, reason: "", headers: {}, body: Buffer.alloc(0), isWhole: false };

/** An image of the smallest size, so that a test's time goes into the gateway and not into the painting. */
export function imageBody(steps = 1, side = 64): string {
  return JSON.stringify({ ...JSON.parse(COMFYUI_BODY), prompt: CANARY, width: side, height: side, steps });
}

export function askImage(gateway: string, asked: Asked & { steps?: number } = {}): Promise<Reply> {
  const { steps, ...rest } = asked;
  return ask(`${gateway}/v1/infer`, { body: imageBody(steps), ...rest });
}

/** What the body says, where it is JSON; throws where it is not. */
export function jsonOf(reply: Reply): Record<string, unknown> {
  return JSON.parse(reply.body.toString("utf8"));
}

/** Costs nothing where it is not needed: a slow machine that does more besides needs 20 s for some things. */
const PATIENCE_MS = 60_000;

/** Asks again until there is an answer; fails with `what` when there is none for a long time. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  for (const began = performance.now(); performance.now() - began < patienceMs; await sleep(10)) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
  }
  throw new Error(`not within ${patienceMs / 1000} s: ${what}`);
}
