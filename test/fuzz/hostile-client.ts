// One hostile client: requests, spoilt and cut, down one connection. It judges by the strict parser what was
// really asked for, and throws where the gateway sent on, or answered, anything else.

import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { type RawClient, rawClient, within } from "../support/sockets.ts";
import { judgeReplies, judgeRequests, type Message, valuesOf } from "../support/strict-http.ts";
import { chunked, cut, cuts, grown, type Parts, type Spoiling, spoil, spoilings } from "./bytes.ts";
import { digestOf, type TortureRig } from "./torture-rig.ts";

export interface ClientCase {
  readonly requests: readonly Sketch[];
  readonly spoilings: readonly Spoiling[];
  readonly cuts: "whole" | "bytes" | readonly number[];
}

interface Sketch {
  readonly method: "GET" | "POST" | "HEAD" | "OPTIONS" | "PUT";
  readonly target: string;
  readonly body: string;
  readonly chunks: readonly number[] | undefined;
  readonly headers: readonly string[];
}

const sketch: fc.Arbitrary<Sketch> = fc.record({
  method: fc.constantFrom("POST", "POST", "GET", "HEAD", "OPTIONS", "PUT"),
  target: fc.constantFrom(
    "/v1/infer",
    "/v1/infer?q='%20",
    "/v1/metadata",
    "/v1/models",
    "http://HOST/v1/infer",
  ),
  body: fc.oneof(
    fc.constant(""),
    fc.constant('{"steps":1}'),
    fc.constant(`{"prompt":"GET /v1/infer?smuggled HTTP/1.1\\r\\nHost: HOST\\r\\n\\r\\n"}`),
    fc.nat({ max: 3000 }).map((length) => JSON.stringify("z".repeat(length))),
    fc.constant("BIG"),
  ),
  chunks: fc.option(fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 4 }), {
    nil: undefined,
  }),
  headers: fc.subarray([
    "Accept: */*",
    "Trailer: X-Sum",
    "TE: trailers",
    "Connection: keep-alive, X-Own",
    "X-Own: a",
    "constructor: b",
    "Expect: 100-continue",
  ]),
});

export const clientCase: fc.Arbitrary<ClientCase> = fc.record({
  requests: fc.array(sketch, { minLength: 1, maxLength: 3 }),
  spoilings,
  cuts,
});

export async function attack(rig: TortureRig, given: ClientCase): Promise<void> {
  const host = `localhost:${rig.port}`;
  const parts = given.requests.flatMap((each) => partsOf(each, host));
  const text = spoil(parts, given.spoilings);
  const asked = judgeRequests({ bytes: Buffer.from(text, "latin1") });
  rig.reached();
  const client = await rawClient(rig.port);
  await send(client, cut(text, given.cuts));
  const methods = asked.whole.map(({ start }) => start.split(" ")[0] ?? "");
  // What comes in one piece with a request that asks for another protocol is lost in Node, and not answered.
  const upgrade = asked.whole.findIndex((each) => valuesOf(each, "upgrade").length > 0);
  const due = upgrade === -1 ? methods : methods.slice(0, upgrade + 1);
  const hasEnded = await listenToTheEnd(client, due);
  judgeWhatReached(rig.reached(), asked.whole, text);
  judgeAnswers(client.bytes(), hasEnded, asked.whole, methods);
  // Who sends on without waiting for its 100 may be closed to while it sends, and lose its answers to a reset.
  const hasPatience = given.requests.length === 1 || !/^Expect/im.test(text);
  if (given.spoilings.length === 0 && hasPatience) {
    const { whole } = judgeReplies({ bytes: client.bytes(), hasEnded }, methods);
    const last = whole.at(-1);
    const isOver = last !== undefined && valuesOf(last, "connection").includes("close");
    if (whole.length < asked.whole.length && !isOver) {
      throw new Error(`right requests got ${whole.length} of ${asked.whole.length} answers`);
    }
  }
}

