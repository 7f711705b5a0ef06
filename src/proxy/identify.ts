// Makes a Task of a request: which model, who asks, how much work. It contacts nobody and decides nothing;
// what is not a NIM's, or names no model of the policy, ends here with an answer of our own.

import type { Instant } from "../metering/time.ts";
import type { Policy } from "../policy/policy.ts";
import { SESSION_IDLE, type Sessions } from "../policy/sessions.ts";
import type { Labels, Task } from "../policy/task.ts";
import type { BodyFacts } from "./body-facts.ts";
import { type Identity, identityOf, type TokenLookup } from "./credentials.ts";
import {
  isInfer,
  isResponses,
  kindOfPath,
  type OwnAnswer,
  type PathKind,
  type StandIn,
} from "./nim-paths.ts";
import { MOST_PARAMETERS, type QueryFault, queryFault } from "./query-credentials.ts";
import { clean, labelsOf } from "./task-labels.ts";

/** Of the body no more than its facts is needed: a BodyWindow is one. */
export interface LookedAt {
  readonly facts: BodyFacts;
  /** In bytes; undefined for one that is longer than was looked at and did not say. */
  readonly length: number | undefined;
}

export interface RequestHead {
  readonly method: string;
  /** Origin-form, with its query. */
  readonly path: string;
  /** Name, value, name, value. */
  readonly rawHeaders: readonly string[];
}

/** Where a request came in: the model whose port it was, or the gateway's own address. */
export interface Place {
  readonly modelPort: string | undefined;
}

export interface Means {
  readonly newId: () => string;
  readonly at: Instant;
  /** Absent: a request that names no session has none. */
  readonly sessions?: Pick<Sessions, "begin"> | undefined;
}

export type Identified =
  | {
      readonly kind: "task";
      readonly task: Task;
      /** What to ask the upstream for: without the prefix that named the model. */
      readonly path: string;
      /** What its body has to name in place of another model, whose name means that one here. */
      readonly renamed: string | undefined;
      /** Label values that were cut to their cap. */
      readonly cutLabels: number;
    }
  | Own
  | {
      readonly kind: "unmetered";
      readonly model: string;
      readonly path: string;
      readonly standIn: StandIn | undefined;
    }
  | Problem;

export interface Own {
  readonly kind: "own";
  /** `model` is one of the models, alone. */
  readonly what: OwnAnswer | StandIn | "model";
  /** That of the port, prefix or header, or of the path, if one named it. */
  readonly model: string | undefined;
}

export interface Problem {
  readonly kind: "problem";
  readonly status: 400 | 401 | 403 | 404 | 415;
  readonly code: string;
  readonly message: string;
}

