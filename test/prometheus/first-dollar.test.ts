// What a real Prometheus makes of the first events in a series' life: `increase` sees the step only where the
// series was there before it.

import test from "ava";
import { startNim } from "../../src/demo/nim.ts";
import { startGateway } from "../support/gateway.ts";
import { askImage, eventually } from "../support/gateway-client.ts";
import { needs } from "../support/real.ts";
import { startPrometheus } from "./real-prometheus.ts";

const GUEST = { headers: { "X-BudgetGuard-User": "guest" } };

test(
  "the first dollar is seen, and so are the first refusal and the first of an upstream that a reload brings",
  needs("prometheus", async (t, program) => {
    t.timeout(120_000);
    const nim = await startNim({ scale: 0 });
    const policy = (upstream: string) => `version: 1
mode: lowest_price
upstreams:
  ${upstream}: { provider: other, url: "${nim.url}", price: { usd_per_request: 1.50 } }
models:
  flux-dev: { upstreams: [${upstream}] }
budgets:
  - { id: guests, when: { user: guest }, limit_usd: 0.01, period: daily, on_limit: block }
`;
    const gateway = await startGateway(policy("pod"));
    const prometheus = await startPrometheus(program, new URL(gateway.daemon.admin).host);
    t.teardown(async () => {
      await prometheus.stop();
      await gateway.stop();
      await nim.close();
    });
    const isSeen = (what: string, series: string, by: number) =>
      eventually(what, async () => {
        const [increase = 0] = await prometheus.ask(`sum(increase(${series}[5m]))`);
        return increase >= by;
      });
    const isScraped = (upstream: string) =>
      eventually("it was scraped before anything happened", async () => {
        const [time] = await prometheus.ask(
          `count_over_time(budgetguard_cost_usd_total{upstream="${upstream}"}[5m])`,
        );
        return (time ?? 0) >= 1;
      });
    await isScraped("pod");
    t.is((await askImage(gateway.url)).status, 200);
    t.is((await askImage(gateway.url, GUEST)).status, 402);
    await isSeen("the first dollar and a half", 'budgetguard_cost_usd_total{upstream="pod"}', 1.5);
    await isSeen("the first request", 'budgetguard_requests_total{outcome="relayed"}', 1);
    await isSeen("the first refusal", 'budgetguard_requests_total{outcome="refused"}', 1);
    await isSeen("the budget's first refusal", 'budgetguard_decisions_total{action="block"}', 1);

    gateway.folder.save(policy("pod-two"));
    await isScraped("pod-two");
    t.is((await askImage(gateway.url)).status, 200);
    await isSeen("the first dollar elsewhere", 'budgetguard_cost_usd_total{upstream="pod-two"}', 1.5);
  }),
);
