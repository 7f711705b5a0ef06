// The dashboard, the rules and docs/metrics.md speak of the same metrics, and each panel says what it shows.

import test from "ava";
import {
  dashboard,
  dashboardQueries,
  documentedMetrics,
  metricOf,
  metricsIn,
  ruleQueries,
} from "./queries.ts";

test("the dashboard and the rules ask only for metrics that the docs list", async (t) => {
  const documented = await documentedMetrics();
  const unknown = (await asked()).filter((name) => !documented.has(metricOf(name, documented)));
  t.deepEqual(unknown, []);
});

test("each metric that the docs list is shown or watched", async (t) => {
  const documented = await documentedMetrics();
  const used = new Set((await asked()).map((name) => metricOf(name, documented)));
  t.true(documented.size > 15, "docs/metrics.md has no table of metrics any more");
  t.deepEqual(
    [...documented.keys()].filter((name) => !used.has(name)),
    [],
  );
});

test("a counter is only ever asked for its rate or increase", async (t) => {
  const documented = await documentedMetrics();
  const bare = (await dashboardQueries()).filter(({ expr }) =>
    metricsIn(expr)
      .filter((name) => documented.get(name) === "counter" || name.endsWith("_bucket"))
      .some((name) => !new RegExp(`(?:rate|increase)\\(${name}(?:\\{[^}]*\\})?\\[`).test(expr)),
  );
  t.deepEqual(bare, []);
});

test("each panel has a title, a description, a unit, and takes its data from where the viewer says", async (t) => {
  const { panels, schemaVersion, templating } = await dashboard();
  t.true(schemaVersion >= 41);
  t.is(templating.list[0]?.name, "datasource");
  const wanting = panels
    .filter(({ type }) => type !== "row")
    .filter(
      ({ title, description, fieldConfig, datasource, targets }) =>
        title === "" ||
        !description?.endsWith(".") ||
        !fieldConfig?.defaults.unit ||
        targets.length === 0 ||
        [datasource, ...targets.map((target) => target.datasource)].some(
          (it) => it?.uid !== "${" + "datasource}",
        ),
    );
  t.deepEqual(
    wanting.map(({ title }) => title),
    [],
  );
  t.is(new Set(panels.map(({ id }) => id)).size, panels.length, "two panels have one id");
});

test("the dashboard has the rows Money, Requests, Budgets, Containers and Health, in this order", async (t) => {
  const { panels } = await dashboard();
  const rows = panels.filter(({ type }) => type === "row").map(({ title }) => title);
  t.deepEqual(rows, ["Money", "Requests", "Budgets", "Containers", "Health"]);
});

async function asked(): Promise<string[]> {
  const { templating } = await dashboard();
  const variables = templating.list.map(({ query }) => ({ where: "variable", expr: JSON.stringify(query) }));
  const queries = [...(await dashboardQueries()), ...(await ruleQueries()), ...variables];
  return queries.flatMap(({ expr }) => metricsIn(expr));
}
