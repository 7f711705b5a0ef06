// `explain BUDGET` over real sockets: where the money went, what made an excess, and what would pass now.

import test, { type ExecutionContext } from "ava";
import { cli } from "../support/cli.ts";
import { startGateway } from "../support/gateway.ts";
import { askImage, eventually } from "../support/gateway-client.ts";
import { slowUpstream } from "../support/slow-upstream.ts";

const policyOf = (url: string, day: string, more = "") => `version: 1
mode: lowest_price
timezone: Europe/Berlin
upstreams:
  flux-dear: { provider: aws, url: "${url}", price: { usd_per_request: 0.04 }, gpu_tier: a10g }
models:
  flux-dev: { upstreams: [flux-dear] }
budgets:
  - { id: day, limit_usd: ${day}, period: daily, on_limit: block, description: "the studio's day" }
  - { id: artist, per: user, limit_usd: 0.08, period: daily, on_limit: block }
${more}`;

async function begin(t: ExecutionContext) {
  const upstream = await slowUpstream();
  upstream.release("all");
  const gateway = await startGateway(policyOf(upstream.url, "1.00"));
  t.teardown(async () => {
    await gateway.stop();
    await upstream.stop();
  });
  const ask = async (user: string) =>
    (await askImage(gateway.url, { headers: { "X-BudgetGuard-User": user } })).status;
  const save = async (text: string) => {
    const before = (await gateway.client.policy()).digest;
    gateway.folder.save(text);
    await eventually("the policy is in force", async () => (await gateway.client.policy()).digest !== before);
  };
  const explain = (id: string) => cli(["explain", id, "--admin", gateway.daemon.admin]);
  return { gateway, upstream, ask, save, explain };
}

test("it says where the money went, by model, user and upstream, which requests took most, and what would pass", async (t) => {
  const { gateway, ask, explain } = await begin(t);
  for (const user of ["ann", "ann", "bob"]) t.is(await ask(user), 200);
  const found = await gateway.client.explainBudget("day");
  const [account] = found.accounts;
  const amounts = (rows: readonly { value: string; amount_usd: string }[] = []) =>
    rows.map(({ value, amount_usd }) => [value, amount_usd]);
  t.deepEqual(amounts(account?.by_model), [["flux-dev", "0.12"]]);
  t.deepEqual(amounts(account?.by_user), [
    ["ann", "0.08"],
    ["bob", "0.04"],
  ]);
  t.deepEqual(amounts(account?.by_upstream), [["flux-dear", "0.12"]]);
  t.is(account?.requests.length, 3);
  t.like(account, { over: "0.00", causes: [] });
  t.like(found.passing[0], {
    model: "flux-dev",
    upstream: "flux-dear",
    needed: "0.04",
    fits: true,
    chosen: true,
  });
  const { code, stdout } = await explain("day");
  t.is(code, 0);
  t.regex(
    stdout,
    /^Budget day: the studio's day\nIt can refuse work\.\n\nbudget .*\nday +ok +1\.00 +USD +0\.12 +0\.00 +0\.88 /,
  );
  t.regex(stdout, /\nuser ann +2 .* 0\.08\n/);
  t.regex(stdout, /\nflux-dev +flux-dear +0\.04 USD +fits +would be served here\n$/);
});

test("of a budget per user each balance is told apart, and one that is spent says what would be refused", async (t) => {
  const { gateway, ask } = await begin(t);
  for (const user of ["ann", "ann", "bob"]) t.is(await ask(user), 200);
  const { accounts, passing } = await gateway.client.explainBudget("artist");
  t.deepEqual(
    accounts.map(({ value, by_user }) => [value, by_user[0]?.amount_usd]),
    [
      ["ann", "0.08"],
      ["bob", "0.04"],
    ],
  );
  t.like(passing[0], {
    upstream: "flux-dear",
    needed: "0.04",
    fits: false,
    chosen: false,
    decision: "refuse",
  });
});

test("a limit that was lowered below what is spent is told as the cause, with by how much", async (t) => {
  const { gateway, upstream, ask, save, explain } = await begin(t);
  for (const user of ["ann", "ann", "bob"]) t.is(await ask(user), 200);
  await save(policyOf(upstream.url, "0.05"));
  const [account] = (await gateway.client.explainBudget("day")).accounts;
  t.is(account?.over, "0.07");
  t.deepEqual(account?.causes, [{ cause: "limit_lowered", at_most: "0.95", count: 1, at: null }]);
  const { stdout } = await explain("day");
  t.regex(
    stdout,
    /\nThe balance is 0\.07 USD over its limit\. What cannot be refused and came to it:\n {2}the limit was lowered in this period, at most 0\.95 USD\n/,
  );
});

