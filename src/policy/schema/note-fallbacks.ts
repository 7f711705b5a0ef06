// Fallback models that speak another API than the model they stand in for, where a policy lets that be known:
// a body for one means nothing to the other.

import { hostedModelOf } from "../hosted.ts";
import type { Model, Policy, Upstream } from "../policy.ts";
import type { Path } from "./source.ts";

type Spoken = "images" | "language";

export function noteFallbacks(policy: Omit<Policy, "notes">, tell: (path: Path, text: string) => void): void {
  for (const [id, model] of policy.models) {
    const next = policy.models.get(model.fallbackModel ?? "");
    const [its, others] = [spokenBy(model, policy), next && spokenBy(next, policy)];
    if (next === undefined || its === undefined || others === undefined || its === others) continue;
    const text = `${next.id} seems to be a model of ${others}, and ${id} one of ${its}: it cannot stand in`;
    tell(["models", id, "fallback_model"], text);
  }
}

/** Undefined where nothing tells, or its upstreams contradict each other. */
function spokenBy({ upstreams }: Model, policy: Omit<Policy, "notes">): Spoken | undefined {
  const all = upstreams.flatMap((id) => policy.upstreams.get(id) ?? []).flatMap((one) => spokenAt(one) ?? []);
  const [first] = all;
  return all.every((one) => one === first) ? first : undefined;
}

function spokenAt(upstream: Upstream): Spoken | undefined {
  if (upstream.price.kind === "tokens") return "language";
  return upstream.price.kind === "image" || hostedModelOf(upstream) !== undefined ? "images" : undefined;
}