/** What the head alone decides: an answer, or what is known so far. The body need not have come for it. */
export function readHead(
  head: RequestHead,
  policy: Policy,
  place: Place,
  tokens: TokenLookup,
): Own | Problem | KnownHead {
  const headers = byName(head.rawHeaders);
  const { prefix, path } = splitPrefix(head.path);
  const kind = kindOfPath(head.method, path.replace(/[?#].*$/s, ""));
  if (kind.kind === "unknown") return unknownPath(head);
  const fault = queryFault(path, policy.clients, tokens);
  if (fault !== undefined) return badQuery(fault);
  const identity = identityOf(headers, policy.clients, tokens);
  const refused = mayNot(identity, kind, policy);
  if (refused !== undefined) return refused;
  const named = place.modelPort ?? prefix ?? (headers.get("x-budgetguard-model")?.[0] || undefined);
  if (named !== undefined && !policy.models.has(named)) return unknownModel(named, policy);
  if (kind.kind === "own") return { kind: "own", what: kind.what, model: named };
  if (kind.kind === "model") {
    const found = modelKnownAs(kind.id, policy);
    const isOfIt = named === undefined || found === named;
    if (typeof found === "string" && isOfIt) return { kind: "own", what: "model", model: found };
    // An upstream may know further names, such as those of adapters.
    if (named === undefined) return typeof found === "string" ? unknownModel(kind.id, policy) : found;
  }
  const isMetered = kind.kind === "metered";
  const coding = headers.get("content-encoding")?.join() ?? "identity";
  if (isMetered && coding.trim().toLowerCase() !== "identity") return encoded();
  const standIn = kind.kind === "unmetered" ? kind.standIn : undefined;
  return { kind: "known", isMetered, standIn, path, named, identity, headers };
}

interface KnownHead {
  readonly kind: "known";
  readonly isMetered: boolean;
  readonly standIn: StandIn | undefined;
  /** Without the prefix that named the model. */
  readonly path: string;
  /** The model of the port, prefix or header; it exists. */
  readonly named: string | undefined;
  readonly identity: Identity | undefined;
  readonly headers: ReadonlyMap<string, readonly string[]>;
}

export function identify(head: KnownHead, body: LookedAt, policy: Policy, means: Means): Identified {
  const { headers, path, identity } = head;
  const { facts } = body;
  if (head.isMetered && facts.kind === "invalid") return invalidJson(facts.fault);
  if (facts.kind === "facts" && facts.isBackground && isResponses(path)) return BACKGROUND;
  const isOfAll = head.standIn !== undefined && head.named === undefined && policy.models.size !== 1;
  if (head.standIn !== undefined && isOfAll) return { kind: "own", what: head.standIn, model: undefined };
  const model = head.named ?? modelOf(facts, policy);
  if (typeof model !== "string") return model;
  if (!head.isMetered) return { kind: "unmetered", model, path, standIn: head.standIn };
  const { labels, cut } = labelsOf(headers);
  const user = userOf(identity, labels.user, policy);
  const idle = policy.sessionIdle ?? SESSION_IDLE;
  const session = means.sessions?.begin(user, labels.session, means.at, idle) ?? labels.session;
  const task: Task = {
    id: means.newId(),
    clientRequestId: clean(headers.get("x-request-id")?.[0]).text,
    at: means.at,
    model,
    labels: { ...labels, user, session } satisfies Labels,
    work: {
      ...workOf(facts, path),
      bytes: Math.min(body.length ?? policy.limits.body, policy.limits.body),
    },
    provider: clean(headers.get("x-budgetguard-provider")?.[0]).text?.toLowerCase().replaceAll("_", "-"),
    gpuTier: clean(headers.get("x-budgetguard-tier")?.[0]).text?.toLowerCase(),
  };
  const renamed = namesAnother(facts, model, policy) ? model : undefined;
  return { kind: "task", task, path, renamed, cutLabels: cut };
}

/** /m/MODEL/v1/infer: for clients whose only setting is a base URL. */
function splitPrefix(path: string): { prefix: string | undefined; path: string } {
  const [, prefix, rest] = /^\/m\/([^/?#]+)(\/.*)$/s.exec(path) ?? [];
  return rest === undefined ? { prefix: undefined, path } : { prefix, path: rest };
}

function byName(rawHeaders: readonly string[]): Map<string, string[]> {
  const headers = new Map<string, string[]>();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? "").toLowerCase();
    const value = rawHeaders[at + 1] ?? "";
    const known = headers.get(name);
    if (known === undefined) headers.set(name, [value]);
    else known.push(value);
  }
  return headers;
}

/** Health is everybody's: what polls it has no token to send. */
function mayNot(identity: Identity | undefined, kind: PathKind, policy: Policy): Problem | undefined {
  if (kind.kind === "own" && kind.what !== "models") return undefined;
  if (identity === undefined && policy.identity === "token") {
    const message = "this gateway needs a client token: Authorization: Bearer TOKEN, or X-API-Key: TOKEN";
    return problem(401, "token_required", message);
  }
  if (identity?.role !== "read" || kind.kind === "own" || kind.kind === "model") return undefined;
  return problem(403, "not_allowed", `${identity.id} has the role read, which may not send requests`);
}

/** A token wins over the header; under `identity: token` the header is not even a label. */
function userOf(identity: Identity | undefined, header: string | undefined, policy: Policy): string {
  return identity?.id ?? (policy.identity === "trusted" ? header : undefined) ?? "unknown";
}

/** Where neither port nor prefix nor header named one: the body's `model`, or else the only one there is. */
function modelOf(facts: BodyFacts, policy: Policy): string | Problem {
  const asked = facts.kind === "facts" ? facts.model?.name : undefined;
  if (asked === undefined) {
    const [only, ...others] = policy.models.keys();
    if (only !== undefined && others.length === 0) return only;
    const how =
      "by its port, /m/MODEL/..., X-BudgetGuard-Model or the JSON field model in the body's first 64 KiB";
    return problem(404, "model_required", `name a model ${how}; ${modelList(policy)}`);
  }
  return modelKnownAs(asked, policy);
}

/**
 * The model of the port is the one that is charged, so an upstream that serves several must not be asked for
 * another. A name that nobody here goes by is the upstream's own affair: adapters have such.
 */
function namesAnother(facts: BodyFacts, model: string, policy: Policy): boolean {
  const asked = facts.kind === "facts" ? facts.model?.name : undefined;
  if (asked === undefined || asked === model) return false;
  const isKnownAs = (id: string) =>
    policy.models.get(id)?.upstreams.some((upstream) => policy.upstreams.get(upstream)?.model === asked);
  if (isKnownAs(model)) return false;
  return policy.models.has(asked) || [...policy.models.keys()].some(isKnownAs);
}

/** By its id, or by the name that an upstream knows itself by, where no other model's does. */
function modelKnownAs(name: string, policy: Policy): string | Problem {
  if (policy.models.has(name)) return name;
  const isKnown = (upstream: string) => policy.upstreams.get(upstream)?.model === name;
  const known = [...policy.models.values()].filter((model) => model.upstreams.some(isKnown));
  const [found, ...others] = known.map(({ id }) => id);
  if (found === undefined) return unknownModel(name, policy);
  if (others.length === 0) return found;
  const several = [found, ...others].join(", ");
  return problem(404, "model_ambiguous", `"${shown(name)}" may be ${several}: name one of these`);
}

/** A body is about a picture only where pictures are asked for. */
function workOf(facts: BodyFacts, path: string): Omit<Task["work"], "bytes"> {
  const work = facts.kind === "facts" ? facts.work : NO_WORK;
  return isInfer(path) ? work : { ...work, picture: { kind: "none" } };
}

const NO_WORK: Omit<Task["work"], "bytes"> = {
  images: 1,
  width: undefined,
  height: undefined,
  steps: undefined,
  maxTokens: undefined,
  stream: false,
  picture: { kind: "unread" },
};

/** Without the query, which may hold what a reason phrase should not repeat. */
function unknownPath({ method, path }: RequestHead): Problem {
  const asked = `${method} ${shown(path.replace(/[?#].*$/s, ""))}`;
  const message = `${asked} is not a path of a NIM; try POST /v1/infer or GET /v1/models`;
  return problem(404, "unknown_path", message);
}

function unknownModel(name: string, policy: Policy): Problem {
  return problem(404, "unknown_model", `there is no model "${shown(name)}"; ${modelList(policy)}`);
}

function badQuery(fault: QueryFault): Problem {
  if (fault === "too_many") {
    return problem(400, "bad_query", `a query may have ${MOST_PARAMETERS} parameters`);
  }
  const cure = "send it in Authorization: Bearer TOKEN or X-API-Key, and make a new one if a log may have it";
  return problem(400, "token_in_query", `a client token may not stand in the query; ${cure}`);
}

/** How many images are asked for decides the price, and it would be hidden in there. */
function encoded(): Problem {
  const message = "send the body without a Content-Encoding: what it asks for decides its price";
  return problem(415, "encoded_body", message);
}

function invalidJson({ line, column }: { line: number; column: number }): Problem {
  const message = `the body is not valid JSON: line ${line}, column ${column}`;
  return problem(400, "invalid_json", message);
}

const BACKGROUND: Problem = {
  kind: "problem",
  status: 400,
  code: "background_work",
  message:
    "background: true goes on after its reply, where nothing meters it; leave it out, and use stream: true",
};

function modelList(policy: Policy): string {
  const ids = [...policy.models.keys()];
  return ids.length === 0 ? "the policy has no models yet" : `the models are ${ids.join(", ")}`;
}

/** What a client said, said back to it: short and printable. */
function shown(text: string): string {
  return (clean(text.slice(0, 200)).text ?? "").slice(0, 80);
}

function problem(status: Problem["status"], code: string, message: string): Problem {
  return { kind: "problem", status, code, message };
}
