// The bench's own HTTP: it reads the same messages however they are cut, and refuses what it cannot count.

import test from "ava";
import fc from "fast-check";
import { EVENTS, eventText, infer, readEvents, requestOf } from "../../bench/traffic.ts";
import { type Message, MessageReader } from "../../bench/wire.ts";

const MESSAGES =
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" +
  "HTTP/1.1 100 Continue\r\n\r\n" +
  "HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n" +
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nT: 1\r\n\r\n" +
  "HTTP/1.1 404 No\r\nX: 1\r\nContent-Length: 2\r\n\r\nno";

test("replies are the same however the network cuts them", (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: MESSAGES.length - 1 })), (cuts) => {
      const { bodies, messages } = readAll(MESSAGES, cuts);
      t.deepEqual(
        messages.map(({ bytes }) => bytes),
        [5, 0, 19, 2],
      );
      t.is(bodies, "helloabc0123456789abcdefno");
    }),
  );
  const everywhere = Array.from({ length: MESSAGES.length - 1 }, (_, index) => index + 1);
  t.is(readAll(MESSAGES, everywhere).messages.length, 4);
});

test("a reply that only the end of its connection would end is refused: it could not be counted", (t) => {
  t.throws(() => readAll("HTTP/1.1 200 OK\r\nX: 1\r\n\r\n", []), { message: /without Content-Length/ });
  t.throws(() => readAll("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", []), {
    message: /without a size/,
  });
});

test("a request says how long it is and what it wants back", (t) => {
  const text = requestOf(infer(140, 200), 8080, { "X-A": "1" }).toString("latin1");
  const [head = "", body = ""] = text.split("\r\n\r\n");
  t.true(head.startsWith("POST /v1/infer?reply=200&body=140 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"));
  t.true(head.includes("\r\nX-A: 1\r\n") && head.endsWith("Content-Length: 140"));
  t.is(body.length, 140);
  t.notThrows(() => JSON.parse(body));
});

test("each event is found once, with the instant at which it left, also where a piece ends inside of it", (t) => {
  const before = process.hrtime.bigint();
  const text = Array.from({ length: EVENTS }, (_, index) => eventText(index)).join("");
  const cut = 1234;
  const first = readEvents(text.slice(0, cut));
  const second = readEvents(first.rest + text.slice(cut) + "data: [DONE]\n\n");
  const all = [...first.sent, ...second.sent];
  t.is(all.length, EVENTS);
  t.is(second.rest, "");
  t.true(all.every((at) => at >= before && at <= process.hrtime.bigint()));
});

function readAll(text: string, cuts: readonly number[]) {
  const messages: Message[] = [];
  let bodies = "";
  const reader = new MessageReader("replies", {
    piece: (piece) => {
      bodies += piece.toString("latin1");
    },
    message: (message) => messages.push(message),
  });
  const places = [0, ...[...cuts].sort((a, b) => a - b), text.length];
  for (const [index, to] of places.slice(1).entries()) {
    reader.push(Buffer.from(text.slice(places[index], to), "latin1"));
  }
  return { messages, bodies };
}
