// What the gateway answers in an upstream's place: health and models, in the shapes of visual and of language
// NIMs at once. The caller says what is true; this says it.

import type { Policy } from "../policy/policy.ts";
import type { Answer } from "./reply.ts";

/** 503 only where no upstream could ever serve: else a client polls in silence for half an hour. */
export function readyAnswer(isServable: boolean): Answer {
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

export function liveAnswer(): Answer {
  return ok({ status: "live", object: "health.response", message: "Service is live." });
}

/** `model` alone where a port, prefix or header named it; else all that the policy has. */
export function modelsAnswer(policy: Policy, model: string | undefined): Answer {
  const ids = model === undefined ? [...policy.models.keys()] : [model];
  const data = ids.map((id) => ({
    id,
    object: "model",
    // When the models came to be is not known; clients want a number.
    created: 0,
    owned_by: "budgetguard",
    root: id,
    parent: null,
  }));
  return ok({ object: "list", data });
}

function ok(body: object): Answer {
  return { status: 200, reason: "OK", headers: [], body };
}
