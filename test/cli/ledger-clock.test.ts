// `ledger clock` and `status` while the wall clock is in doubt.

import test from "ava";
import type { ClockState } from "../../src/admin/house.ts";
import { durationUs, instantUs } from "../../src/metering/time.ts";
import { NOW } from "../admin/house-of-functions.ts";
import { asAdmin, daemon } from "./admin-daemon.ts";

const doubt = { stood: durationUs(240_000_000), left: durationUs(360_000_000), isAccepted: false };
const AHEAD: ClockState = { at: NOW, wall: instantUs(NOW + 86_400_000_000), doubt };

test("in step, it says so, and status is silent about it", async (t) => {
  const { run } = await daemon(t);
  t.deepEqual(await run("ledger clock"), {
    code: 0,
    stdout:
      "ledger time  2026-11-22 11:15:00 Europe/Berlin\nwall clock   2026-11-22 11:15:00 Europe/Berlin\nin step\n",
    stderr: "",
  });
  t.notRegex((await run("status")).stdout, /clock/);
});

test("a doubt is shown with its time and its cure, by status too", async (t) => {
  const { run } = await daemon(t, { clock: () => AHEAD });
  const said =
    /the wall clock jumped ahead to 2026-11-23 11:15:00 Europe\/Berlin 240 s ago and is not believed yet: set it right, or adopt it with budgetguard ledger clock accept \(by itself in 360 s, if it stands\)\n/;
  t.regex((await run("ledger clock")).stdout, said);
  t.regex((await run("status")).stdout, said);
  t.like(JSON.parse((await run("ledger clock --json")).stdout), {
    in_doubt: true,
    doubted_for_us: 240_000_000,
  });
});

test("accept needs the admin token, says who, and tells when it waits for running work", async (t) => {
  const by: string[] = [];
  const acceptClock = async (who: string) => {
    by.push(who);
    return { ...AHEAD, doubt: { ...doubt, isAccepted: true } };
  };
  const { run } = await daemon(t, { clock: () => AHEAD, acceptClock });
  t.is((await run("ledger clock accept")).code, 1);
  t.is((await run("ledger clock accept", { environment: { BUDGETGUARD_TOKEN: "operator-token" } })).code, 1);
  const { code, stdout } = await run("ledger clock accept", asAdmin);
  t.is(code, 0);
  t.regex(stdout, /; it is accepted, and adopted once no request runs\n$/);
  t.deepEqual(by, ["admin"]);
});

test("a clock that was set back is told of, and that nothing opens again", async (t) => {
  const { run } = await daemon(t, {
    clock: () => ({ at: NOW, wall: instantUs(NOW - 60_000_000), doubt: undefined }),
  });
  t.regex(
    (await run("ledger clock")).stdout,
    /\nthe wall clock was set back: ledger time waits for it, no spent/,
  );
});
