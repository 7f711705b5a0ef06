// The upstream of the bench, in a process of its own, over bare sockets. The request says what it wants:
// /v1/infer?reply=BYTES&body=BYTES, or /v1/chat/completions, as a stream where the body asks for one. It counts
// what it served, so that a reply which no upstream made is found out.

import { createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { CHAT_REPLY, type Counted, EVENT_GAP_MS, EVENTS, eventText } from "./traffic.ts";
import { MessageReader } from "./wire.ts";

const MOST_BYTES = 64_000_000;
const counted = { requests: 0, bodyBytes: 0 };
const replies = new Map<string, Buffer>();
const CHAT = framed(200, Buffer.from(CHAT_REPLY));

const server = createServer({ noDelay: true }, (socket) => {
  let wantsStream = false;
  const reader = new MessageReader("requests", {
    piece: (piece) => {
      if (piece.length < 4096) wantsStream ||= piece.includes('"stream":true');
    },
    message: ({ head, bytes }) => {
      counted.requests += 1;
      counted.bodyBytes += bytes;
      const path = head.slice(head.indexOf(" ") + 1, head.indexOf(" HTTP/"));
      const isStream = wantsStream;
      wantsStream = false;
      if (!path.startsWith("/v1/chat/completions")) socket.write(replyTo(path, bytes));
      else if (isStream) void stream(socket);
      else socket.write(CHAT);
    },
  });
  socket.on("data", (chunk: Buffer) => {
    try {
      reader.push(chunk);
    } catch (error) {
      console.error(`the upstream did not understand a request: ${error}`);
      socket.destroy();
    }
  });
  // A peer that is stopped breaks off what it had open.
  socket.on("error", () => socket.destroy());
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  const address = server.address();
  process.send?.({ port: typeof address === "object" ? address?.port : undefined });
});
process.on("message", () => process.send?.(counted satisfies Counted));
process.on("disconnect", () => process.exit(0));

/** A body that did not come whole is told, so that the load fails where a peer cut it. */
function replyTo(path: string, bodyBytes: number): Buffer {
  const [, reply = "", body = ""] = /^\/v1\/infer\?reply=(\d+)&body=(\d+)$/.exec(path) ?? [];
  if (reply === "") return framed(404, Buffer.from(`no such path: ${path}`));
  if (bodyBytes !== Number(body)) return framed(400, Buffer.from(`${bodyBytes} bytes came of ${body}`));
  let made = replies.get(reply);
  if (made === undefined) {
    made = framed(200, jsonOf(Number(reply)));
    replies.set(reply, made);
  }
  return made;
}

/** A JSON string of so many bytes. */
function jsonOf(bytes: number): Buffer {
  if (!(bytes >= 2 && bytes <= MOST_BYTES)) throw new Error(`a reply has 2 to ${MOST_BYTES} bytes`);
  return Buffer.from(`"${"x".repeat(bytes - 2)}"`);
}

function framed(status: number, body: Buffer): Buffer {
  const head = `HTTP/1.1 ${status} Bench\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** nginx reads X-Accel-Buffering and passes such a reply on unbuffered; to the others it is one more header. */
async function stream(socket: Socket): Promise<void> {
  const head = "Content-Type: text/event-stream\r\nX-Accel-Buffering: no\r\nTransfer-Encoding: chunked";
  socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n`);
  const begun = performance.now();
  for (let event = 0; event < EVENTS && !socket.destroyed; event += 1) {
    socket.write(chunk(eventText(event)));
    await sleep(Math.max(1, begun + (event + 1) * EVENT_GAP_MS - performance.now()));
  }
  socket.write(`${chunk("data: [DONE]\n\n")}0\r\n\r\n`);
}

function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}
