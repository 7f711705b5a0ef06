// `budgetguard alerts`, against a real admin surface over a house of functions.

import test from "ava";
import { houseOf } from "../admin/house-of-functions.ts";
import { asAdmin, daemon } from "./admin-daemon.ts";

const TEXT = "budget studio-day has used 75 % of its limit: 15.00 of 20.00 USD";

test("alerts list shows what was told, in the time zone of its period", async (t) => {
  const { run } = await daemon(t);
  const { code, stdout } = await run("alerts list", { width: 200 });
  t.is(code, 0);
  const row = /2026-11-22 11:15:00 Europe\/Berlin +warning +budget studio-day has used 75 % .* +a-1/;
  t.regex(stdout, new RegExp(`^at +event +what +id\n${row.source}\n$`));
});

test("a list that goes on says how", async (t) => {
  const { rows } = await houseOf().alerts({ limit: 1, before: undefined, where: {} });
  const { run } = await daemon(t, { alerts: async () => ({ rows, more: true }) });
  t.regex((await run("alerts list")).stdout, /\nolder ones: budgetguard alerts list --before a-1\n$/);
});

test("alerts list asks for the next page with what the API said, and hands filters on", async (t) => {
  const asked: unknown[] = [];
  const { run } = await daemon(t, {
    alerts: async (query) => {
      asked.push(query);
      return { rows: [], more: false };
    },
  });
  const { code, stdout } = await run("alerts list --open --severity critical --before a-2");
  t.deepEqual([code, stdout], [0, "no alerts\n"]);
  t.deepEqual(asked, [{ limit: 20, before: "a-2", where: { severity: "critical", acknowledged: false } }]);
  t.is((await run("alerts list --severity loud")).code, 2);
});

test("an alert is acknowledged with a token, and not without one", async (t) => {
  const { run } = await daemon(t);
  const { code, stdout } = await run("alerts acknowledge a-1", asAdmin);
  t.is(code, 0);
  t.is(stdout, `acknowledged by admin, 2026-11-22 11:15:00 Europe/Berlin: ${TEXT}\n`);
  t.is((await run("alerts acknowledge a-1")).code, 1);
  const unknown = await run("alerts acknowledge a-9", asAdmin);
  t.is(unknown.code, 1);
  t.regex(unknown.stderr, /there is no alert with this id/);
});

test("alerts are everybody's or nobody's: a client that may see only its own sees none", async (t) => {
  const { run } = await daemon(t);
  const as = (token: string) => ({ environment: { BUDGETGUARD_TOKEN: token } });
  t.is((await run("alerts list", as("alice-token"))).code, 1);
  t.is((await run("alerts list", as("reader-token"))).code, 0);
  t.is((await run("alerts acknowledge a-1", as("reader-token"))).code, 1);
  t.regex((await run("alerts acknowledge a-1", as("operator-token"))).stdout, /^acknowledged by olga/);
});
