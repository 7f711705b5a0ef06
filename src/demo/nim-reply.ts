// What a route answers, as a value, and the plain way to put it on the wire. How to send it wrongly is
// nim-misbehave.ts's affair.

import { once } from "node:events";
import { type ServerResponse, STATUS_CODES } from "node:http";

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Whole, or in pieces as the work goes on: sent chunked unless a length is among the headers. */
  readonly body: Buffer | AsyncIterable<Buffer>;
}

export function jsonReply(status: number, value: unknown, headers: Record<string, string> = {}): Reply {
  return textReply(status, "application/json", JSON.stringify(value), headers);
}

export function textReply(
  status: number,
  type: string,
  text: string,
  headers: Record<string, string> = {},
): Reply {
  return { status, headers: { "content-type": type, ...headers }, body: Buffer.from(text) };
}

/** As FastAPI words what no route of its own answers: 404 "Not Found", 405 "Method Not Allowed". */
export function detailReply(status: number, headers: Record<string, string> = {}): Reply {
  return jsonReply(status, { detail: STATUS_CODES[status] ?? "Error" }, headers);
}

/** Server-sent events: each value as one `data:` line, then the end mark that OpenAI's clients wait for. */
export function eventReply(values: AsyncIterable<unknown>): Reply {
  return {
    status: 200,
    headers: { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" },
    body: eventsOf(values),
  };
}

async function* eventsOf(values: AsyncIterable<unknown>): AsyncIterable<Buffer> {
  for await (const value of values) yield Buffer.from(`data: ${JSON.stringify(value)}\n\n`);
  yield Buffer.from("data: [DONE]\n\n");
}

export async function sendReply(reply: Reply, res: ServerResponse, signal: AbortSignal): Promise<void> {
  if (Buffer.isBuffer(reply.body)) {
    res.writeHead(reply.status, { ...reply.headers, "content-length": reply.body.length });
    res.end(reply.body);
    return;
  }
  res.writeHead(reply.status, reply.headers);
  for await (const piece of reply.body) await write(res, piece, signal);
  res.end();
}

/** Waits for a slow reader; rejects when it has gone. */
export async function write(res: ServerResponse, piece: Buffer, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (!res.write(piece)) await once(res, "drain", { signal });
}

export async function wholeBody(reply: Reply): Promise<Buffer> {
  if (Buffer.isBuffer(reply.body)) return reply.body;
  const pieces: Buffer[] = [];
  for await (const piece of reply.body) pieces.push(piece);
  return Buffer.concat(pieces);
}
