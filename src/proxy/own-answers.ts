// What the gateway answers in an upstream's place: health, models, metadata, version, in the shapes of visual
// and of language NIMs at once. The caller says what is true; this says it.

import { type DurationUs, seconds } from "../metering/time.ts";
import type { Model, Policy, Upstream } from "../policy/policy.ts";
import type { Own } from "./identify.ts";
import type { Answer } from "./reply.ts";

export interface Known {
  /** The gateway's. */
  readonly version: string;
  /** Whether any upstream of it could ever serve. */
  isServable(model: Model): boolean;
}

export function ownAnswer({ what, model }: Own, policy: Policy, { version, isServable }: Known): Answer {
  const models = [...policy.models.values()].filter(({ id }) => model === undefined || id === model);
  switch (what) {
    case "health_live":
      return ok({ status: "live", object: "health.response", message: "Service is live." });
    case "health_ready":
      return readyAnswer(models.some(isServable));
    case "models":
      return ok({ object: "list", data: models.map(modelEntry) });
    case "model":
      return ok(models.map(modelEntry)[0] ?? {});
    case "metadata":
      return ok(metadata(models, version));
    case "version":
      return ok({ release: version, api: API });
  }
}

/** Who answers where the gateway could stand in: the only upstream that there is, if it is quick. */
export function askedInstead(first: Upstream | undefined, model: Model | undefined): Upstream | undefined {
  if (first === undefined || model?.upstreams.length !== 1) return undefined;
  const total = Math.min(first.timeouts.total, QUICK) as DurationUs;
  return { ...first, timeouts: { ...first.timeouts, total } };
}

/** Whoever asks what there is waits for it at its start. */
const QUICK = seconds(5);

/** 503 only where no upstream could ever serve: else a client polls in silence for half an hour. */
function readyAnswer(isServable: boolean): Answer {
  if (isServable) return ok({ status: "ready", object: "health.response", message: "Service is ready." });
  const message = "no upstream of this model can serve; see the policy's upstreams and its mode";
  return {
    status: 503,
    reason: `BudgetGuard: ${message}`,
    headers: [],
    body: {
      status: "not_ready",
      object: "health.response",
      message,
      detail: message,
      error: { message, type: "gateway_error", code: "not_ready", param: null },
      budgetguard: {},
    },
  };
}

function modelEntry({ id }: Model) {
  return {
    id,
    object: "model",
    // When the models came to be is not known; clients want a number.
    created: 0,
    owned_by: "budgetguard",
    // langchain takes a model with another root for an adapter, and none of those by itself.
    root: id,
    parent: null,
    permission: [],
  };
}

/** Of the NIM API that these answers are shaped by. */
const API = "1.0.0";

/** Every key that NIMs have, of the type that they have it in. */
function metadata(models: readonly Model[], version: string) {
  return {
    assetInfo: [],
    licenseInfo: {
      ...{ name: "", path: "", sha: "", size: 0, url: "", type: "" },
      content: "BudgetGuard Gateway answers in place of its upstreams; each has a licence of its own.",
    },
    modelInfo: models.map(({ id }) => ({ modelUrl: "", shortName: id })),
    repository_override: "",
    selectedModelProfileId: "",
    version,
  };
}

function ok(body: object): Answer {
  return { status: 200, reason: "OK", headers: [], body };
}
