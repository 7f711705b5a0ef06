// Reads what is asked of Prometheus, by the dashboard and by the rules, and what docs/metrics.md says there is.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { z } from "zod";

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
export const RULES_FILE = at("config/prometheus/rules.yml");
export const CONFIG_FILE = at("config/prometheus/prometheus.yml");
const DASHBOARD_FILE = at("config/grafana/overview.json");
const METRICS_PAGE = at("docs/metrics.md");

const Panel = z.looseObject({
  id: z.number(),
  type: z.string(),
  title: z.string(),
  description: z.string().optional(),
  fieldConfig: z.object({ defaults: z.looseObject({ unit: z.string() }) }).optional(),
  datasource: z.object({ uid: z.string() }).optional(),
  targets: z
    .array(z.looseObject({ expr: z.string(), datasource: z.object({ uid: z.string() }) }))
    .default([]),
});
export type Panel = z.infer<typeof Panel>;
const Dashboard = z.looseObject({
  schemaVersion: z.number(),
  panels: z.array(Panel),
  templating: z.object({ list: z.array(z.looseObject({ name: z.string(), query: z.unknown() })) }),
});

const RuleFile = z.object({
  groups: z.array(
    z.object({
      rules: z.array(
        z.object({ alert: z.string().optional(), record: z.string().optional(), expr: z.string() }).loose(),
      ),
    }),
  ),
});

export async function dashboard(): Promise<z.infer<typeof Dashboard>> {
  return Dashboard.parse(JSON.parse(await readFile(DASHBOARD_FILE, "utf8")));
}

export interface Query {
  /** What shows or fires it. */
  readonly where: string;
  readonly expr: string;
}

export async function dashboardQueries(): Promise<Query[]> {
  const { panels } = await dashboard();
  return panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ where: title, expr })));
}

export async function ruleQueries(): Promise<Query[]> {
  const { groups } = RuleFile.parse(parse(await readFile(RULES_FILE, "utf8")));
  const rules = groups.flatMap((group) => group.rules);
  return rules.map(({ alert, record, expr }) => ({ where: alert ?? record ?? "", expr }));
}

/** The names of the gateway's own metrics, as exposed: with _bucket and the like, without recorded series. */
export function metricsIn(expr: string): string[] {
  return [...new Set(expr.match(/(?<![\w:])budgetguard_\w+(?!:)\b/g) ?? [])];
}

/** Each series that the expression selects, recorded ones included, without windows and functions. */
export function selectorsIn(expr: string): string[] {
  return [...new Set(expr.match(/(?:\w+:)?\bbudgetguard_\w+(?::\w+)*(?:\{[^}]*\})?|\bup\{[^}]*\}/g) ?? [])];
}

/** Name and type of each metric in the page's table. */
export async function documentedMetrics(): Promise<Map<string, string>> {
  const rows = (await readFile(METRICS_PAGE, "utf8")).matchAll(/^\| `(budgetguard_\w+)` \| (\w+)/gm);
  return new Map([...rows].map(([, name = "", type = ""]) => [name, type]));
}

/** "x_bucket" is of the metric "x" where "x" is a histogram. */
export function metricOf(name: string, documented: ReadonlyMap<string, string>): string {
  const base = name.replace(/_(?:bucket|sum|count)$/, "");
  return documented.get(base) === "histogram" ? base : name;
}
