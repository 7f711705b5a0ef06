// Plays the faults of nim-fault.ts on a live connection. A fault either stands in for the reply, comes before
// it, or spoils how it is sent.

import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import type { WholeFault } from "./nim-fault.ts";
import { type Reply, sendReply, textReply, wholeBody, write } from "./nim-reply.ts";

/** One connection, for as long as one reply takes. */
export interface Wire {
  readonly res: ServerResponse;
  /** Fires when the client has gone. */
  readonly signal: AbortSignal;
  /** Ends the connection from this side: after what is written (FIN), or at once (RST). */
  hangUp(how: "end" | "reset"): void;
}

/** The reply that stands in for the real one; undefined where the real one is wanted. */
export function replyInstead(fault: WholeFault): Reply | undefined {
  switch (fault.kind) {
    case "refuse":
      return textReply(fault.status, "application/json", fault.body, fault.headers);
    case "html":
      return textReply(fault.status, "text/html", `<html><body><h1>${fault.status}</h1></body></html>\n`);
    case "redirect":
      return textReply(fault.status, "text/plain", "", { location: fault.location });
    case "huge": {
      const type = { "content-type": "application/octet-stream" };
      const headers = fault.chunked ? type : { ...type, "content-length": String(fault.bytes) };
      return { status: 200, headers, body: zeros(fault.bytes) };
    }
    default:
      return undefined;
  }
}

/** What happens before any work; true when the exchange ends with it. */
export async function misbehaveBefore(fault: WholeFault, wire: Wire): Promise<boolean> {
  switch (fault.kind) {
    case "hang":
      await untilGone(wire.signal);
      return true;
    case "garbage":
      wire.res.socket?.write(Buffer.from("\x00\xff\x16\x03 this is not HTTP \xfe\r\n\r\n", "latin1"));
      wire.hangUp("end");
      return true;
    case "reset":
      if (fault.at !== "body") wire.hangUp("reset");
      return fault.at !== "body";
    case "slow_head":
      await sleep(fault.ms, undefined, { signal: wire.signal });
      return false;
    case "informational":
      writeInterim(wire.res, fault.status);
      return false;
    default:
      return false;
  }
}

async function untilGone(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}

function writeInterim(res: ServerResponse, status: 100 | 102 | 103): void {
  if (status === 100) res.writeContinue();
  else if (status === 102) res.writeProcessing();
  else res.writeEarlyHints({ link: "</v1/health/ready>; rel=preload" });
}

export async function sendBadly(reply: Reply, fault: WholeFault, wire: Wire): Promise<void> {
  const { res, signal } = wire;
  switch (fault.kind) {
    case "truncate":
      return truncate(reply, fault.after, wire, "end");
    case "reset":
      return truncate(reply, undefined, wire, "reset");
    case "bad_chunk":
      return sendBadChunk(reply, wire);
    case "slow_end":
      return sendReply({ ...withLength(reply), body: lateEnd(reply, fault.ms, signal) }, res, signal);
    case "close_delimited":
      return sendCloseDelimited(reply, wire);
    case "chunked":
      return sendReply({ ...reply, body: pieces(reply, fault.bytes, 0, signal) }, res, signal);
    case "trickle":
      return sendReply(
        { ...withLength(reply), body: pieces(reply, fault.bytes, fault.ms, signal) },
        res,
        signal,
      );
    case "gzip": {
      const headers = { ...reply.headers, "content-encoding": "gzip" };
      return sendReply({ ...reply, headers, body: gzipSync(await wholeBody(reply)) }, res, signal);
    }
    default:
      return sendReply(reply, res, signal);
  }
}

async function truncate(
  reply: Reply,
  after: number | undefined,
  wire: Wire,
  how: "end" | "reset",
): Promise<void> {
  const { res, signal } = wire;
  const { body } = reply;
  res.writeHead(reply.status, withLength(reply).headers);
  res.flushHeaders();
  let sent = 0;
  for await (const piece of Buffer.isBuffer(body) ? [body.subarray(0, after ?? body.length / 2)] : body) {
    const part = piece.subarray(0, after === undefined ? piece.length : after - sent);
    await writeOut(res, part);
    sent += part.length;
    if (after === undefined || sent >= after) break;
  }
  // A reset overtakes what is still in the buffers, and the client is to see the beginning.
  if (how === "reset") await sleep(20, undefined, { signal });
  wire.hangUp(how);
}

async function sendBadChunk(reply: Reply, { res, hangUp }: Wire): Promise<void> {
  const body = await wholeBody(reply);
  res.writeHead(reply.status, reply.headers);
  await writeOut(res, body.subarray(0, Math.ceil(body.length / 2)));
  res.socket?.write("this is no size\r\nnor this a chunk\r\n");
  hangUp("end");
}

async function sendCloseDelimited(reply: Reply, { res, signal }: Wire): Promise<void> {
  res.useChunkedEncodingByDefault = false;
  res.writeHead(reply.status, { ...reply.headers, connection: "close" });
  await write(res, await wholeBody(reply), signal);
  res.end();
}

/** Resolves when the socket has it: chunks wait for the end of the tick, and hanging up would not. */
function writeOut(res: ServerResponse, piece: Buffer): Promise<void> {
  if (piece.length === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    res.write(piece, (error) => (error ? reject(error) : resolve()));
  });
}

function withLength(reply: Reply): Reply {
  if (!Buffer.isBuffer(reply.body)) return reply;
  return { ...reply, headers: { ...reply.headers, "content-length": String(reply.body.length) } };
}

async function* lateEnd(reply: Reply, ms: number, signal: AbortSignal): AsyncIterable<Buffer> {
  const { body } = reply;
  let last: Buffer | undefined;
  for await (const piece of Buffer.isBuffer(body) ? [body.subarray(0, -1), body.subarray(-1)] : body) {
    if (last !== undefined) yield last;
    last = piece;
  }
  await sleep(ms, undefined, { signal });
  if (last !== undefined) yield last;
}

async function* pieces(reply: Reply, size: number, ms: number, signal: AbortSignal): AsyncIterable<Buffer> {
  const body = await wholeBody(reply);
  for (let at = 0; at < body.length; at += size) {
    // Node joins what is written in one turn into one chunk.
    if (at > 0) await (ms > 0 ? sleep(ms, undefined, { signal }) : nextTurn(undefined, { signal }));
    yield body.subarray(at, at + size);
  }
}

async function* zeros(count: number): AsyncIterable<Buffer> {
  const piece = Buffer.alloc(65_536);
  for (let left = count; left > 0; left -= piece.length) {
    yield left < piece.length ? piece.subarray(0, left) : piece;
  }
}
