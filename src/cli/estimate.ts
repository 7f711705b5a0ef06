// `budgetguard estimate MODEL`: what a request would cost now, and whether its budgets would let it through.

import { InvalidArgumentError } from "commander";
import type { Estimate, EstimateRequest } from "../sdk/client.ts";
import { alternativesText, breachText, budgetsBefore, candidateTable, isChosen } from "./candidate-table.ts";
import { addConnectionOptions, ask, type ConnectionOptions, show } from "./connection.ts";
import type { DefineCommand } from "./define-command.ts";
import { EXIT, type ExitCode, UsageError } from "./exit-code.ts";
import { paint, type Terminal } from "./terminal.ts";
import { inZone } from "./zone.ts";

export const defineEstimate: DefineCommand = (command, terminal, end) => {
  addConnectionOptions(command)
    .argument("<model>", "as the policy calls it")
    .option("--size <width>x<height>", "in pixels", sizeOf)
    .option("--steps <count>", "of the diffusion", countOf)
    .option("--images <count>", "how many pictures (1)", countOf)
    .option("--max-tokens <count>", "of a language model's answer", countOf)
    .option("--provider <name>", "in manual mode: this provider")
    .option("--tier <name>", "in manual mode: this GPU")
    .option("--user <name>", "who would ask: budgets may depend on it, and on these:")
    .option("--workflow <name>")
    .option("--session <name>")
    .option("--task <name>")
    .option("--node <name>")
    .option("--project <name>")
    .option("--tag <name>")
    .addHelpText(
      "after",
      "\nHolds and sends nothing. Exits with 1 if the request would be refused.\n" +
        "Example:\n  $ budgetguard estimate flux-dev --size 1024x1024 --steps 30",
    )
    .action(async (model: string, options: EstimateOptions) => end(await estimate(terminal, model, options)));
};

interface EstimateOptions extends ConnectionOptions {
  readonly size?: Size;
  readonly steps?: number;
  readonly images?: number;
  readonly maxTokens?: number;
  readonly provider?: string;
  readonly tier?: string;
  readonly user?: string;
  readonly workflow?: string;
  readonly session?: string;
  readonly task?: string;
  readonly node?: string;
  readonly project?: string;
  readonly tag?: string;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

async function estimate(terminal: Terminal, model: string, options: EstimateOptions): Promise<ExitCode> {
  const request = await requestOf(model, options);
  return ask(terminal, options, "read", async (client) => {
    const found = await client.estimate(request);
    show(terminal, options, found, (answer) => estimateText(answer, terminal));
    return found.decision === "forward" || found.decision === "wait" ? EXIT.ok : EXIT.problem;
  });
}

/** By the wire's own schema, so that what it would refuse is wrong usage here. */
async function requestOf(model: string, options: EstimateOptions): Promise<EstimateRequest> {
  const { EstimateRequest: schema } = await import("../sdk/estimate.ts");
  const { size, steps, images, maxTokens, provider, tier } = options;
  const { user, workflow, session, task, node, project, tag } = options;
  const parsed = schema.safeParse({
    ...{ model, ...size, steps, images, max_tokens: maxTokens, provider, gpu_tier: tier },
    ...{ user, workflow, session, task, node, project, tag },
  });
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new UsageError(wrong.join("; "));
}

export function estimateText(found: Estimate, screen: Terminal): string {
  const terminal = inZone(screen, found.timezone);
  const { explanation, warnings } = found;
  const lines = [
    headline(found, terminal),
    `${explanation.rule}.`,
    ...warnings.map(({ text }) => paint(terminal.out, "yellow", `Warning: ${text}`)),
    "",
    candidateTable(explanation, "would serve", terminal),
    "",
    budgetsBefore(explanation, terminal),
  ];
  const isServed = found.decision === "forward" || found.decision === "wait";
  return [...lines, ...(isServed ? [] : ["", alternativesText(explanation)])].join("\n");
}

function headline({ model, decision, reason, breach, explanation }: Estimate, { out }: Terminal): string {
  switch (decision) {
    case "forward": {
      const chosen = explanation.candidates.find((candidate) => isChosen(candidate, explanation));
      const cost = `about ${chosen?.estimate_usd} USD, ${chosen?.hold_usd} USD held while it runs`;
      return `${paint(out, "green", `${model} would be served by ${explanation.chosen}`)}: ${cost}.`;
    }
    case "refuse":
      return `${paint(out, "red", `${model} would be refused`)}: ${breach && breachText(breach)}.`;
    case "stopped":
      return `${paint(out, "red", `${model} would be refused`)}: ${reason ?? ""}.`;
    case "no_upstream":
      return `${paint(out, "red", `${model} has no upstream`)}: ${reason ?? ""}.`;
    case "wait":
      return `${paint(out, "yellow", `${model} would wait for its turn`)}: ${reason ?? ""}.`;
  }
}

function sizeOf(text: string): Size {
  const [, width, height] = /^(\d{1,9})x(\d{1,9})$/i.exec(text) ?? [];
  if (width === undefined) throw new InvalidArgumentError("Write it as 1024x1024.");
  return { width: Number(width), height: Number(height) };
}

function countOf(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Write a whole number.");
}
