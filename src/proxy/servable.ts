// Whether a model can be served at all under the mode in force, and by which upstream: for readiness, and
// for requests that cost nothing. No budget is asked: one that is spent still answers, with its 402.

import type { Quote } from "../policy/decision.ts";
import type { Model, Policy, Upstream } from "../policy/policy.ts";
import { type Candidate, quoteOf, rank } from "../policy/rank.ts";
import type { Task } from "../policy/task.ts";

/**
 * The upstream that a plain request would be offered first, one that is not ejected if there is one:
 * ejected, it may come back. Undefined where none may ever serve. `up`: it costs nothing, and starts no
 * container.
 */
export function servable(
  policy: Policy,
  model: Model,
  candidates: readonly Candidate[],
  which?: "up",
): Upstream | undefined {
  const asked: Task = { ...ANYONE, model: model.id };
  const asking =
    which === "up"
      ? candidates.filter(({ cold }) => cold === undefined)
      : candidates.map((one) => (one.isForNow ? { ...one, down: undefined } : one));
  const quotes = asking.map((candidate) => quoteOf(asked, model, candidate));
  const ranked = rank(policy, model, asked, quotes).quotes;
  const isOut = ({ hindrance }: Quote) => hindrance?.kind === "ejected" || hindrance?.kind === "trial";
  return (ranked.find((quote) => !isOut(quote)) ?? ranked[0])?.upstream;
}

const ANYONE: Omit<Task, "model"> = {
  id: "",
  clientRequestId: undefined,
  at: 0 as Task["at"],
  labels: {
    user: "unknown",
    workflow: undefined,
    session: undefined,
    task: undefined,
    node: undefined,
    project: undefined,
    tag: undefined,
  },
  work: {
    images: 1,
    width: undefined,
    height: undefined,
    steps: undefined,
    maxTokens: undefined,
    bytes: undefined,
    stream: false,
    picture: { kind: "unseen" },
  },
  provider: undefined,
  gpuTier: undefined,
};
