// The running gateway learns how long its upstreams take, tries one that it does not know, and still knows it all
// after a restart.

import test, { type ExecutionContext } from "ava";
import { startNim } from "../../src/demo/nim.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { askImage, eventually } from "../support/gateway-client.ts";
import { makeFolder } from "../support/gateway-folder.ts";

const POLICY = (url: string, upstreams: string) => `version: 1
mode: lowest_price
upstreams:
  known: { provider: aws, url: "${url}", price: { usd_per_hour: 4 } }
  newer: { provider: gcp, url: "${url}", price: { usd_per_hour: 0.4 } }
models:
  flux-dev: { upstreams: [${upstreams}], estimate: 12s }
`;

/** Which upstream served, and why. */
async function served(t: ExecutionContext, gateway: Gateway, steps: number) {
  const reply = await askImage(gateway.url, { steps });
  t.is(reply.status, 200);
  const { explanation } = await gateway.client.request(String(reply.headers["x-budgetguard-request"]));
  const chosen = explanation.candidates.find(({ upstream }) => upstream === explanation.chosen);
  return { upstream: explanation.chosen, rule: explanation.rule, source: chosen?.time_source };
}

async function errorRatio(gateway: Gateway): Promise<number> {
  const scraped = await (await fetch(`${gateway.daemon.admin}/metrics`)).text();
  return Number(/^budgetguard_estimate_error_ratio\{model="flux-dev"\} (\S+)$/m.exec(scraped)?.[1]);
}

test("an upstream of unknown speed is tried once an hour for each kind of work, also over a restart", async (t) => {
  const nim = await startNim({ scale: 0.01 });
  const folder = makeFolder(POLICY(nim.url, "known"));
  t.teardown(async () => {
    await nim.close();
    folder.remove();
  });
  const first = await startGateway(undefined, { folder });
  t.teardown(() => first.stop());
  t.is((await served(t, first, 1)).source, "the policy's estimate");
  // Expected 12 s of what takes far less: off by many times what it took.
  t.true((await errorRatio(first)) > 1);
  for (let count = 0; count < 4; count += 1) await served(t, first, 1);
  for (let count = 0; count < 5; count += 1) await served(t, first, 2);
  t.is((await served(t, first, 1)).source, "learned from 5 requests");

  folder.save(POLICY(nim.url, "known, newer"));
  await eventually(
    "both serve",
    async () => (await first.client.estimate({ model: "flux-dev" })).explanation.candidates.length === 2,
  );
  const looked = { model: "flux-dev", width: 64, height: 64, steps: 1 };
  for (let count = 0; count < 2; count += 1) {
    t.is((await first.client.estimate(looked)).explanation.chosen, "newer", "looking ahead tries nothing");
  }
  const tried = await served(t, first, 1);
  t.is(tried.upstream, "newer");
  t.regex(tried.rule, /chosen to learn/);
  t.is((await served(t, first, 1)).upstream, "known");
  // The first try has ended, and this is other work.
  t.is((await served(t, first, 2)).upstream, "newer");
  t.is((await served(t, first, 2)).upstream, "known");
  const ratio = await errorRatio(first);
  await first.stop();

  const second = await startGateway(undefined, { folder });
  t.teardown(() => second.stop());
  t.is(await errorRatio(second), ratio);
  t.like(await served(t, second, 1), { upstream: "known", source: "learned from 7 requests" });
});
