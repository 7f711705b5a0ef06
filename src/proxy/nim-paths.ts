// Which paths are a NIM's, which of them cost money, and which the gateway answers itself: one table of
// what NIMs offer (visual and language ones). Anything else is unknown and reaches no upstream.

/** Answered by the gateway: these must be fast and true even when no upstream is up. */
export type OwnAnswer = "health_ready" | "health_live" | "models";

export type PathKind =
  | { readonly kind: "own"; readonly what: OwnAnswer }
  | { readonly kind: "metered" }
  | { readonly kind: "unmetered" }
  | { readonly kind: "unknown" };

/** `path` without its query, and without the prefix that names a model. */
export function kindOfPath(method: string, path: string): PathKind {
  if (!NIM_PATH.test(path) || isCrooked(path)) return { kind: "unknown" };
  const isReading = READING.includes(method);
  const own = isReading && method !== "OPTIONS" ? OWN_ANSWERS.get(path) : undefined;
  if (own !== undefined) return { kind: "own", what: own };
  return { kind: isReading || FREE.some((free) => free.test(path)) ? "unmetered" : "metered" };
}

/** Where visual NIMs make their pictures. `path` may have its query. */
export function isInfer(path: string): boolean {
  return /^\/v1\/infer(?:\?|$)/.test(path);
}

const NIM_PATH = /^\/(?:v[12]\/[^?#]+|tokenize|detokenize|metrics)$/;

const OWN_ANSWERS: ReadonlyMap<string, OwnAnswer> = new Map([
  ["/v1/health/ready", "health_ready"],
  ["/v1/health/live", "health_live"],
  ["/v1/models", "models"],
]);

/** Methods that ask for no work. Whatever else is sent to a NIM path is metered unless it is listed below. */
const READING: readonly string[] = ["GET", "HEAD", "OPTIONS"];

/** Posts that use no GPU. */
const FREE: readonly RegExp[] = [
  /^\/(?:de)?tokenize$/,
  /^\/v1\/messages\/count_tokens$/,
  /^\/v1\/responses\/[^/]+\/cancel$/,
  /^\/v1\/(?:chat\/)?completions\/render$/,
];

/** Dot segments, doubled slashes and backslashes: an upstream may read another path in them. */
function isCrooked(path: string): boolean {
  return /\/\/|\\|%(?:2e|2f|5c|00)|\/\.{1,2}(?:\/|$)/i.test(path);
}