test("a budget that came after the money was spent says so, and when", async (t) => {
  const { gateway, upstream, ask, save } = await begin(t);
  for (const user of ["ann", "ann", "bob"]) t.is(await ask(user), 200);
  const late = "  - { id: late, when: { user: ann }, limit_usd: 0.03, period: daily, on_limit: block }\n";
  await save(policyOf(upstream.url, "1.00", late));
  const [account] = (await gateway.client.explainBudget("late")).accounts;
  t.is(account?.over, "0.05");
  const [cause] = account?.causes ?? [];
  t.like(cause, { cause: "reload", at_most: "0.05" });
  t.truthy(cause?.at);
});

test("a budget that came while nothing was spent is no cause of what passes its limit later", async (t) => {
  const { gateway, upstream, ask, save } = await begin(t);
  t.is(await ask("bob"), 200);
  const late = (what: string) =>
    policyOf(upstream.url, "1.00", `  - { id: late, when: { user: ann }, period: daily, ${what} }\n`);
  await save(late("limit_usd: 1, on_limit: block"));
  for (const user of ["ann", "ann"]) t.is(await ask(user), 200);
  await save(late("limit_usd: 0.03, on_limit: block"));
  const [account] = (await gateway.client.explainBudget("late")).accounts;
  t.deepEqual(
    account?.causes.map(({ cause }) => cause),
    ["limit_lowered"],
  );
});

test("a budget that refuses nothing says so where it is over its limit, and since when it does once it does", async (t) => {
  const { gateway, upstream, ask, save, explain } = await begin(t);
  const own = (what: string) =>
    policyOf(upstream.url, "1.00", `  - { id: ann, when: { user: ann }, limit_usd: 0.03, ${what} }\n`);
  await save(own("on_limit: warn"));
  for (const user of ["ann", "ann"]) t.is(await ask(user), 200);
  const [watching] = (await gateway.client.explainBudget("ann")).accounts;
  t.deepEqual(watching?.causes, [{ cause: "not_enforced", at_most: "0.05", count: 1, at: null }]);
  t.regex((await explain("ann")).stdout, /\n {2}this budget refuses no work now, at most 0\.05 USD\n/);
  await save(own("on_limit: block"));
  const [refusing] = (await gateway.client.explainBudget("ann")).accounts;
  t.like(refusing?.causes[0], { cause: "reload", at_most: "0.05" });
  t.truthy(refusing?.causes[0]?.at);
});

test("one that came onto a balance that another one had already counted says since when", async (t) => {
  const { gateway, upstream, ask, save } = await begin(t);
  for (const user of ["ann", "ann"]) t.is(await ask(user), 200);
  const twin = "  - { id: twin, limit_usd: 0.03, period: daily, on_limit: block }\n";
  await save(policyOf(upstream.url, "1.00", twin));
  const [account] = (await gateway.client.explainBudget("twin")).accounts;
  t.like(account?.causes[0], { cause: "reload", at_most: "0.05" });
});

test("a user who had a budget of their own, and has it no more, is told since when the common one judges", async (t) => {
  const { gateway, upstream, ask, save } = await begin(t);
  const own = "  - { id: ann, when: { user: ann }, limit_usd: 1, period: daily, on_limit: block }\n";
  await save(policyOf(upstream.url, "1.00", own));
  for (const user of ["ann", "ann", "ann"]) t.is(await ask(user), 200);
  await save(policyOf(upstream.url, "1.00"));
  const [account] = (await gateway.client.explainBudget("artist")).accounts;
  t.like(account, { value: "ann", over: "0.04" });
  t.like(account?.causes[0], { cause: "reload", at_most: "0.04" });
});

test("of no budget it says that there is none, and ends with 1", async (t) => {
  const { gateway, explain } = await begin(t);
  const { code, stderr } = await explain("nothing");
  t.is(code, 1);
  t.regex(stderr, /no budget has that id/);
  await t.throwsAsync(gateway.client.explainBudget("nothing"), { message: /the policy has: day, artist/ });
});
