// One hostile upstream: a reply, spoilt and cut, to one ordinary request. It judges by the strict parser what
// was really replied, and throws where the client could take anything else for a whole reply.

import fc from "fast-check";
import { rawClient, within } from "../support/sockets.ts";
import { judgeReplies } from "../support/strict-http.ts";
import { chunked, cut, cuts, grown, type Parts, type Spoiling, spoil, spoilings } from "./bytes.ts";
import type { Script, TortureRig } from "./torture-rig.ts";

export interface UpstreamCase {
  readonly method: "GET" | "POST" | "HEAD";
  readonly reply: Reply;
  readonly spoilings: readonly Spoiling[];
  readonly cuts: "whole" | "bytes" | readonly number[];
  readonly ending: Script["ending"];
}

interface Reply {
  readonly status: string;
  readonly interims: number;
  readonly framing: "length" | "chunks" | "close" | "long" | "short";
  readonly body: string;
  readonly chunks: readonly number[];
  readonly headers: readonly string[];
  readonly behind: string;
}

const reply: fc.Arbitrary<Reply> = fc.record({
  status: fc.constantFrom(
    "200 OK",
    "200 OK",
    "200 OK",
    "204 No Content",
    "304 Not Modified",
    "404 Not Found",
    "503 ",
  ),
  interims: fc.constantFrom(0, 0, 0, 1, 30),
  framing: fc.constantFrom("length", "length", "chunks", "chunks", "close", "long", "short"),
  body: fc.oneof(
    fc.constant(""),
    fc.constant('{"artifacts":[]}'),
    fc.nat({ max: 3000 }).map((length) => JSON.stringify("z".repeat(length))),
    fc.constant("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    fc.constant("BIG"),
  ),
  chunks: fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 4 }),
  headers: fc.subarray([
    "Content-Type: application/json",
    "Connection: close",
    "Connection: X-Own",
    "X-Own: a",
    "Keep-Alive: timeout=1",
    "constructor: b",
    "Set-Cookie: a=b",
    "Trailer: X-Sum",
  ]),
  behind: fc.constantFrom("", "", "", "X", "\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
});

export const upstreamCase: fc.Arbitrary<UpstreamCase> = fc.record({
  method: fc.constantFrom("POST", "POST", "GET", "HEAD"),
  reply,
  spoilings,
  cuts,
  ending: fc.constantFrom("stay", "fin", "reset"),
});

/** The upstream's timeouts, and some time for a machine that is busy. */
const LONGEST_MS = 8000;
let lastId = 0;

export async function answerBadly(rig: TortureRig, given: UpstreamCase): Promise<void> {
  const { method, ending } = given;
  const text = spoil(partsOf(given.reply), given.spoilings);
  const bytes = Buffer.from(text, "latin1");
  const id = `c${lastId++}`;
  const played = rig.play(id, { pieces: cut(text, given.cuts), ending });
  rig.reached();
  const path = method === "POST" ? "/v1/infer" : "/v1/other";
  const body = method === "POST" ? '{"steps":1}' : "";
  const client = await rawClient(
    rig.port,
    `${method} ${path}?script=${id} HTTP/1.1\r\nHost: localhost:${rig.port}\r\nConnection: close\r\n` +
      `${method === "POST" ? `Content-Length: ${body.length}\r\n` : ""}\r\n${body}`,
  );
  const how = await within(LONGEST_MS, client.closed, "the end of the client's connection");
  client.socket.destroy();
  // A connection that it breaks afterwards would meet the next request, which may not be sent twice.
  await within(LONGEST_MS, played, "the upstream to have done what it does");
  const times = rig.reached().length;
  if (times !== 1) throw new Error(`the upstream was asked ${times} times`);
  const seen = judgeReplies({ bytes: client.bytes(), hasEnded: how === "end" }, [method]);
  const shown = () => `${how}: ${JSON.stringify(client.received().slice(0, 2000))}`;
  if (seen.rest === "broken") throw new Error(`the client was sent what is no HTTP: ${shown()}`);
  const sent = judgeReplies({ bytes, hasEnded: ending === "fin", forgivesLineFeeds: true }, [method])
    .whole[0];
  const got = seen.whole[0];
  const status = Number(got?.start.split(" ")[1] ?? 0);
  if (status === 500) throw new Error(`the gateway made a mistake: ${shown()}`);
  const isOurs = got?.start.includes(" BudgetGuard: ") ?? false;
  if (got !== undefined && !isOurs) {
    if (sent === undefined) throw new Error(`what was never sent whole looks whole: ${shown()}`);
    if (!sent.body.equals(got.body) || !sent.start.includes(` ${status}`))
      throw new Error(`the client got another reply: ${shown()}`);
  }
  const isRight = given.spoilings.length === 0 && sent !== undefined && /^HTTP\S+ 200/.test(sent.start);
  if (isRight && ending !== "reset" && status !== 200) throw new Error(`a right reply was lost: ${shown()}`);
}

function partsOf({ status, interims, framing, body: sketched, chunks, headers, behind }: Reply): Parts {
  const body = grown(sketched);
  const early = Array.from({ length: interims }, () => "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
  const own = headers.flatMap((header) => [header, "\r\n"]);
  const head = [...early, "HTTP/1.1", " ", status, "\r\n", ...own];
  const length = { length: 0, long: 3, short: -3, chunks: 0, close: 0 }[framing] + body.length;
  if (framing === "close") return [...head, "\r\n", body, behind];
  if (framing === "chunks") {
    return [...head, "Transfer-Encoding", ": ", "chunked", "\r\n", "\r\n", ...chunked(body, chunks), behind];
  }
  return [...head, "Content-Length", ": ", `${Math.max(0, length)}`, "\r\n", "\r\n", body, behind];
}
