// What crosses and what does not, in both directions.

import test from "ava";
import { giveBackMemory } from "../../src/daemon/give-back.ts";
import { nominatesControl, replyHead, requestHeaders } from "../../src/proxy/headers.ts";
import { ReplyTail, readUsage } from "../../src/proxy/token-usage.ts";

const PLAIN = { auth: undefined, requestId: "r-1", contentLength: undefined, readsReply: false };

test("a request keeps the order and letters of its headers, and loses what is not the upstream's", (t) => {
  const raw = [
    ["Host", "localhost:7070"],
    ["User-Agent", "python-requests/2.34.2"],
    ["Accept-Encoding", "gzip, deflate"],
    ["ACCEPT", "*/*"],
    ["Connection", "keep-alive, X-Mine"],
    ["X-Mine", "hop"],
    ["Keep-Alive", "timeout=5"],
    ["TE", "trailers"],
    ["Trailer", "x"],
    ["Upgrade", "websocket"],
    ["Transfer-Encoding", "chunked"],
    ["Expect", "100-continue"],
    ["Content-Length", "3"],
    ["Authorization", "Bearer client"],
    ["Cookie", "a=b"],
    ["X-API-Key", "client"],
    ["X-Goog-Api-Key", "client"],
    ["X-Auth-Token", "client"],
    ["X-Amz-Security-Token", "client"],
    ["Ocp-Apim-Subscription-Key", "client"],
    ["Proxy-Authorization", "Basic x"],
    ["Proxy-Connection", "keep-alive"],
    ["X-BudgetGuard-User", "alice"],
    ["content-TYPE", "application/json"],
    ["X-Two", "1"],
    ["X-Two", "2"],
  ].flat();
  t.deepEqual(requestHeaders(raw, PLAIN), [
    "User-Agent",
    "python-requests/2.34.2",
    "Accept-Encoding",
    "gzip, deflate",
    "ACCEPT",
    "*/*",
    "content-TYPE",
    "application/json",
    "X-Two",
    "1",
    "X-Two",
    "2",
    "X-Request-Id",
    "r-1",
  ]);
});

test("an upstream's own credentials are added, in place of a header of that name", (t) => {
  const secret = { kind: "env", name: "X" } as const;
  const bearer = { ...PLAIN, auth: { by: { kind: "bearer", secret } as const, secret: "s3" } };
  t.deepEqual(requestHeaders(["X-Request-Id", "mine"], bearer), [
    "X-Request-Id",
    "mine",
    "Authorization",
    "Bearer s3",
  ]);
  const header = {
    ...PLAIN,
    auth: { by: { kind: "header", name: "Api-Token", secret } as const, secret: "s3" },
  };
  t.deepEqual(requestHeaders(["api-token", "x"], header), ["X-Request-Id", "r-1", "Api-Token", "s3"]);
});

test("a streamed body brings its length; a reply that must be read is not compressed", (t) => {
  const rules = { ...PLAIN, contentLength: 5, readsReply: true };
  t.deepEqual(requestHeaders(["Accept-Encoding", "gzip"], rules), [
    "X-Request-Id",
    "r-1",
    "Content-Length",
    "5",
  ]);
});

test("a reply loses cookies, CORS, hop-by-hop and what only the gateway may say", (t) => {
  const raw = [
    ["Server", "uvicorn"],
    ["content-LENGTH", "7"],
    ["Set-Cookie", "a=b"],
    ["Access-Control-Allow-Origin", "*"],
    ["Connection", "close, X-Hop"],
    ["X-Hop", "1"],
    ["Keep-Alive", "timeout=5"],
    ["Proxy-Authenticate", "Basic"],
    ["Alt-Svc", 'h3=":443"'],
    ["X-BudgetGuard-Upstream", "forged"],
    ["nvcf-reqid", "1"],
  ].flat();
  t.deepEqual(replyHead(raw, 200, [["X-BudgetGuard-Upstream", "real"]]), {
    headers: [
      "Server",
      "uvicorn",
      "content-LENGTH",
      "7",
      "nvcf-reqid",
      "1",
      "X-BudgetGuard-Upstream",
      "real",
    ],
    length: 7,
  });
  t.is(replyHead(["Content-Length", "7"], 204, []).length, undefined);
});

test("Connection may name its own headers but not those that the gateway needs", (t) => {
  t.false(nominatesControl(["Connection", "keep-alive, Upgrade, HTTP2-Settings"]));
  for (const name of ["Authorization", "content-length", "x-api-key", "X-BudgetGuard-Model", "Host"]) {
    t.true(nominatesControl(["Connection", `keep-alive, ${name}`]), name);
  }
});

test("usage is read from the end of a reply, streamed or not, and never from what a model says", (t) => {
  const counts =
    '{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46,"prompt_tokens_details":{"cached":0}}';
  t.deepEqual(readUsage(`{"choices":[],"usage":${counts}}`), { input: 12, output: 34 });
  t.deepEqual(
    readUsage(`data: {"usage":null}\n\ndata: {"choices":[],"usage": ${counts}}\n\ndata: [DONE]\n\n`),
    {
      input: 12,
      output: 34,
    },
  );
  t.deepEqual(readUsage('{"usage":{"prompt_tokens":5,"total_tokens":5}}'), { input: 5, output: 0 });
  t.deepEqual(readUsage('{"usage":{"input_tokens":5,"output_tokens":6}}'), { input: 5, output: 6 });
  t.is(readUsage('{"content":"\\"usage\\":{\\"prompt_tokens\\":1,\\"completion_tokens\\":1}"}'), undefined);
  t.is(readUsage('{"usage":{"prompt_tokens":-1,"completion_tokens":1}}'), undefined);
  t.is(readUsage('{"usage":{"prompt_tokens":1.5,"completion_tokens":1}}'), undefined);
  t.is(readUsage('{"usage":{"prompt_tokens":9007199254740991,"completion_tokens":1}}'), undefined);
  t.is(readUsage('{"usage":{"prompt_tokens":1,"completion_tokens":100000001}}'), undefined);
  t.is(readUsage(""), undefined);
});

test("of a reply no more than its tail is kept, however it is split", (t) => {
  const end = '"usage":{"prompt_tokens":1,"completion_tokens":2}}';
  const tail = new ReplyTail();
  tail.add(Buffer.alloc(1_000_000, "x"));
  for (const char of end) tail.add(Buffer.from(char));
  t.deepEqual(tail.usage(), { input: 1, output: 2 });
  for (let at = 0; at < 200; at++) tail.add(Buffer.alloc(100, "y"));
  t.is(tail.usage(), undefined);
});

test("a tail of small pieces keeps none of the large reads alive that they came in", (t) => {
  const tail = new ReplyTail();
  giveBackMemory();
  const before = process.memoryUsage().arrayBuffers;
  for (let at = 0; at < 1000; at++) tail.add(Buffer.alloc(65_536, "x").subarray(0, 1));
  giveBackMemory();
  const kept = process.memoryUsage().arrayBuffers - before;
  t.true(kept < 5_000_000, `${kept} bytes`);
  t.is(tail.usage(), undefined);
});
