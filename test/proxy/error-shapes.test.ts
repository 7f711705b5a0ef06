// An error is read by programs that each look for its text somewhere else: all of them must find it.

import { createServer } from "node:http";
import test, { type ExecutionContext } from "ava";
import OpenAI, { APIError } from "openai";
import { nanoUsd } from "../../src/metering/money.ts";
import { reply, type Unserved } from "../../src/proxy/reply.ts";
import { listen, portOf } from "../support/sockets.ts";

const UNSERVED: readonly (readonly [string, Unserved, status: number, title: string])[] = [
  [
    "a spent budget",
    {
      kind: "refused",
      breach: {
        ...{ budget: "studio-day", action: "block", unit: "usd" },
        ...{ limit: nanoUsd(1n), settled: nanoUsd(1n), held: nanoUsd(0n), needed: nanoUsd(1n) },
        ...{ resets: undefined, timezone: "UTC", alternatives: [] },
      } as never,
    },
    402,
    "Budget exceeded",
  ],
  [
    "no upstream",
    { kind: "no_upstream", cause: "upstreams", reason: "none of llama may serve" },
    503,
    "No upstream",
  ],
  ["a ledger that cannot write", { kind: "ledger_unavailable" }, 503, "Ledger unavailable"],
  [
    "an upstream that is down",
    { kind: "unsent", upstream: "llama-pod", why: "unreachable", cause: new Error("connect ECONNREFUSED") },
    502,
    "Upstream unreachable",
  ],
  [
    "an upstream that is late",
    { kind: "fault", upstream: "llama-pod", fault: { kind: "timeout", reason: "no reply in 5 s" } },
    504,
    "Upstream timeout",
  ],
  [
    "a token that is missing",
    { kind: "problem", status: 401, code: "token_required", message: "this gateway needs a client token" },
    401,
    "Token required",
  ],
];

async function serve(t: ExecutionContext, unserved: Unserved): Promise<string> {
  const server = createServer((_request, response) => reply(response, unserved));
  await listen(server);
  t.teardown(() => server.close());
  return `http://127.0.0.1:${portOf(server)}/v1`;
}

/** What langchain-nvidia-ai-endpoints raises: `_format_error` of its client, in the order of its keys. */
function langchainText(body: Record<string, unknown>): string {
  const status = body.status || body.status_code || "###";
  const title = body.title || body.error || body.reason || "Unknown Error";
  return `[${status}] ${String(title)}\n${String(body.detail ?? JSON.stringify(body))}`;
}

for (const [what, unserved, status, title] of UNSERVED) {
  test(`langchain, FastAPI's and OpenAI's clients all say what ${what} is about`, async (t) => {
    const baseURL = await serve(t, unserved);
    const response = await fetch(`${baseURL}/chat/completions`, { method: "POST", body: "{}" });
    const body = (await response.json()) as Record<string, unknown>;
    t.is(response.status, status);
    const { detail } = body;
    if (typeof detail !== "string") return t.fail("FastAPI's clients look for detail");
    t.is(langchainText(body), `[${status}] ${title}\n${detail}`);
    t.false(
      /request_?id|reqId/i.test(JSON.stringify(Object.keys(body))),
      "langchain would take detail apart",
    );
    const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
    const asked = client.chat.completions.create({ model: "llama", messages: [] });
    const error = await t.throwsAsync(asked, { instanceOf: APIError });
    t.is(error?.message, `${status} ${detail}`);
    t.truthy(error?.code);
    t.truthy(error?.type);
    return undefined;
  });
}
