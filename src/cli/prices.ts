// `budgetguard prices list` and `prices update`: what machines cost an hour, who says so and how old that is;
// and the word to fetch live prices now.

import { setTimeout as pause } from "node:timers/promises";
import { Option } from "commander";
import type { BudgetGuardClient, PricePage, PriceRow, PriceSources } from "../sdk/client.ts";
import { PRICE_SOURCES } from "../sdk/vocabulary.ts";
import { addConnectionOptions, ask, type ConnectionOptions, show } from "./connection.ts";
import { counted } from "./counted.ts";
import type { DefineCommand } from "./define-command.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { moment } from "./moment.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

export const definePrices: DefineCommand = (command, terminal, end) => {
  command.addHelpText("after", "\nExample:\n  $ budgetguard prices list --provider aws");
  addConnectionOptions(command.command("list").description("the price list, by key"))
    .option("--provider <name>", "only this one's, such as aws")
    .addHelpText("after", "\nExample:\n  $ budgetguard prices list --provider aws")
    .action(async (options: ListOptions) => end(await list(terminal, options)));
  addConnectionOptions(command.command("update").description("fetch live prices now"))
    .addOption(new Option("--source <name>", "only this one's").choices(PRICE_SOURCES))
    .addHelpText(
      "after",
      "\nExits with 1 if a source has no answer.\nExample:\n  $ budgetguard prices update",
    )
    .action(async (options: UpdateOptions) => end(await update(terminal, options)));
};

interface ListOptions extends ConnectionOptions {
  readonly provider?: string;
}

interface UpdateOptions extends ConnectionOptions {
  readonly source?: (typeof PRICE_SOURCES)[number];
}

function list(terminal: Terminal, options: ListOptions): Promise<ExitCode> {
  return ask(terminal, options, "read", async (client) => {
    const page = await whole(client, options.provider);
    show(terminal, options, page, (found) => listText(found, terminal));
    return EXIT.ok;
  });
}

async function whole(client: BudgetGuardClient, provider: string | undefined): Promise<PricePage> {
  const asked = { limit: 1000, ...(provider !== undefined && { provider }) };
  let page = await client.prices(asked);
  const items = [...page.items];
  while (page.next !== null) {
    page = await client.prices({ ...asked, after: page.next });
    items.push(...page.items);
  }
  return { ...page, items };
}

function listText(page: PricePage, terminal: Terminal): string {
  const columns = [
    { title: "rate" },
    { title: "kind" },
    { title: "USD/h", align: "point" },
    { title: "gpus", align: "right" },
    { title: "source", wraps: true },
    { title: "as of" },
    { title: "age", align: "right" },
    { title: "trust", wraps: true },
    { title: "used by", wraps: true },
  ] as const;
  const rows = page.items.map((row) => [
    row.rate,
    row.kind,
    row.usd_per_hour,
    row.gpus === 0 ? "" : String(row.gpus),
    // Where a shipped figure was read stands behind it, and in --json.
    row.source.replace(/, (?:in|quoted by) .*/, ""),
    row.as_of.replace(/^(\d{4}-\d\d-\d\dT\d\d:\d\d).*/, "$1Z"),
    row.age_us === null ? "unknown" : ageText(row.age_us),
    trustText(row),
    row.upstreams.join(", "),
  ]);
  const prices = rows.length === 0 ? "no prices" : table(terminal.out, columns, rows);
  const licence =
    page.licence_usd_per_gpu_hour === "0.00"
      ? []
      : [`licence: ${page.licence_usd_per_gpu_hour} USD for each GPU and hour on top`];
  return [prices, ...licence, ...sourceLines(page, terminal)].join("\n");
}

function trustText({ verified, live, stale, unverified_because }: PriceRow): string {
  const why = unverified_because === "no second source has it" ? "unverified" : unverified_because;
  const parts = [live ? "live" : "shipped", verified ? "verified" : (why ?? ""), ...(stale ? ["stale"] : [])];
  return parts.join(", ");
}

const UNITS = [
  ["d", 86_400_000_000],
  ["h", 3_600_000_000],
  ["min", 60_000_000],
] as const;

/** The largest unit that fits. */
function ageText(us: number): string {
  const found = UNITS.find(([, unit]) => us >= unit);
  return found === undefined ? "now" : `${Math.floor(us / found[1])} ${found[0]}`;
}

/** Nobody waits for a source longer than the gateway does. */
const LONGEST_MS = 6 * 60_000;
const LOOK_MS = 1000;

function update(terminal: Terminal, options: UpdateOptions): Promise<ExitCode> {
  const { source } = options;
  return ask(terminal, options, "write", async (client) => {
    let found: PriceSources = await client.updatePrices(source === undefined ? {} : { sources: [source] });
    const until = performance.now() + LONGEST_MS;
    while (asked(found, source).some(({ fetching }) => fetching) && performance.now() < until) {
      await pause(LOOK_MS);
      found = await client.prices({ limit: 1 });
    }
    const { sources, suspects, suspect_count } = found;
    show(terminal, options, { sources, suspects, suspect_count }, (all) =>
      sourceLines(all, terminal).join("\n"),
    );
    return asked(found, source).every(({ trouble }) => trouble === null) ? EXIT.ok : EXIT.problem;
  });
}

function asked({ sources }: PriceSources, source: string | undefined): PriceSources["sources"] {
  return source === undefined ? sources : sources.filter(({ name }) => name === source);
}

function sourceLines(
  { sources, suspects, suspect_count }: PriceSources,
  terminal: Terminal,
): readonly string[] {
  const at = (instant: string) => moment(instant, terminal.timeZone);
  const lines = sources.map(({ name, answered_at, trouble, fetching, notes }) => {
    const answered = answered_at === null ? "never fetched" : `fetched ${at(answered_at)}`;
    const failed = trouble === null ? [] : [`failed ${at(trouble.at)}: ${trouble.why}`];
    return [`${name}: ${answered}`, ...failed, ...notes, ...(fetching ? ["being fetched"] : [])].join("; ");
  });
  if (suspect_count === 0) return lines;
  const kept = suspects.map(
    ({ rate, kind, usd_per_hour, before_usd_per_hour }) =>
      `  ${rate} ${kind}: ${before_usd_per_hour} goes on, ${usd_per_hour} USD/h was fetched`,
  );
  const head = `${counted(suspect_count, "price")} jumped and not believed until a second refresh agrees:`;
  return [...lines, head, ...kept];
}
