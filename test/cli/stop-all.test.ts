// `stop-all` and `resume` against a real admin surface over a house of functions.

import test from "ava";
import { asAdmin, daemon } from "./admin-daemon.ts";

test("stop-all says who stopped spending, since when and how to resume; resume says that it goes on", async (t) => {
  const { run, house } = await daemon(t);
  const stopped = await run("stop-all", asAdmin);
  t.is(stopped.code, 0);
  t.is(
    stopped.stdout,
    "all spending is stopped by admin since 2026-11-22 11:15:00 Europe/Berlin; to go on: budgetguard resume\n" +
      "paid work that runs goes on to its end: --cut ends it\n",
  );
  t.regex(
    (await run("status")).stdout,
    /\nspending {3}all spending is stopped by admin since 2026-11-22 11:15/,
  );
  const resumed = await run("resume", asAdmin);
  t.deepEqual(resumed, { code: 0, stdout: "spending goes on: budgets decide again\n", stderr: "" });
  t.deepEqual(house.heard.stops, []);
  t.notRegex((await run("status")).stdout, /spending/);
});

test("--cut says how many requests it ended, --containers that there are no machines yet", async (t) => {
  const { run } = await daemon(t);
  const { stdout } = await run("stop_all --cut --containers", asAdmin);
  t.regex(stdout, /\n1 paid request cut off, charged for the time used\nno machines turned off: /);
  const { stdout: json } = await run("stop-all --cut --json", asAdmin);
  t.like(JSON.parse(json), {
    stopped: true,
    stopped_by: "admin",
    cut_requests: ["r-3"],
    stopped_machines: [],
  });
});

test("without the admin token it is refused, and changes nothing", async (t) => {
  const { run, house } = await daemon(t);
  for (const token of ["", "operator-token", "alice-token"]) {
    const environment = token === "" ? {} : { BUDGETGUARD_TOKEN: token };
    t.is((await run("stop-all", { environment })).code, 1);
    t.is((await run("resume", { environment })).code, 1);
  }
  t.deepEqual(house.heard.stops, []);
});

test("a stop that the ledger could not keep is said, and is no success", async (t) => {
  const { run } = await daemon(t, {
    stopSpending: async () => ({ cut: [], machines: [], unwritten: "the disk is full" }),
  });
  const { code, stderr } = await run("stop-all", asAdmin);
  t.is(code, 1);
  t.regex(stderr, /spending is stopped now, but a restart would not know of it: the disk is full/);
});

test("cut without stopped is no sense, and is told so", async (t) => {
  const { address } = await daemon(t);
  const reply = await fetch(`http://${address}/api/v1/spending`, {
    method: "POST",
    headers: { authorization: "Bearer admin-token", "content-type": "application/json" },
    body: JSON.stringify({ stopped: false, cut: true }),
  });
  t.is(reply.status, 400);
  t.regex(await reply.text(), /go with stopped: true only/);
});
