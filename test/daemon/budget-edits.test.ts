// Edits of a budget where the disk or the clock is against them, and the line that each leaves in the log.

import { setImmediate as turn } from "node:timers/promises";
import type { ExecutionContext } from "ava";
import test from "ava";
import { type BudgetEdit, BudgetEdits } from "../../src/daemon/budget-edits.ts";
import { budgetStates } from "../../src/daemon/budget-states.ts";
import { EDITED, fileEdits } from "../../src/daemon/edit-record.ts";
import { InForce } from "../../src/daemon/in-force.ts";
import type { Rewritten } from "../../src/daemon/policy-rewrite.ts";
import { turns } from "../../src/ledger/queries.ts";
import { StoreError } from "../../src/ledger/store.ts";
import { quantityOf } from "../../src/metering/quantity.ts";
import { type DurationUs, HOUR, later, MINUTE, SECOND, seconds } from "../../src/metering/time.ts";
import { begun, type House, houseOf, onDisk, RELAYED, restarted, rows, writesOf } from "../support/ledger.ts";
import { budget, model, perHour, perRequest, policy, task, upstream, usd } from "../support/policies.ts";

const atUnits = policy({
  upstreams: [upstream("flux", { price: perRequest("0.03") })],
  budgets: [budget("day", { limit_usd: "0.05" })],
});

/** The policy file, as far as who edits it looks at it. */
interface FakeFile {
  digest: string;
  rewrite(begin: (digest: string) => Promise<void>): Promise<Rewritten>;
}

async function begin(t: ExecutionContext) {
  const house = await houseOf(t, atUnits);
  await (await begun(house, task())).settle(RELAYED);
  return deskOf(house);
}

function deskOf(house: House) {
  const { accounts } = house;
  const inForce = new InForce({ policy: house.policy, text: "" }, undefined, accounts.now());
  const lines: string[] = [];
  const timers: { delay: DurationUs; call: () => void }[] = [];
  const disk = { fails: false };
  const file: FakeFile = { digest: "before", rewrite: async () => ({ kind: "set" }) };
  const or = async (write: () => Promise<void>) => {
    if (disk.fails) throw new StoreError("the disk is full", false);
    await write();
  };
  const edits = new BudgetEdits(
    {
      ...{ inForce, accounts, now: () => accounts.now(), turn: () => undefined },
      store: {
        adjust: (all) => or(() => house.disk.store.adjust(all)),
        setSwitch: (name, value, by, at) => or(() => house.disk.store.setSwitch(name, value, by, at)),
      },
      log: { info: (what: object, said: string) => lines.push(`${said} ${JSON.stringify(what)}`) } as never,
      after: (delay, call) => {
        timers.push({ delay, call });
        return () => undefined;
      },
      rewrite: (_change, begin) => file.rewrite(begin),
      digest: () => file.digest,
    },
    [],
  );
  const standing = () => {
    const [state] = budgetStates(inForce.policy, accounts.book, accounts.now());
    return [state?.settled, state?.limit];
  };
  const until = later(accounts.now(), HOUR);
  const raise: BudgetEdit = {
    kind: "raise",
    budget: "day",
    unit: "usd",
    amount: quantityOf(usd("0.02")),
    until,
  };
  return { house, edits, lines, timers, disk, file, standing, raise };
}

test("what the disk refuses counts neither now nor later", async (t) => {
  const { edits, disk, standing, lines, raise } = await begin(t);
  disk.fails = true;
  t.deepEqual(await edits.edit(raise, "ops", "late"), { kind: "unwritten", why: "the disk is full" });
  t.is((await edits.edit({ kind: "reset", budget: "day" }, "ops", "late")).kind, "unwritten");
  t.deepEqual(standing(), [usd("0.03"), usd("0.05")] as never);
  t.deepEqual(lines, []);
});

test("no budget is reset while an ending that counts is not on disk: it would be forgiven until a restart", async (t) => {
  const { house, edits } = await begin(t);
  const reset = () => edits.edit({ kind: "reset", budget: "day" }, "ops", "late");
  await reset();
  const run = await begun(house, task());
  house.disk.refuses = writesOf("ending");
  await t.throwsAsync(run.settle(RELAYED), { instanceOf: StoreError });
  t.is((await reset()).kind, "unwritten");
  house.disk.refuses = () => false;
  await house.accounts.heartbeat();
  t.like(await reset(), { adjustments: [{ amount: -usd("0.03") }] });
});

