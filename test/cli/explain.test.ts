// What was decided, looked back at, and what would be, looked ahead: explain and estimate.

import { stripVTControlCharacters } from "node:util";
import test from "ava";
import { quantityOf } from "../../src/metering/quantity.ts";
import { explanation, houseOf, requestOf, studioDay, today, usd } from "../admin/house-of-functions.ts";
import { daemon } from "./admin-daemon.ts";

test("explain tells who asked what, candidates, budgets before and after, rule and cost", async (t) => {
  const { run } = await daemon(t);
  const { code, stdout } = await run("explain r-1");
  t.is(code, 0);
  t.is(
    stdout,
    [
      "Request r-1 (the client's c-1)",
      "alice asked for flux-dev on 2026-11-22 11:15:00 Europe/Berlin, workflow poster.",
      "It was served by flux-aws (aws), which answered 200, after 12 s.",
      "",
      "Rule  the lowest price whose budgets fit (mode lowest_price, policy test)",
      "Budgets would have let through: flux-local (0.00 USD).",
      "",
      "candidate  provider  estimate USD  time  price        source                                           age     outcome",
      "flux-aws   aws        0.003353334  12 s  1.006 USD/h  rate card aws/us-east-1/g5.xlarge of 2026-11-20  2 days  chosen",
      "Times: flux-aws 12 s, learned from 12 requests.",
      "",
      "Budgets before, for flux-aws",
      "budget      limit  unit      settled  held       needed  fits  resets",
      "studio-day  20.00  USD   0.000000001  0.00  0.003353334  yes   2026-11-23 01:00 Europe/Berlin",
      "",
      "Budgets after",
      "budget      limit  unit      settled  held          left",
      "studio-day  20.00  USD   0.003353334  0.00  19.996646666",
      "",
      "Cost  0.003353333 USD for 12 s of work; estimated 0.003353334 USD, 0.003353334 USD held",
      "",
    ].join("\n"),
  );
});

test("explain fits a narrow screen without breaking an amount", async (t) => {
  const { run } = await daemon(t);
  const { stdout } = await run("explain r-1", { width: 80, hasColour: true });
  const tables = stripVTControlCharacters(stdout).split("\n");
  for (const line of tables) t.true(line.length <= 80, line);
  t.regex(stripVTControlCharacters(stdout), /\nsource +rate card aws\/us-east-1\/g5\.xlarge of 2026-11-20\n/);
});

test("explain finds the last request, a running one, a refused one, and one that no budget refused", async (t) => {
  const tooDear = explanation.candidates.map((one) => ({
    ...one,
    budgets: one.budgets.map((each) => ({ ...each, fits: false })),
  }));
  const refused = requestOf("r-9", {
    ...{
      outcome: "refused",
      upstream: undefined,
      provider: undefined,
      status: undefined,
      charged: undefined,
    },
    ...{
      elapsed: undefined,
      after: [],
      explanation: { ...explanation, chosen: undefined, alternatives: [], candidates: tooDear },
    },
  });
  const stopped = { ...refused, explanation: { ...refused.explanation, candidates: explanation.candidates } };
  const { run } = await daemon(t, {
    request: async (id) => ({ "r-9": refused, "r-7": stopped })[id] ?? houseOf().request(id),
  });
  t.regex((await run("explain last")).stdout, /^Request r-3 .*\n.*\nIt is being served by flux-aws/);
  t.regex(
    (await run("explain last")).stdout,
    /\nCost {2}not known while it runs; estimated 0\.003353334 USD/,
  );
  const { stdout } = await run("explain r-9");
  t.regex(stdout, /\nIt ended as refused\.\n/);
  t.regex(stdout, /\nBudgets would have let nothing through\.\n/);
  t.regex(stdout, /\nstudio-day +20\.00 .* 2026-11-23/);
  t.regex(stdout, /\nCost {2}nothing was sent, and nothing is charged\n/);
  t.regex((await run("explain r-7")).stdout, /\nNo budget stood in its way\.\n/);
});

test("what ended early is not said to be its upstream's doing", async (t) => {
  const aborted = requestOf("r-8", { outcome: "aborted", status: undefined });
  const { run } = await daemon(t, { request: async () => aborted });
  t.regex((await run("explain r-8")).stdout, /\nIt ended as aborted at flux-aws \(aws\), after /);
});

test("explain of a budget tells how it stands; of nothing, that there is none", async (t) => {
  const { run } = await daemon(t);
  t.regex(
    (await run("explain studio-day")).stdout,
    /^Budget studio-day: the studio's day\nIt can refuse work\.\n/,
  );
  t.is(JSON.parse((await run("explain r-404 --json")).stdout).error.code, "not_found");
  const none = await run("explain r-404");
  t.is(none.code, 1);
  t.regex(
    none.stderr,
    /no request has the id r-404, no client sent it .*budgetguard explain last .*budgetguard status/,
  );
  const empty = await daemon(t, { requests: async () => ({ rows: [], more: false }) });
  t.deepEqual(await empty.run("explain last"), {
    code: 1,
    stdout: "",
    stderr: "there are no requests yet\n",
  });
});

