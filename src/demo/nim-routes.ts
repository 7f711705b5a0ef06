// Every path that the simulator answers, in one table; what is not in it is 404 or 405.

import * as about from "./nim-about.ts";
import { embeddings } from "./nim-embeddings.ts";
import { chatCompletions, completions } from "./nim-generate.ts";
import { infer } from "./nim-infer.ts";
import { detailReply, type Reply } from "./nim-reply.ts";
import type { Call, Route } from "./nim-route.ts";

const ROUTES: ReadonlyMap<string, Route> = new Map<string, Route>([
  ["/v1/infer", { method: "POST", answer: infer }],
  ["/v1/chat/completions", { method: "POST", answer: chatCompletions }],
  ["/v1/completions", { method: "POST", answer: completions }],
  ["/v1/embeddings", { method: "POST", answer: embeddings }],
  ["/v1/health/ready", { method: "GET", answer: about.ready }],
  ["/v1/health/live", { method: "GET", answer: about.live }],
  ["/v1/models", { method: "GET", answer: about.models }],
  ["/v1/metadata", { method: "GET", answer: about.metadata }],
  ["/v1/version", { method: "GET", answer: about.version }],
  ["/v1/license", { method: "GET", answer: about.license }],
  ["/v1/metrics", { method: "GET", answer: about.metrics }],
]);

/** `target` may have a query, which no route looks at. */
export function answer(method: string, target: string, call: Call): Reply | Promise<Reply> {
  const [path = ""] = target.split("?", 1);
  const route = ROUTES.get(path);
  if (!route) return detailReply(404);
  if (route.method !== method) return detailReply(405, { allow: route.method });
  return route.answer(call);
}
