// Reads policies for tests: a small rate card, the gateway's own ports, and a file of one model to add to.

import { hourlyRate } from "../../src/metering/money.ts";
import { type Rate, RateCard } from "../../src/metering/rate-card.ts";
import { formatNote, type ParsedPolicy, type PolicyContext, parsePolicy } from "../../src/policy/parse.ts";
import type { Policy } from "../../src/policy/policy.ts";

function rate(key: string, nanos: bigint, kind: Rate["kind"] = "on_demand"): Rate {
  const [provider = ""] = key.split("/");
  const seen = { asOf: "2026-07-20", source: "a test" };
  return { key, kind, provider, gpu: undefined, gpus: 1, perHour: hourlyRate(nanos), ...seen };
}

export const context: PolicyContext = {
  file: "policy.yaml",
  digest: "abc",
  rates: new RateCard(
    [
      rate("aws/us-east-1/g5.xlarge", 1_006_000_000n),
      rate("aws/us-east-1/g5.xlarge", 300_000_000n, "spot"),
      rate("aws/us-east-1/p4d.24xlarge", 21_957_642_000n),
      rate("azure/eastus/Standard_NC4as_T4_v3", 526_000_000n),
      rate("nvidia/any/trial", 0n, "hosted_api"),
    ],
    [{ provider: "aws", tier: "a10g", rate: "aws/us-east-1/g5.xlarge" }],
  ),
  timezone: "Europe/Berlin",
  listen: [
    { host: "127.0.0.1", port: 7070 },
    { host: "::1", port: 7071 },
  ],
};

/** A sound file, to which `more` is added. */
export function file(more = "", upstream = ""): string {
  const flux = `{provider: local, url: "http://127.0.0.1:8000"}`;
  const head = `version: 1\nupstreams:\n  flux: ${flux}\n${upstream}`;
  return `${head}models:\n  flux-dev: {port: 7100, upstreams: [flux]}\n${more}`;
}

export function read(text: string): ParsedPolicy {
  return parsePolicy(text, context);
}

/** The problems as `check` prints them, without the file's name. */
export function problems(text: string): readonly string[] {
  const parsed = read(text);
  return parsed.kind === "policy" ? [] : parsed.problems.map((each) => formatNote("", each).slice(1));
}

export function notes(text: string): readonly string[] {
  return policy(text).notes.map((each) => formatNote("", each).slice(1));
}

export function policy(text: string): Policy {
  const parsed = read(text);
  if (parsed.kind === "policy") return parsed.policy;
  throw new Error(parsed.problems.map((each) => formatNote("policy.yaml", each)).join("\n"));
}
