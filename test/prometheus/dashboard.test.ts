// A real Prometheus scrapes a real gateway: each query of the dashboard brings numbers, and each series that a
// rule watches is there. A metric that is renamed without them breaks this.

import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { startScrapedGateway } from "../support/gateway.ts";
import { needs } from "../support/real.ts";
import { dashboardQueries, documentedMetrics, ruleQueries, selectorsIn } from "./queries.ts";
import { type Prometheus, startPrometheus } from "./real-prometheus.ts";

/** Scrapes are a second apart; a rate needs two, a busy machine more time. */
const MOST_SECONDS = 60;

type Gateway = Awaited<ReturnType<typeof startScrapedGateway>>;
const stops: (() => Promise<void>)[] = [];
let gateway: Gateway;

test.before("start the gateway", async () => {
  gateway = await startScrapedGateway();
  stops.push(() => gateway.stop());
});

test.after.always("stop what was started", async () => {
  for (const stop of stops.reverse()) await stop();
});

test("the gateway serves the metrics that the docs list, each of the type they say", async (t) => {
  await gateway.work();
  const text = await (await fetch(`http://${gateway.address}/metrics`)).text();
  const served = [...text.matchAll(/^# TYPE (budgetguard_\w+) (\w+)$/gm)].map(([, name, type]) => [
    name,
    type,
  ]);
  t.deepEqual(Object.fromEntries(served), Object.fromEntries(await documentedMetrics()));
});

test(
  "each query of the dashboard brings a number, and each series that a rule watches is there",
  needs("prometheus", async (t, program) => {
    t.timeout(2 * MOST_SECONDS * 1000);
    const prometheus = await startPrometheus(program, gateway.address);
    stops.push(() => prometheus.stop());
    const queries = (await dashboardQueries()).map(({ where, expr }) => ({ where, expr: filledIn(expr) }));
    const rules = await ruleQueries();
    const watched = rules.flatMap(({ where, expr }) =>
      selectorsIn(expr).map((each) => ({ where, expr: each })),
    );
    t.true(watched.length >= rules.length, "a rule selects nothing");
    t.deepEqual(await silent(prometheus, [...queries, ...watched]), []);
    await rulesAreEvaluated(t, prometheus, rules.length);
  }),
);

/** What has brought no finite number when time is up. Meanwhile the gateway is kept at work. */
async function silent<Q extends { readonly expr: string }>(prometheus: Prometheus, queries: readonly Q[]) {
  let left = queries;
  for (let second = 0; second < MOST_SECONDS && left.length > 0; second++) {
    await gateway.work();
    await sleep(1000);
    const answers = await Promise.all(left.map(({ expr }) => prometheus.ask(expr)));
    left = left.filter((_, index) => !answers[index]?.some(Number.isFinite));
  }
  return left;
}

async function rulesAreEvaluated(t: ExecutionContext, prometheus: Prometheus, rules: number): Promise<void> {
  for (let second = 0; second < MOST_SECONDS && (await prometheus.rulesEvaluated()) < rules; second++) {
    await sleep(1000);
  }
  t.deepEqual(await prometheus.ruleErrors(), []);
  t.is(await prometheus.rulesEvaluated(), rules);
}

/** As Grafana would write it for "All", with the scrapes of this test. */
function filledIn(expr: string): string {
  return expr
    .replaceAll("$__rate_interval", "10s")
    .replaceAll("$__range", "1m")
    .replaceAll("$job", "budgetguard")
    .replace(/\$(?:instance|model|provider)\b/g, ".*");
}
