// The judge of the torture tests is judged: what it calls whole, incomplete and broken.

import test from "ava";
import { judgeReplies, judgeRequests } from "./strict-http.ts";

const post = (headers: string, body = "") => `POST /v1/infer HTTP/1.1\r\nHost: a\r\n${headers}\r\n${body}`;

for (const [what, text, whole, rest] of [
  ["a request with a length", post("Content-Length: 2\r\n", "ok"), ["ok"], "nothing"],
  ["two, pipelined", post("") + post("Content-Length: 1\r\n", "x"), ["", "x"], "nothing"],
  ["chunks with an extension and a trailer", chunked("2;a=b\r\nok\r\n0\r\nX: y\r\n\r\n"), ["ok"], "nothing"],
  ["half a body", post("Content-Length: 3\r\n", "ok"), [], "incomplete"],
  ["half a head", "GET / HTTP/1.1\r\nHo", [], "incomplete"],
  ["a length and chunks", post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "ok"), [], "broken"],
  ["two lengths", post("Content-Length: 2\r\ncontent-length: 2\r\n", "ok"), [], "broken"],
  ["a signed length", post("Content-Length: +2\r\n", "ok"), [], "broken"],
  ["a bad chunk size", chunked("0x2\r\nok\r\n0\r\n\r\n"), [], "broken"],
  ["a chunk that is longer than it says", chunked("1\r\nok\r\n0\r\n\r\n"), [], "broken"],
  ["a folded line", post("X: a\r\n b\r\n"), [], "broken"],
  ["a bare line feed", "GET / HTTP/1.1\nHost: a\r\n\r\n", [], "broken"],
  ["a space before the colon", post("X : a\r\n"), [], "broken"],
] as const) {
  test(`of requests: ${what} is ${whole.length > 0 ? "whole" : rest}`, (t) => {
    const judged = judgeRequests({ bytes: Buffer.from(text) });
    t.deepEqual([judged.whole.map(({ body }) => body.toString()), judged.rest], [[...whole], rest]);
  });
}

for (const [what, text, hasEnded, whole] of [
  ["an interim reply and a real one", "HTTP/1.1 103 X\r\n\r\nHTTP/1.1 200 OK\r\n\r\nok", true, ["ok"]],
  ["no end but the connection's, which came", "HTTP/1.1 200 OK\r\n\r\nok", true, ["ok"]],
  ["no end but the connection's, which did not come", "HTTP/1.1 200 OK\r\n\r\nok", false, []],
  ["a 204 with a length", "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", false, [""]],
  ["another protocol", "HTTP/1.1 101 X\r\n\r\n", false, []],
  ["no HTTP", "SSH-2.0\r\n\r\n", true, []],
] as const) {
  test(`of replies: ${what} is ${whole.length > 0 ? "whole" : "not"}`, (t) => {
    const judged = judgeReplies({ bytes: Buffer.from(text), hasEnded }, ["GET"]);
    t.deepEqual(
      judged.whole.map(({ body }) => body.toString()),
      [...whole],
    );
  });
}

function chunked(body: string): string {
  return post("Transfer-Encoding: chunked\r\n", body);
}
