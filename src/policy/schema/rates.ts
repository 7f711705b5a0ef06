// Reads config/rates.yaml, the shipped price list, into a RateCard. It is part of the product, not of the
// policy: a mistake in it is a bug and throws, with every place where it is wrong.

import { LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { type HourlyRate, hourlyRate, parseUsd } from "../../metering/money.ts";
import { RATE_KINDS, type Rate, RateCard, type TierAlias } from "../../metering/rate-card.ts";

const CURE = "rates.yaml is shipped: install again, or make it anew with tools/make-rates.ts";

const KEY = /^[a-z0-9-]+(\/[A-Za-z0-9._+-]+)+$/;
const key = z.string().regex(KEY, "is not a key: write provider/region/type without spaces");
const name = z.string().regex(/^[a-z0-9][a-z0-9._-]*$/, "is not a lower-case name");

const rate = z.strictObject({
  key,
  kind: z.enum(RATE_KINDS),
  gpu: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._/-]*$/, "is not a lower-case GPU name")
    .optional(),
  gpus: z
    .string()
    .regex(/^\d{1,3}(\.\d{1,6})?$/, "is not a number of GPUs such as 8 or 0.5")
    .transform(Number),
  usd_per_hour: z.string().transform((text, context): HourlyRate => {
    const amount = parseUsd(text);
    if (amount !== undefined) return hourlyRate(amount);
    context.issues.push({ code: "custom", input: text, message: "is not an amount such as 1.006" });
    return z.NEVER;
  }),
  as_of: z.string().regex(/^(\d{4}-\d{2}-\d{2}|unknown)$/, "is not a day such as 2026-07-20, nor unknown"),
  source: name,
});

const card = z
  .strictObject({
    sources: z.record(name, z.string().min(1)),
    rates: z.array(rate).min(1),
    tiers: z.array(z.strictObject({ provider: name, tier: name, rate: key })),
  })
  .superRefine((given, context) => {
    const complain = (path: (string | number)[], message: string) =>
      context.addIssue({ code: "custom", path, message });
    const seen = new Set<string>();
    for (const [index, one] of given.rates.entries()) {
      const id = `${one.key} ${one.kind}`;
      if (seen.has(id)) complain(["rates", index, "key"], `stands here a second time as ${one.kind}`);
      seen.add(id);
      if (given.sources[one.source] === undefined) complain(["rates", index, "source"], "is not in sources");
    }
    const aliases = new Set<string>();
    for (const [index, { provider, tier, rate }] of given.tiers.entries()) {
      const alias = `${provider}/${tier}`;
      if (aliases.has(alias)) complain(["tiers", index, "tier"], `stands here a second time for ${provider}`);
      aliases.add(alias);
      if (!seen.has(`${rate} on_demand`)) {
        complain(["tiers", index, "rate"], "has no on_demand price in rates");
      }
    }
  });

/** Throws an Error that lists every line that is wrong and ends with what to do. */
export function parseRates(text: string): RateCard {
  const lines = new LineCounter();
  // In the failsafe schema every scalar is the text that stands in the file: no amount passes through a
  // float.
  const document = parseDocument(text, { schema: "failsafe", lineCounter: lines });
  const place = (offset: number) => `rates.yaml:${lines.linePos(offset).line}:${lines.linePos(offset).col}`;
  const [broken] = document.errors;
  if (broken) throw new Error(`${place(broken.pos[0])} ${broken.message}\n${CURE}`, { cause: broken });
  const parsed = card.safeParse(document.toJS());
  if (parsed.success) return toCard(parsed.data);
  const problems = parsed.error.issues.map(
    ({ path, message }) => `${place(offsetOf(document, path))} ${path.join(".")} ${message}`,
  );
  throw new Error([...problems, CURE].join("\n"), { cause: parsed.error });
}

/** Where the value at `path` stands, or what would hold it if it is missing. */
function offsetOf(document: ReturnType<typeof parseDocument>, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length -= 1) {
    const node = document.getIn(path.slice(0, length), true);
    if (hasRange(node)) return node.range[0];
  }
  return 0;
}

function hasRange(node: unknown): node is { range: [number, number, number] } {
  return typeof node === "object" && node !== null && "range" in node && Array.isArray(node.range);
}

function toCard({ sources, rates, tiers }: z.output<typeof card>): RateCard {
  return new RateCard(
    rates.map(
      (one): Rate => ({
        key: one.key,
        kind: one.kind,
        provider: one.key.slice(0, one.key.indexOf("/")),
        gpu: one.gpu,
        gpus: one.gpus,
        perHour: one.usd_per_hour,
        asOf: one.as_of,
        source: sources[one.source] ?? one.source,
      }),
    ),
    tiers satisfies readonly TierAlias[],
  );
}
