// Which paths are a NIM's, which of them cost money, and which the gateway answers itself: one table of
// what NIMs offer (visual and language ones). Anything else is unknown and reaches no upstream.

/** Answered by the gateway: these must be fast and true even when no upstream is up. */
export type OwnAnswer = "health_ready" | "health_live" | "models";

/** An upstream's to answer where it is the only one behind a model, and the gateway's in its place. */
export type StandIn = "metadata" | "version";

export type PathKind =
  | { readonly kind: "own"; readonly what: OwnAnswer }
  /** /v1/models/ID; the id as its client meant it. */
  | { readonly kind: "model"; readonly id: string }
  | { readonly kind: "metered" }
  | { readonly kind: "unmetered"; readonly standIn: StandIn | undefined }
  | { readonly kind: "unknown" };

/** `path` without its query, and without the prefix that names a model. */
export function kindOfPath(method: string, path: string): PathKind {
  const isReading = READING.includes(method);
  const isAsking = isReading && method !== "OPTIONS";
  const id = isAsking ? modelIdIn(path) : undefined;
  if (id !== undefined) return { kind: "model", id };
  if (!NIM_PATH.test(path) || isCrooked(path)) return { kind: "unknown" };
  const own = isAsking ? OWN_ANSWERS.get(path) : undefined;
  if (own !== undefined) return { kind: "own", what: own };
  if (!isReading && !FREE.some((free) => free.test(path))) return { kind: "metered" };
  return { kind: "unmetered", standIn: isAsking ? STAND_INS.get(path) : undefined };
}

/** The OpenAI SDK writes the slash of meta/llama-3.1-8b as %2F, others leave it. */
function modelIdIn(path: string): string | undefined {
  const [, id] = /^\/v1\/models\/((?:[\w.:@-]|%2[Ff]|\/(?=\w))+)$/.exec(path) ?? [];
  const name = id?.replaceAll(/%2f/gi, "/");
  return name === undefined || isCrooked(`/${name}`) ? undefined : name;
}

/** Where visual NIMs make their pictures. `path` may have its query. */
export function isInfer(path: string): boolean {
  return /^\/v1\/infer(?:\?|$)/.test(path);
}

/** Of language NIMs, beginning one. `path` may have its query. */
export function isResponses(path: string): boolean {
  return /^\/v1\/responses\/?(?:\?|$)/.test(path);
}

const NIM_PATH = /^\/(?:v[12]\/[^?#]+|tokenize|detokenize|metrics)$/;

const OWN_ANSWERS: ReadonlyMap<string, OwnAnswer> = new Map([
  ["/v1/health/ready", "health_ready"],
  ["/v1/health/live", "health_live"],
  ["/v1/models", "models"],
]);

const STAND_INS: ReadonlyMap<string, StandIn> = new Map([
  ["/v1/metadata", "metadata"],
  ["/v1/version", "version"],
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