test("two resets at once take off what was settled once", async (t) => {
  const { edits, standing } = await begin(t);
  const reset = () => edits.edit({ kind: "reset", budget: "day" }, "ops", "late");
  const [one, other] = await Promise.all([reset(), reset()]);
  t.like(one, { adjustments: [{ amount: -usd("0.03") }] });
  t.like(other, { adjustments: [] });
  t.deepEqual(standing(), [0n, usd("0.05")] as never);
});

test("the end of a raise is looked for each minute, and is found by the ledger's clock", async (t) => {
  const { edits, house, timers, standing, raise } = await begin(t);
  await edits.edit(raise, "ops", "late");
  t.is(timers.at(-1)?.delay, MINUTE);
  house.clock.pass(HOUR - 1);
  timers.at(-1)?.call();
  t.deepEqual(standing(), [usd("0.03"), usd("0.07")] as never);
  house.clock.pass(1);
  timers.at(-1)?.call();
  t.deepEqual(standing(), [usd("0.03"), usd("0.05")] as never);
});

test("each edit stands in the log with who and why, and so does the end of a raise", async (t) => {
  const { edits, house, timers, lines, raise } = await begin(t);
  await edits.edit({ kind: "set", budget: "day", to: { limit_usd: "0.05" } }, "ann", "one");
  await edits.edit({ kind: "reset", budget: "day" }, "bob", "two");
  await edits.edit(raise, "eve", "three");
  house.clock.pass(HOUR);
  timers.at(-1)?.call();
  const edited = "a budget was edited";
  t.is(
    lines[0],
    `${edited} {"by":"ann","reason":"one","kind":"set","budget":"day","to":{"limit_usd":"0.05"}}`,
  );
  t.is(
    lines[1],
    `${edited} {"by":"bob","reason":"two","kind":"reset","budget":"day","adjusted":[{"amount":"-0.03 USD"}]}`,
  );
  t.regex(
    lines[2] ?? "",
    /^a budget was edited \{"by":"eve","reason":"three","kind":"raised","budget":"day"/,
  );
  t.regex(lines[3] ?? "", /^a raise has ended \{"budget":"day","raise":".*","amount":"0\.02 USD"\}/);
});

test("an edit without an author or a reason is refused", async (t) => {
  const { edits, standing } = await begin(t);
  t.is((await edits.edit({ kind: "reset", budget: "day" }, " ", "late")).kind, "refused");
  t.is((await edits.edit({ kind: "reset", budget: "day" }, "ops", "")).kind, "refused");
  t.deepEqual(standing(), [usd("0.03"), usd("0.05")] as never);
});

// 1 s costs 0.001 USD; the first hold is 12 s, each slice 5 s.
const byTheHour = policy({
  upstreams: [upstream("box", { price: perHour("3.6") })],
  models: [model("flux-dev", ["box"], { estimate: seconds(12) })],
  budgets: [budget("day", { limit_usd: "1" })],
});

async function tunnel(house: House) {
  const one = await begun(house, task());
  one.bySlice();
  return one;
}

test("a reset forgives nothing of a slice that the disk is about to refuse, nor after a restart", async (t) => {
  const house = await houseOf(t, byTheHour);
  const { edits, standing } = deskOf(house);
  const one = await tunnel(house);
  house.clock.pass(9 * SECOND);
  house.disk.shut(writesOf("rehold"));
  house.disk.refuses = writesOf("rehold");
  const slice = one.extend();
  const reset = edits.edit({ kind: "reset", budget: "day" }, "ops", "late");
  await house.disk.open();
  t.is(await slice, "unavailable");
  t.like(await reset, { kind: "reset", adjustments: [] });
  house.disk.refuses = () => false;
  t.is(await one.extend(), "extended");
  t.deepEqual(standing(), [usd("0.009"), usd("1")] as never);
  const next = await restarted(t, house, 0);
  t.deepEqual(deskOf(next).standing(), [usd("0.009"), usd("1")] as never);
});

test("a reset waits for a slice that begins while it waits, and forgives it only once it is written", async (t) => {
  const house = await houseOf(t, byTheHour);
  const { edits, standing } = deskOf(house);
  const [one, other] = [await tunnel(house), await tunnel(house)];
  house.clock.pass(8 * SECOND);
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  const write = house.disk.write.bind(house.disk);
  let slices = 0;
  house.disk.write = async (asked) => {
    if (writesOf("rehold")(asked)) await gates[slices++]?.promise;
    return write(asked);
  };
  const first = one.extend();
  const reset = edits.edit({ kind: "reset", budget: "day" }, "ops", "late");
  await turn();
  const second = other.extend();
  gates[0].resolve();
  t.is(await first, "extended");
  await turn();
  gates[1].reject(new StoreError("the disk is full", false));
  t.is(await second, "unavailable");
  t.like(await reset, { kind: "reset", adjustments: [{ amount: -usd("0.004") }] });
  t.is(await other.extend(), "extended");
  t.deepEqual(standing(), [usd("0.004"), usd("1")] as never);
  const next = await restarted(t, house, 0);
  t.deepEqual(deskOf(next).standing(), [usd("0.004"), usd("1")] as never);
});

const SET: BudgetEdit = { kind: "set", budget: "day", to: { limit_usd: "0.08" } };

/** By whom, of edits that are known to have been made. */
function authors(house: House): readonly string[] {
  return onDisk(house.folder, (database) => fileEdits(turns(database, EDITED, 9)).map(({ by }) => by));
}

test("an edit of the file is known by its author before the file is written, and made once it is", async (t) => {
  const { edits, house, file } = await begin(t);
  const seen: string[][] = [];
  file.rewrite = async (begin) => {
    await begin("after");
    seen.push(rows(house.folder, "SELECT author FROM turns").map(({ author }) => String(author)));
    seen.push([...authors(house)]);
    return { kind: "set" };
  };
  await edits.edit(SET, "ops", "a deadline");
  t.deepEqual(seen, [["ops"], []]);
  t.deepEqual(authors(house), ["ops"]);
});

test("where the disk refuses to know the author, the file stays as it is", async (t) => {
  const { edits, house, file, disk } = await begin(t);
  file.rewrite = async (begin) => {
    disk.fails = true;
    await begin("after");
    file.digest = "after";
    return { kind: "set" };
  };
  t.is((await edits.edit(SET, "ops", "a deadline")).kind, "unwritten");
  t.deepEqual([file.digest, authors(house)], ["before", []]);
});

for (const [claim, digest, expected] of [
  ["a crash after the file was written leaves an edit with its author", "after", ["ops"]],
  ["a crash before it was written leaves none", "before", []],
  ["a crash before somebody else wrote it leaves none", "other", []],
] as const) {
  test(claim, async (t) => {
    const { edits, house, file } = await begin(t);
    const written = Promise.withResolvers<void>();
    file.rewrite = async (begin) => {
      await begin("after");
      written.resolve();
      return new Promise(() => undefined);
    };
    void edits.edit(SET, "ops", "a deadline");
    await written.promise;
    t.deepEqual(authors(house), []);
    const next = await restarted(t, house);
    const desk = deskOf(next);
    desk.file.digest = digest;
    const kept = () => String(rows(next.folder, "SELECT value FROM switches")[0]?.value);
    desk.edits.resume(kept());
    await desk.edits.close();
    t.deepEqual(authors(next), expected);
    // What was looked at once is not looked at again, whatever the file becomes.
    desk.file.digest = "after";
    desk.edits.resume(kept());
    await desk.edits.close();
    t.deepEqual(authors(next), expected);
  });
}

test("an edit that the file did not take is none, and one that it did though it is not in force is one", async (t) => {
  const { edits, house, file } = await begin(t);
  const refusing = (digest: string) => {
    file.rewrite = async (begin) => {
      await begin("after");
      file.digest = digest;
      return { kind: "refused", why: "it was changed meanwhile" };
    };
    return edits.edit(SET, digest, "a deadline");
  };
  t.is((await refusing("before")).kind, "refused");
  t.deepEqual(authors(house), []);
  t.is((await refusing("after")).kind, "refused");
  t.deepEqual(authors(house), ["after"]);
});
