// What goes over the wire in the bench: the requests of each scene, the upstream's chat reply and its events.
// Load and upstream both read it, so that they agree. It opens no socket.

/** What the upstream has served so far. */
export interface Counted {
  readonly requests: number;
  readonly bodyBytes: number;
}

export const MODEL = "bench";
export const EVENTS = 100;
export const EVENT_GAP_MS = 10;

/** In every chat reply: Portkey writes JSON anew, so that its bytes cannot be counted. */
export const MARK = "the-bench-upstream-said-this";

export const CHAT_REPLY = JSON.stringify({
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1_700_000_000,
  model: MODEL,
  choices: [{ index: 0, message: { role: "assistant", content: MARK }, finish_reason: "stop" }],
  usage: { prompt_tokens: 120, completion_tokens: 8, total_tokens: 128 },
});

/** What a right reply is known by. */
export type Expected =
  | { readonly kind: "bytes"; readonly bytes: number }
  | { readonly kind: "mark" }
  | { readonly kind: "events" };

export interface Ask {
  readonly path: string;
  readonly body: string;
  readonly expected: Expected;
}

/** `bodyBytes` is at least what the JSON around its filling takes. */
export function infer(bodyBytes: number, replyBytes: number): Ask {
  const [before, after] = [`{"model":"${MODEL}","steps":20,"prompt":"`, '"}'];
  const filling = bodyBytes - before.length - after.length;
  if (filling < 0) throw new Error(`a body of ${bodyBytes} bytes is too short`);
  const body = before + "a".repeat(filling) + after;
  const path = `/v1/infer?reply=${replyBytes}&body=${bodyBytes}`;
  return { path, body, expected: { kind: "bytes", bytes: replyBytes } };
}

export function chat(bodyBytes: number, stream: boolean): Ask {
  const around = { model: MODEL, stream, max_tokens: 64, messages: [{ role: "user", content: "" }] };
  const filling = "a".repeat(bodyBytes - JSON.stringify(around).length);
  const messages = [{ role: "user", content: filling }];
  const expected: Expected = { kind: stream ? "events" : "mark" };
  return { path: "/v1/chat/completions", body: JSON.stringify({ ...around, messages }), expected };
}

export function requestOf(ask: Ask, port: number, headers: Readonly<Record<string, string>>): Buffer {
  const own = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const body = Buffer.from(ask.body);
  const head =
    `POST ${ask.path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n` +
    `${own.join("")}Content-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** It carries the instant at which it left, on the machine's monotonic clock, which all its processes share. */
export function eventText(index: number): string {
  const content = `${index}@${process.hrtime.bigint()}`;
  const choices = [{ index: 0, delta: { content }, finish_reason: null }];
  const event = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1_700_000_000, model: MODEL };
  return `data: ${JSON.stringify({ ...event, choices })}\n\n`;
}

/** The instants, in nanoseconds, of the events in a piece of text; what is after the last whole one is rest. */
export function readEvents(text: string): { readonly sent: readonly bigint[]; readonly rest: string } {
  const end = text.lastIndexOf("\n\n");
  if (end < 0) return { sent: [], rest: text };
  const found = text.slice(0, end).matchAll(/"content":"\d+@(\d+)"/g);
  return { sent: [...found].map(([, at = "0"]) => BigInt(at)), rest: text.slice(end + 2) };
}
