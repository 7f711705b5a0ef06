// What `check` says of budgets that are sound and may surprise all the same.

import test, { type ExecutionContext } from "ava";
import { file, notes } from "./reading.ts";

/** The notes on budgets, but not those on keys that are not active yet. */
function check(t: ExecutionContext, given: string, expected: readonly RegExp[]) {
  const told = notes(given).filter((each) => each.includes(" budgets[") && !each.includes("not active yet"));
  t.is(told.length, expected.length, told.join("\n"));
  for (const [index, pattern] of expected.entries()) t.regex(told[index] ?? "", pattern);
}

const DOCKER = "container: {docker: {name: X}}";
const PRICED = `  b: {provider: other, url: http://h, price: {usd_per_hour: 1}, ${DOCKER}}\n`;
const budget = (more: string) => `identity: token\nbudgets: [{id: a, limit_usd: 1, ${more}}]`;

test("a budget that container money never reaches says so, and how to mean it", (t) => {
  const told = (narrow: string) =>
    new RegExp(
      `budgets\\[0\\]: idle and start-up money of containers never counts here: it belongs to no ${narrow}; include_idle: false says so`,
    );
  check(t, file(budget("when: {tag: x}"), PRICED), [told("tag")]);
  check(t, file(budget("per: user"), PRICED), [told("user")]);
  check(t, file(budget("per: user, include_idle: false"), PRICED), []);
  check(t, file(budget("when: {provider: other}"), PRICED), []);
  const fold = /budgets\[0\]\.period: when this budget is new/;
  check(t, file(budget("period: per_task"), PRICED), [told("task"), fold]);
  check(t, file(budget("period: per_session"), PRICED), [told("session"), fold]);
});

test("where no container that it covers costs anything, nothing is missed", (t) => {
  check(t, file(budget("when: {tag: x}")), []);
  check(t, file(budget("when: {tag: x}"), `  b: {provider: local, ${DOCKER}}\n`), []);
  check(t, file(budget("when: {tag: x, provider: local}"), PRICED), []);
  check(t, file(budget("when: {model: flux-dev}"), PRICED), []);
});

test("an upstream on a machine with others gets no container money", (t) => {
  const on = (id: string) => `  ${id}: {provider: other, url: "http://${id}", machine: m}\n`;
  const machine = "\nmachines: {m: {price: {usd_per_hour: 1}}}";
  const shared =
    /budgets\[0\]: idle and start-up money of machine m never counts here: it serves b, c; include_idle/;
  for (const scope of ["when: {upstream: b}", "per: upstream"]) {
    check(t, file(budget(scope) + machine, on("b") + on("c")), [shared]);
    check(t, file(budget(scope) + machine, on("b")), []);
  }
});

test("a fold that cannot be exact is told", (t) => {
  check(t, file(budget("period: per_task")), [
    /\.period: when this budget is new, what a task spent more than a day before does not count/,
  ]);
  // Entries are kept for longer than a year.
  check(t, file(budget("period: yearly, when: {tag: x}")), []);
  check(t, file(budget("period: infinite")), []);
  check(t, file(budget("period: infinite, per: provider, when: {provider: other}")), []);
  const gone =
    /\.period: when this budget is new, it misses what is older than 400 days where those entries are gone: longer than that only sums by one of provider, model, upstream, user, workflow, project are kept/;
  for (const keys of ["when: {tag: x}", "per: node", "per: user, when: {provider: other}"])
    check(t, file(budget(`period: infinite, ${keys}`)), [gone]);
  check(t, file(budget("period: infinite, enabled: false, per: node")), [/disabled/]);
  check(t, file(budget("period: infinite, per: workflow")), [
    /\.period: when this budget is new, it may miss some of days more than 400 days ago on which there were more than 1000 workflows/,
  ]);
});

test("a user who is no client, and a tier that no upstream has, are told where they stand", (t) => {
  const clients = `clients: {alice: {token_sha256: "${"ab".repeat(32)}"}}\n`;
  check(t, file(clients + budget("when: {user: [alice, alise]}")), [
    /when\.user\[1\]: no client here is named "alise" \(did you mean "alice"\?\)/,
  ]);
  const tier = "  b: {provider: aws, url: http://h, gpu_tier: a10g}\n";
  check(t, file(budget("when: {gpu_tier: [A10G, a10]}"), tier), [
    /when\.gpu_tier\[1\]: no upstream has gpu_tier "a10" \(did you mean "a10g"\?\); there are: a10g/,
  ]);
});
