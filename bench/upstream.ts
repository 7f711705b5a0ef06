// The upstream of the bench, in a process of its own: it answers at once, with as many bytes as the body asks for.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const MOST_BYTES = 64_000_000;
const replies = new Map<number, Buffer>();

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const { bytes } = JSON.parse(Buffer.concat(chunks).toString("utf8")) as { bytes: number };
  const reply = replies.get(bytes) ?? made(bytes);
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": reply.length });
  response.end(reply);
});
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));

/** A JSON string of so many bytes. */
function made(bytes: number): Buffer {
  if (!(bytes >= 2 && bytes <= MOST_BYTES)) throw new Error(`a reply has 2 to ${MOST_BYTES} bytes`);
  const reply = Buffer.from(`"${"x".repeat(bytes - 2)}"`);
  replies.set(bytes, reply);
  return reply;
}
