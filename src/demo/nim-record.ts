// What the simulator remembers of the requests that it got, so that a test can ask what really arrived.
// It forgets the oldest, and keeps only the beginning of large bodies.

import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";

/** open → answered | faulted (a fault broke the connection) | aborted (the client left first) */
export type Ending = "open" | "answered" | "faulted" | "aborted";

export interface RecordedRequest {
  readonly method: string;
  /** As sent: path and query. */
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  /** Names and values in turn, in the order and spelling of the wire. */
  readonly rawHeaders: readonly string[];
  /** The first 64 KiB of the body. */
  readonly body: Buffer;
  /** Bytes of the body that arrived. */
  readonly bytes: number;
  /** Of the whole body, lower-case hex; undefined until all of it is there. */
  readonly sha256: string | undefined;
  readonly ending: Ending;
}

export type OpenRecord = { -readonly [K in keyof RecordedRequest]: RecordedRequest[K] };

const MOST_REQUESTS = 2000;
const MOST_BODY = 65_536;

export function recordInto(requests: OpenRecord[], req: IncomingMessage): OpenRecord {
  const record: OpenRecord = {
    method: req.method ?? "",
    path: req.url ?? "",
    headers: req.headers,
    rawHeaders: req.rawHeaders,
    body: Buffer.alloc(0),
    bytes: 0,
    sha256: undefined,
    ending: "open",
  };
  requests.push(record);
  if (requests.length > MOST_REQUESTS) requests.shift();
  return record;
}

/** Reads the body into `record` and returns all of it; "too_large" once it is longer than `limit` bytes. */
export async function readBody(
  req: IncomingMessage,
  record: OpenRecord,
  limit: number,
): Promise<Buffer | "too_large"> {
  if (Number(req.headers["content-length"] ?? 0) > limit) return "too_large";
  const hash = createHash("sha256");
  const pieces: Buffer[] = [];
  // The request must outlive this loop: destroying it would also destroy the socket that 413 is written to.
  for await (const piece of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    record.bytes += piece.length;
    if (record.bytes > limit) return "too_large";
    hash.update(piece);
    pieces.push(piece);
    if (record.body.length < MOST_BODY) {
      record.body = Buffer.concat([record.body, piece.subarray(0, MOST_BODY - record.body.length)]);
    }
  }
  record.sha256 = hash.digest("hex");
  return Buffer.concat(pieces);
}
