// The ways in which the simulator can be told to misbehave: for all requests (`nim.fault = …`) or for one,
// by the header X-Nim-Fault, which holds a kind ("hang") or JSON ({"kind":"refuse","status":429}).

import { z } from "zod";

export const FAULT_HEADER = "x-nim-fault";

const bytes = z.int().min(0);
/** Real milliseconds: faults are not scaled. */
const ms = z.int().min(0).max(600_000);

const schema = z.discriminatedUnion("kind", [
  /** Answers with this error, at once. */
  z.strictObject({
    kind: z.literal("refuse"),
    status: z.int().min(400).max(599).default(503),
    body: z.string().default('{"detail":"The simulator was told to refuse."}'),
    headers: z.record(z.string(), z.string()).default({}),
  }),
  /** An error page as a load balancer writes it. */
  z.strictObject({ kind: z.literal("html"), status: z.int().min(400).max(599).default(502) }),
  z.strictObject({
    kind: z.literal("redirect"),
    status: z.int().min(300).max(399).default(302),
    location: z.string().default("/v1/elsewhere"),
  }),
  /** A 200 with a body of this many bytes, instead of the answer. */
  z.strictObject({ kind: z.literal("huge"), bytes, chunked: z.boolean().default(false) }),
  /** Reads the request and never answers. */
  z.strictObject({ kind: z.literal("hang") }),
  /** Bytes that are not HTTP, then the end. */
  z.strictObject({ kind: z.literal("garbage") }),
  /** A TCP reset: before the body is read, before the reply, or in the middle of the reply. */
  z.strictObject({ kind: z.literal("reset"), at: z.enum(["request", "reply", "body"]).default("reply") }),
  z.strictObject({ kind: z.literal("slow_head"), ms: ms.default(1000) }),
  /** The last byte (of a stream: the last piece) comes this much later than the others. */
  z.strictObject({ kind: z.literal("slow_end"), ms: ms.default(1000) }),
  /** Announces the whole body, sends `after` bytes (default: half of it, or a stream's first piece), ends. */
  z.strictObject({ kind: z.literal("truncate"), after: bytes.optional() }),
  /** Half the body chunked, then a chunk size that is none. */
  z.strictObject({ kind: z.literal("bad_chunk") }),
  /** No length and no chunks: the end of the connection is the end of the body. */
  z.strictObject({ kind: z.literal("close_delimited") }),
  z.strictObject({ kind: z.literal("chunked"), bytes: bytes.min(1).default(16_384) }),
  z.strictObject({ kind: z.literal("gzip") }),
  /** An interim reply before the work begins. */
  z.strictObject({
    kind: z.literal("informational"),
    status: z.union([z.literal(100), z.literal(102), z.literal(103)]).default(103),
  }),
  /** So many bytes every so many milliseconds. */
  z.strictObject({
    kind: z.literal("trickle"),
    bytes: bytes.min(1).default(1024),
    ms: ms.default(10),
  }),
]);

export type Fault = z.input<typeof schema>;
/** With every default filled in. */
export type WholeFault = z.output<typeof schema>;

/** Throws an Error that says what is wrong with it. */
export function parseFault(value: unknown): WholeFault {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Error(`not a fault that the simulator knows: ${z.prettifyError(parsed.error)}`);
}

/** Throws as parseFault does. */
export function parseFaultHeader(text: string): WholeFault {
  return parseFault(text.startsWith("{") ? parseJson(text) : { kind: text.trim() });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${FAULT_HEADER} is neither the name of a fault nor JSON: ${text}`, { cause });
  }
}
