// `budgetguard usage PERIOD`: what was spent in the current period, as one total or by one dimension.

import { Argument, Option } from "commander";
import type { Spend, Usage } from "../sdk/client.ts";
import { DIMENSIONS, type Dimension, SPEND_PERIODS, type SpendPeriod } from "../sdk/spend.ts";
import { addConnectionOptions, ask, type ConnectionOptions, show } from "./connection.ts";
import { counted } from "./counted.ts";
import type { DefineCommand } from "./define-command.ts";
import { EXIT, type ExitCode, UsageError } from "./exit-code.ts";
import { elapsed, turn } from "./moment.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

export const defineUsage: DefineCommand = (command, terminal, end) => {
  addConnectionOptions(command)
    .addArgument(new Argument("[period]", "the current one").choices(SPEND_PERIODS).default("today"))
    .addOption(new Option("--by <dimension>", "a row for each value").choices(DIMENSIONS))
    .option("--provider <name>", "only this provider")
    .option("--model <name>", "only this model")
    .option("--user <name>", "only this user")
    .addHelpText("after", "\nExample:\n  $ budgetguard usage monthly --by user")
    .action(async (period: SpendPeriod, options: UsageOptions) =>
      end(await usage(terminal, period, options)),
    );
};

interface UsageOptions extends ConnectionOptions {
  readonly by?: Dimension;
  readonly provider?: string;
  readonly model?: string;
  readonly user?: string;
}

function usage(terminal: Terminal, period: SpendPeriod, options: UsageOptions): Promise<ExitCode> {
  const { by, provider, model, user } = options;
  const filters = Object.entries({ provider, model, user }).filter(([, value]) => value !== undefined);
  if (by !== undefined && filters.length > 0) {
    throw new UsageError("--by goes with no filter: take away --provider, --model and --user, or --by");
  }
  return ask(terminal, options, "read", async (client) => {
    if (by === undefined) {
      const found = await client.usage({ period, ...Object.fromEntries(filters) });
      show(terminal, options, found, totalText);
    } else {
      show(terminal, options, await client.spend({ period, by }), (found) => rowsText(found, terminal));
    }
    return EXIT.ok;
  });
}

function totalText(found: Usage): string {
  const { requests, images, elapsed_us, amount_usd, provider, model, user } = found;
  const filters = Object.entries({ provider, model, user }).filter(([, value]) => value !== null);
  const only = filters.map(([name, value]) => `, ${name} ${value}`).join("");
  const work = `${counted(requests, "request")}, ${counted(images, "image")}, ${elapsed(elapsed_us)} of work`;
  const tokens = hasTokens(found) ? `, ${found.input_tokens} tokens in and ${found.output_tokens} out` : "";
  return `${windowText(found)}${only}\n${amount_usd} USD for ${work}${tokens}`;
}

type Sums = Spend["total"];

/** Where no LLM told its usage, columns of zeros would only take room. */
function hasTokens({ input_tokens, output_tokens }: Sums): boolean {
  return input_tokens + output_tokens > 0;
}

function rowsText(found: Spend, { out }: Terminal): string {
  const isTold = hasTokens(found.total);
  const row = (value: string, sums: Sums) => [
    value,
    String(sums.requests),
    String(sums.images),
    elapsed(sums.elapsed_us),
    ...(isTold ? [String(sums.input_tokens), String(sums.output_tokens)] : []),
    sums.amount_usd,
  ];
  const rows = found.rows.map((each) => row(each.value === "" ? "(none said)" : each.value, each));
  const total = found.by === "total" ? [] : [row("total", found.total)];
  const columns = [
    { title: found.by, wraps: true },
    { title: "requests", align: "right" },
    { title: "images", align: "right" },
    { title: "work", align: "right" },
    ...(isTold ? TOKEN_COLUMNS : []),
    { title: "USD", align: "point" },
  ] as const;
  return `${windowText(found)}\n${table(out, columns, [...rows, ...total])}`;
}

const TOKEN_COLUMNS = [
  { title: "tokens in", align: "right" },
  { title: "out", align: "right" },
] as const;

function windowText({ period, starts_at, ends_at, timezone }: Usage | Spend): string {
  return `${period}, ${turn(starts_at, timezone)} to ${turn(ends_at, timezone)}`;
}
