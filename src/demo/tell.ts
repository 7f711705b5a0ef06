// The demo's words, or the same facts as one JSON object a line. It checks nothing: run.ts does.

import type { RequestDetail } from "../sdk/requests.ts";
import { type Answer, COMFYUI_BODY } from "./artist.ts";

/** Where the gateway that serves on is reached. */
export interface Serving {
  readonly gateway: string;
  readonly admin: string;
}

export interface Tell {
  opening(gateway: string, policy: string): void;
  step(number: number, title: string): void;
  image(record: RequestDetail, path: string, bytes: number): void;
  refusal(answer: Answer): void;
  reloaded(milliseconds: number): void;
  /** What can be tried while it serves on. */
  serving(at: Serving): void;
  /** `once`: the gateway did not serve on, because that was asked for. */
  ended(folder: string, once: boolean): void;
  failed(error: unknown): void;
}

export function makeTell(json: boolean): Tell {
  return json ? inJson : inWords;
}

const line = (text = "") => process.stdout.write(`${text}\n`);
const fact = (name: string, text: string) => line(`   ${name.padEnd(9)} ${text}`);

const inWords: Tell = {
  opening(gateway, policy) {
    line("BudgetGuard Gateway: two simulated NIMs (one local, one on AWS) and the gateway in front of them.");
    line();
    fact("gateway", gateway);
    fact("policy", policy);
  },

  step(number, title) {
    line();
    line(`${number}. ${title}`);
  },

  image(record, path, bytes) {
    fact("image", `${path} (${bytes} bytes)`);
    fact("upstream", `${record.upstream} (${record.provider})`);
    fact("why", record.explanation.rule);
    const chosen = record.explanation.candidates.find(({ upstream }) => upstream === record.upstream);
    fact("price", chosen?.price ?? "unknown");
    fact("estimate", `${record.estimate_usd} USD`);
    fact("cost", `${record.charged_usd} USD for ${((record.elapsed_us ?? 0) / 1e6).toFixed(3)} s`);
    for (const { budget, remaining, limit } of record.budgets_after) {
      fact("budget", `${budget} has ${remaining} of ${limit} USD left`);
    }
  },

  refusal(answer) {
    fact("answer", `HTTP/1.1 ${answer.status} ${answer.reason}`);
    fact("headers", `x-should-retry: ${answer.retry}`);
    for (const { upstream, estimate_usd } of alternativesIn(answer)) {
      fact("instead", `${upstream} would have passed at ${estimate_usd} USD`);
    }
  },

  reloaded(milliseconds) {
    fact("reload", `in force after ${milliseconds.toFixed(0)} ms`);
  },

  serving({ gateway, admin }) {
    line();
    line("Try it yourself:");
    line();
    line(`   curl -s ${gateway}/v1/infer -H 'Content-Type: application/json' \\`);
    line(`     -d '${COMFYUI_BODY}' | head -c 120`);
    line();
    fact("API", `${admin}/api/v1/status`);
    fact("metrics", `${admin}/metrics`);
    line();
    line("Serving until Ctrl-C.");
  },

  ended(folder, once) {
    line();
    line(`The gateway has ended${once ? "; without --once it serves on, for you to ask it" : ""}.`);
    fact("files", `${folder} (yours to look at, and to delete)`);
  },

  failed(error) {
    process.stderr.write(`\nThe demo failed: ${messageOf(error)}\n`);
  },
};

const object = (fields: Record<string, unknown>) => line(JSON.stringify(fields));

const inJson: Tell = {
  opening: (gateway, policy) => object({ event: "opening", gateway, policy }),
  step: (number, title) => object({ event: "step", number, title }),
  image: (record, path, bytes) => object({ event: "image", path, bytes, request: record }),
  refusal: ({ status, reason, body }) => object({ event: "refusal", status, reason, body: JSON.parse(body) }),
  reloaded: (milliseconds) => object({ event: "reloaded", milliseconds }),
  serving: (at) => object({ event: "serving", ...at }),
  ended: (folder) => object({ event: "ended", folder }),
  failed: (error) => object({ event: "failed", error: messageOf(error) }),
};

function alternativesIn({ body }: Answer): readonly { upstream: string; estimate_usd: string }[] {
  return (JSON.parse(body) as { budgetguard: { alternatives: [] } }).budgetguard.alternatives;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