function partsOf({ method, target, body, chunks, headers }: Sketch, host: string): Parts {
  const asked = target.replace("HOST", host);
  const head = [method, " ", asked, " ", "HTTP/1.1", "\r\n", "Host", ": ", host, "\r\n"];
  const own = headers.flatMap((header) => [header, "\r\n"]);
  const hasBody = method === "POST" || method === "PUT";
  if (!hasBody) return [...head, ...own, "\r\n"];
  const json = ["Content-Type", ": ", "application/json", "\r\n"];
  const sent = grown(body).replaceAll("HOST", host);
  if (chunks !== undefined) {
    const coding = ["Transfer-Encoding", ": ", "chunked", "\r\n"];
    return [...head, ...json, ...own, ...coding, "\r\n", ...chunked(sent, chunks)];
  }
  return [...head, ...own, "Content-Length", ": ", `${sent.length}`, "\r\n", ...json, "\r\n", sent];
}

async function send(client: RawClient, pieces: readonly Buffer[]): Promise<void> {
  client.socket.setNoDelay(true);
  for (const piece of pieces) {
    if (client.socket.destroyed) return;
    client.socket.write(piece);
    await new Promise(setImmediate);
  }
}

/** How long an answer may take that is still to come: the upstream answers at once. */
const PATIENCE_MS = 8000;
/** After a client has said its last, the gateway has nothing to wait for. */
const CLOSE_MS = 8000;

/** Waits for every answer that is due, then ends its side. Returns whether the gateway ended its own in order. */
async function listenToTheEnd(client: RawClient, methods: readonly string[]): Promise<boolean> {
  const isOver = () =>
    judgeReplies({ bytes: client.bytes(), hasEnded: false }, methods).whole.length >= methods.length;
  const closed = client.closed.then(() => true);
  const answered = client.until(isOver).catch(() => "closed");
  await within(PATIENCE_MS, Promise.race([answered, closed]), `${methods.length} answers`);
  // What is wrong behind the last request has a moment to do harm.
  await Promise.race([closed, sleep(5)]);
  client.socket.end();
  const how = await within(CLOSE_MS, client.closed, "the connection to be closed after its client's end");
  client.socket.destroy();
  return how === "end";
}

function judgeWhatReached(reached: readonly string[], asked: readonly Message[], text: string): void {
  const may = asked.map(digestOf);
  for (const digest of reached) {
    const at = may.indexOf(digest);
    if (at === -1) throw new Error(`nobody asked, or not twice, for what was sent on of ${shown(text)}`);
    may.splice(at, 1);
  }
}

function judgeAnswers(
  bytes: Buffer,
  hasEnded: boolean,
  asked: readonly Message[],
  methods: readonly string[],
): void {
  // Behind the requests there may be one more answer: to what was none.
  const { whole, rest } = judgeReplies({ bytes, hasEnded }, [...methods, "GET"]);
  if (rest === "broken") throw new Error(`the client was sent what is no HTTP: ${shown(bytes)}`);
  whole.forEach((answer, at) => {
    const status = Number(answer.start.split(" ")[1]);
    if (status === 500) throw new Error(`the gateway made a mistake: ${shown(bytes)}`);
    const request = asked[at];
    if (request === undefined && status < 400)
      throw new Error(`nothing was answered ${status}: ${shown(bytes)}`);
    const said = answer.body.toString();
    if (request === undefined || status !== 200 || methods[at] === "HEAD" || !said.includes('"saw"')) return;
    if (JSON.parse(said).saw !== digestOf(request)) throw new Error(`another's reply: ${shown(bytes)}`);
    if (valuesOf(answer, "content-length").length !== 1) throw new Error(`no length: ${shown(bytes)}`);
  });
}

function shown(bytes: Buffer | string): string {
  return JSON.stringify(bytes.toString("latin1").slice(0, 2000));
}