test("a budget that has no balance is told all the same", async (t) => {
  const state = houseOf().policy();
  const budgets = [
    { ...studioDay, id: "artist-day", per: "user" as const },
    { ...studioDay, id: "old", enabled: false },
    { ...studioDay, id: "one-image", period: "per_task" as const, description: "" },
    { ...studioDay, id: "pictures", limits: new Map([["images", quantityOf(10)] as const]) },
  ];
  const { run } = await daemon(t, {
    policy: () => ({ ...state, policy: { ...state.policy, budgets } }),
    status: () => ({ ...houseOf().status(), budgets: [] }),
  });
  const told = [
    ["artist-day", "nothing counted yet (20.00 USD daily per user, at the limit: block)"],
    ["old", "disabled"],
    ["one-image", "nothing under way (20.00 USD per_task, at the limit: block)"],
    ["pictures", "nothing counted yet (10 images daily, at the limit: block)"],
  ] as const;
  const { stdout } = await run("status");
  for (const [id, text] of told) {
    t.true(stdout.includes(`\nbudget ${id}: ${text}\n`), stdout);
    t.true((await run(`explain ${id}`)).stdout.endsWith(`\n\n${text}\n`));
  }
  t.like(JSON.parse((await run("explain old --json")).stdout), { budget: { id: "old" }, balances: [] });
});

test("an escape sequence in a label reaches programs as it is, and screens not at all", async (t) => {
  const label = "\u001b[2Jalice";
  const { labels } = requestOf("r-1");
  const { run } = await daemon(t, {
    request: async () => requestOf("r-1", { labels: { ...labels, user: label } }),
  });
  t.false((await run("explain r-1")).stdout.includes("\u001b"));
  t.is(JSON.parse((await run("explain r-1 --json")).stdout).labels.user, label);
});

test("estimate says what would happen, and ends with 1 unless it would be served", async (t) => {
  const asked: unknown[] = [];
  const [candidate] = explanation.candidates;
  if (candidate === undefined) throw new Error("the explanation has a candidate");
  const breach = {
    ...{ budget: "studio-day", action: "block" as const, unit: "usd" as const, limit: usd(20_000_000_000) },
  };
  const { run } = await daemon(t, {
    async estimate(query) {
      asked.push(query);
      if (query.images > 1) {
        const amounts = { settled: usd(20_000_000_000), held: usd(0), needed: usd(1) };
        const turns = { resets: today.end, timezone: "UTC", alternatives: [] };
        return { kind: "refuse", breach: { ...breach, ...amounts, ...turns }, explanation };
      }
      return houseOf().estimate(query);
    },
  });
  const none = await run("estimate flux-dev --size 1024x768 --steps 4 --user alice --tag poster");
  t.is(none.code, 1);
  t.regex(none.stdout, /^flux-dev has no upstream: no upstream is local\.\n/);
  t.like(asked[0], { width: 1024, height: 768, steps: 4, images: 1 });
  t.like((asked[0] as { labels: object }).labels, { user: "alice", tag: "poster" });
  const refused = await run("estimate flux-dev --images 2");
  t.is(refused.code, 1);
  t.regex(
    refused.stdout,
    /budget studio-day \(on_limit: block\) has 20\.00 settled and 0\.00 held of 20\.00 USD, this needs 0\.000000001; it resets 2026-11-23 00:00 UTC\./,
  );
  t.is((await run("estimate flux-pro")).code, 1);
});

test("an estimate of nonsense is wrong usage and is not asked", async (t) => {
  const { run } = await daemon(t, { estimate: async () => t.fail() as never });
  for (const wrong of [
    "--size 0x4",
    "--size big",
    "--steps -1",
    "--images 1.5",
    "--colour red",
    "--images 0",
  ]) {
    t.is((await run(`estimate flux-dev ${wrong}`)).code, 2, wrong);
  }
});

test("a refusal by a budget of one task does not say that it never resets", async (t) => {
  const amounts = {
    unit: "usd" as const,
    limit: usd(2),
    settled: usd(0),
    held: usd(0),
    needed: usd(3),
    resets: undefined,
  };
  const breach = {
    budget: "one-image",
    action: "block" as const,
    timezone: "UTC",
    alternatives: [],
    ...amounts,
  };
  const { run } = await daemon(t, { estimate: async () => ({ kind: "refuse", breach, explanation }) });
  const { stdout } = await run("estimate flux-dev");
  t.regex(stdout, /budget one-image .* this needs 0\.000000003\.\n/);
  t.notRegex(stdout, /never/);
});
