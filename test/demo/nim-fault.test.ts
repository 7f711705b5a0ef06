import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import { type Nim, startNim } from "../../src/demo/nim.ts";
import type { Fault } from "../../src/demo/nim-fault.ts";
import { type RawReply, rawExchange, rawPost } from "./raw-http.ts";

const tiny = { prompt: "a lighthouse", width: 64, height: 64, steps: 1 };
const chat = { model: "flux.1-dev", messages: [{ role: "user", content: "hello" }], stream: true };

async function withNim(t: ExecutionContext, fault?: Fault): Promise<Nim> {
  const nim = await startNim({ scale: 0 });
  nim.fault = fault;
  t.teardown(() => nim.close());
  return nim;
}

interface Faulty {
  readonly fault: Fault;
  readonly path?: string;
  readonly body?: object;
  readonly quietMs?: number;
}

async function send(t: ExecutionContext, given: Faulty): Promise<RawReply & { readonly nim: Nim }> {
  const nim = await withNim(t, given.fault);
  const bytes = rawPost(given.path ?? "/v1/infer", given.body ?? tiny);
  return { nim, ...(await rawExchange(nim.port, bytes, given.quietMs)) };
}

function split({ text }: RawReply): {
  readonly head: string;
  readonly body: string;
  readonly length: number;
} {
  const at = text.indexOf("\r\n\r\n");
  const head = text.slice(0, at);
  return { head, body: text.slice(at + 4), length: Number(/content-length: (\d+)/i.exec(head)?.[1]) };
}

/** What an honest simulator answers to `tiny`. */
async function honest(t: ExecutionContext): Promise<string> {
  const nim = await withNim(t);
  return split(await rawExchange(nim.port, rawPost("/v1/infer", tiny))).body;
}

async function firstLine(t: ExecutionContext, given: Faulty, expected: string): Promise<void> {
  const { text } = await send(t, given);
  t.is(text.slice(0, text.indexOf("\r\n")), expected);
}

test(
  "refuse answers the status",
  firstLine,
  { fault: { kind: "refuse", status: 429 } },
  "HTTP/1.1 429 Too Many Requests",
);
test("html is a 502 by default", firstLine, { fault: { kind: "html" } }, "HTTP/1.1 502 Bad Gateway");
test("redirect is a 302 by default", firstLine, { fault: { kind: "redirect" } }, "HTTP/1.1 302 Found");

test("refuse sends its own body and headers", async (t) => {
  const fault: Fault = { kind: "refuse", body: "[]", headers: { "retry-after": "7" } };
  const { head, body } = split(await send(t, { fault }));
  t.regex(head, /retry-after: 7/);
  t.is(body, "[]");
});

test("html is a page, redirect names a place", async (t) => {
  t.regex(split(await send(t, { fault: { kind: "html" } })).head, /content-type: text\/html/);
  const redirect = await send(t, { fault: { kind: "redirect", location: "/other" } });
  t.regex(split(redirect).head, /location: \/other/);
});

test("truncate announces all of the body and sends half", async (t) => {
  const expected = await honest(t);
  const reply = await send(t, { fault: { kind: "truncate" } });
  const { body, length } = split(reply);
  t.is(length, expected.length);
  t.is(body, expected.slice(0, Math.floor(expected.length / 2)));
  t.is(reply.ended, "fin");
  t.is(reply.nim.requests[0]?.ending, "faulted");
  t.is(reply.nim.aborted(), 0);
});

test("truncate after N bytes sends exactly N", async (t) => {
  t.is(split(await send(t, { fault: { kind: "truncate", after: 10 } })).body.length, 10);
  t.is(split(await send(t, { fault: { kind: "truncate", after: 0 } })).body.length, 0);
});

test("a truncated stream sends one event and never the last chunk", async (t) => {
  const fault: Fault = { kind: "truncate" };
  const { body } = split(await send(t, { fault, path: "/v1/chat/completions", body: chat }));
  t.is(body.split("data: ").length, 2);
  t.false(body.endsWith("0\r\n\r\n"));
});

test("bad_chunk breaks the framing in the middle", async (t) => {
  const { text } = await send(t, { fault: { kind: "bad_chunk" } });
  t.regex(text, /transfer-encoding: chunked/i);
  t.true(text.endsWith("this is no size\r\nnor this a chunk\r\n"));
  const nim = await withNim(t, { kind: "bad_chunk" });
  await t.throwsAsync(
    (await fetch(`${nim.url}/v1/infer`, { method: "POST", body: JSON.stringify(tiny) })).text(),
  );
});

