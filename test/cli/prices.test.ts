// `budgetguard prices`: what the list says of each price, and what an update says of each source.

import test from "ava";
import { PRICES } from "../admin/house-of-functions.ts";
import { asAdmin, daemon } from "./admin-daemon.ts";

test("prices list shows rate, figure, source, age and how far it can be trusted", async (t) => {
  const { run } = await daemon(t);
  const { code, stdout } = await run("prices list", { width: 250 });
  t.is(code, 0);
  const [head, first, second, licence, aws, gcp] = stdout.split("\n");
  t.regex(head ?? "", /^rate +kind +USD\/h +gpus +source +as of +age +trust +used by$/);
  t.regex(
    first ?? "",
    /^aws\/us-east-1\/g5\.xlarge +on_demand +1\.006 +1 +AWS Price List API +2026-11-22T09:15Z +1 h +live, verified +flux-aws$/,
  );
  t.regex(second ?? "", /p4d\.24xlarge +on_demand +21\.957642001 +8 .* 125 d +shipped, unverified, stale$/);
  t.is(licence, "licence: 1.00 USD for each GPU and hour on top");
  t.regex(aws ?? "", /^aws: fetched 2026-11-22 /);
  t.regex(
    gcp ?? "",
    /^gcp: never fetched; failed 2026-11-22 .*: it needs an API key: name it with prices\.access/,
  );
});

test("prices list takes all pages, and only one provider's where it is asked", async (t) => {
  const [row] = PRICES.rows;
  if (row === undefined) throw new Error("no row");
  const many = Array.from({ length: 2300 }, (_, at) => {
    const key = `aws/us-east-1/t${String(at).padStart(4, "0")}`;
    return { ...row, rate: { ...row.rate, key } };
  });
  const azure = { ...row, rate: { ...row.rate, key: "azure/eastus/x", provider: "azure" } };
  const { run } = await daemon(t, { prices: () => ({ ...PRICES, rows: [...many, azure] }) });
  const all = JSON.parse((await run("prices list --json")).stdout);
  t.is(new Set(all.items.map(({ rate }: { rate: string }) => rate)).size, 2301);
  t.regex((await run("prices list --provider azure")).stdout, /^rate.*\nazure\/eastus\/x [^\n]*\nlicence/);
  t.regex((await run("prices list --provider moon")).stdout, /^no prices\n/);
});

test("prices update asks all sources or one, and fails where one has no answer", async (t) => {
  const asked: unknown[] = [];
  const { run } = await daemon(t, { updatePrices: async (sources) => void asked.push(sources) });
  const all = await run("prices update", asAdmin);
  t.is(all.code, 1);
  t.regex(all.stdout, /^aws: fetched .*\ngcp: never fetched; failed .*\n$/);
  t.is((await run("prices update --source aws", asAdmin)).code, 0);
  t.deepEqual(asked, [undefined, ["aws"]]);
  t.is((await run("prices update --source moon", asAdmin)).code, 2);
});

test("prices update waits for a source that takes longer than one answer", async (t) => {
  let looks = 0;
  const [aws] = PRICES.sources;
  if (aws === undefined) throw new Error("no source");
  const { run } = await daemon(t, {
    prices: () => {
      looks += 1;
      return { ...PRICES, sources: [{ ...aws, isFetching: looks < 4 }] };
    },
  });
  const { code, stdout } = await run("prices update", asAdmin);
  t.is(code, 0);
  t.notRegex(stdout, /being fetched/);
  t.true(looks >= 4);
});

test("a source that the policy does not name is refused with what to write", async (t) => {
  const { run } = await daemon(t);
  const { code, stderr } = await run("prices update --source azure", asAdmin);
  t.is(code, 1);
  t.regex(stderr, /the policy names azure not: write it in prices\.sources/);
});

test("a jump is shown with what goes on", async (t) => {
  const [row] = PRICES.rows;
  if (row === undefined) throw new Error("no row");
  const suspects = [{ rate: row.rate, before: row.rate.perHour }];
  const { run } = await daemon(t, { prices: () => ({ ...PRICES, suspects }) });
  const told =
    /1 price jumped .*:\n {2}aws\/us-east-1\/g5\.xlarge on_demand: 1\.006 goes on, 1\.006 USD\/h was fetched\n$/;
  t.regex((await run("prices list")).stdout, told);
});

test("prices are everybody's to read, and an operator's to update", async (t) => {
  const { run } = await daemon(t);
  const as = (token: string) => ({ environment: { BUDGETGUARD_TOKEN: token } });
  t.is((await run("prices list", as("reader-token"))).code, 0);
  t.is((await run("prices list", as("alice-token"))).code, 1);
  t.regex((await run("prices update", as("reader-token"))).stderr, /may/);
  t.regex((await run("prices update", as("operator-token"))).stdout, /^aws: fetched/);
});
