// The life of one request in the simulator: record it, read it, misbehave or work, answer, count the
// ending. A client that leaves stops the work at once.

import type { IncomingMessage, ServerResponse } from "node:http";
import { FAULT_HEADER, parseFaultHeader, type WholeFault } from "./nim-fault.ts";
import { misbehaveBefore, replyInstead, sendBadly, type Wire } from "./nim-misbehave.ts";
import { type OpenRecord, readBody } from "./nim-record.ts";
import { detailReply, jsonReply, type Reply, sendReply } from "./nim-reply.ts";
import type { Simulated } from "./nim-route.ts";
import { answer } from "./nim-routes.ts";

/** A multipart edit with two large pictures fits; NVIDIA's own gateway has the same limit. */
const MOST_BODY = 25 * 1024 * 1024;

export interface Exchange {
  readonly nim: Simulated;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly record: OpenRecord;
  /** The instance's fault; the request's own header goes before it. */
  readonly fault: WholeFault | undefined;
}

/** Resolves when nothing more is sent. Never rejects. */
export async function serve(exchange: Exchange): Promise<void> {
  const { nim, req, res, record } = exchange;
  const gone = new AbortController();
  res.once("finish", () => end("answered"));
  res.once("close", () => {
    end("aborted");
    gone.abort();
  });
  const wire: Wire = {
    res,
    signal: gone.signal,
    hangUp(how) {
      end("faulted");
      if (how === "reset") req.socket.resetAndDestroy();
      else req.socket.destroySoon();
    },
  };
  res.setHeader("x-nim-name", nim.name);
  try {
    await respond(exchange, wire);
  } catch (error) {
    // The client has gone: there is nobody left to tell, and "close" counts it.
    if (gone.signal.aborted || req.socket.destroyed) return;
    if (res.headersSent) res.destroy();
    else await sendReply(jsonReply(500, { detail: String(error) }), res, gone.signal);
  }

  function end(how: "answered" | "faulted" | "aborted"): void {
    if (record.ending !== "open") return;
    record.ending = how;
    if (how === "aborted") nim.tally.aborted += 1;
  }
}

async function respond(exchange: Exchange, wire: Wire): Promise<void> {
  const { res, signal } = wire;
  const fault = faultOf(exchange);
  if (fault instanceof Error) return sendReply(jsonReply(400, { detail: fault.message }), res, signal);
  if (fault?.kind === "reset" && fault.at === "request") return wire.hangUp("reset");
  const body = await readBody(exchange.req, exchange.record, MOST_BODY);
  if (body === "too_large") {
    return sendReply(detailReply(413, { connection: "close" }), res, signal);
  }
  if (!fault) return sendReply(await work(exchange, body, signal), res, signal);
  if (await misbehaveBefore(fault, wire)) return;
  const instead = replyInstead(fault);
  if (instead) return sendReply(instead, res, signal);
  return sendBadly(await work(exchange, body, signal), fault, wire);
}

async function work({ nim, req }: Exchange, body: Buffer, signal: AbortSignal): Promise<Reply> {
  return answer(req.method ?? "", req.url ?? "", { nim, body, signal });
}

function faultOf({ req, fault }: Exchange): WholeFault | undefined | Error {
  const header = req.headers[FAULT_HEADER];
  if (typeof header !== "string") return fault;
  try {
    return parseFaultHeader(header);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