test("garbage is not HTTP", async (t) => {
  const { text, ended } = await send(t, { fault: { kind: "garbage" } });
  t.false(text.startsWith("HTTP"));
  t.true(text.length > 0);
  t.is(ended, "fin");
});

test("hang answers nothing, and a client that leaves is an abort", async (t) => {
  const { text, ended, nim } = await send(t, { fault: { kind: "hang" }, quietMs: 100 });
  t.is(text, "");
  t.is(ended, "quiet");
  while (nim.inFlight() > 0) await sleep(5);
  t.is(nim.aborted(), 1);
});

test("reset before the reply sends nothing, in the body sends its beginning", async (t) => {
  for (const at of ["request", "reply"] as const) {
    const { text, ended } = await send(t, { fault: { kind: "reset", at } });
    t.is(text, "");
    t.is(ended, "reset");
  }
  const late = await send(t, { fault: { kind: "reset", at: "body" } });
  t.is(late.ended, "reset");
  const { body, length } = split(late);
  t.true(body.length > 0 && body.length < length);
});

test("slow_head waits before the head, slow_end before the last byte", async (t) => {
  const expected = await honest(t);
  for (const kind of ["slow_head", "slow_end"] as const) {
    const cut = split(await send(t, { fault: { kind, ms: 60_000 }, quietMs: 3000 })).body;
    t.is(cut, kind === "slow_head" ? "" : expected.slice(0, -1));
    t.is(split(await send(t, { fault: { kind, ms: 10 } })).body, expected);
  }
});

test("close_delimited has neither length nor chunks, and all of the body", async (t) => {
  const { head, body } = split(await send(t, { fault: { kind: "close_delimited" } }));
  t.notRegex(head, /content-length|transfer-encoding/i);
  t.regex(head, /connection: close/i);
  t.is(body, await honest(t));
});

test("chunked, trickled and zipped replies say what the honest one says", async (t) => {
  const expected = await honest(t);
  const chunked = split(await send(t, { fault: { kind: "chunked", bytes: 100 } }));
  t.regex(chunked.head, /transfer-encoding: chunked/i);
  t.regex(chunked.body, /^64\r\n/);
  t.true(chunked.body.endsWith("\r\n0\r\n\r\n"));
  const trickled = split(await send(t, { fault: { kind: "trickle", bytes: 500, ms: 1 } }));
  t.is(trickled.length, expected.length);
  t.is(trickled.body, expected);
  const zipped = split(await send(t, { fault: { kind: "gzip" } }));
  t.regex(zipped.head, /content-encoding: gzip/);
  t.is(gunzipSync(Buffer.from(zipped.body, "latin1")).toString(), expected);
});

test("trickle lets the body out little by little", async (t) => {
  const fault: Fault = { kind: "trickle", bytes: 10, ms: 60_000 };
  t.is(split(await send(t, { fault, quietMs: 3000 })).body.length, 10);
});

for (const status of [100, 102, 103] as const) {
  test(`an interim ${status} comes before the reply`, async (t) => {
    const { text } = await send(t, { fault: { kind: "informational", status } });
    t.regex(text, new RegExp(`^HTTP/1\\.1 ${status} [^]*?\r\n\r\nHTTP/1\\.1 200 OK\r\n`));
  });
}

test("huge sends exactly so many bytes, with a length or chunked", async (t) => {
  const bytes = 3_000_001;
  for (const chunked of [false, true]) {
    const nim = await withNim(t, { kind: "huge", bytes, chunked });
    const reply = await fetch(`${nim.url}/v1/models`);
    t.is(reply.headers.get("content-length"), chunked ? null : String(bytes));
    t.is((await reply.arrayBuffer()).byteLength, bytes);
  }
});

test("a header spoils one request only", async (t) => {
  const nim = await withNim(t);
  const spoilt = await fetch(`${nim.url}/v1/models`, { headers: { "x-nim-fault": "refuse" } });
  t.is(spoilt.status, 503);
  const json = '{"kind":"refuse","status":418}';
  t.is((await fetch(`${nim.url}/v1/models`, { headers: { "x-nim-fault": json } })).status, 418);
  t.is((await fetch(`${nim.url}/v1/models`)).status, 200);
});

test("a fault that is none is told, in the header and in the property", async (t) => {
  const nim = await withNim(t);
  const reply = await fetch(`${nim.url}/v1/models`, { headers: { "x-nim-fault": "explode" } });
  t.is(reply.status, 400);
  t.regex(await reply.text(), /not a fault that the simulator knows/);
  t.throws(() => {
    nim.fault = { kind: "refuse", status: 200 };
  });
  t.is(nim.fault, undefined);
});
