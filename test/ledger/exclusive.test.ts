// `attribution: exclusive` (MONEY §2): each request pays its whole duration at the machine's price. The ledger's
// check still finds every nano-dollar, and tells in a note by how much more than the machine was paid.

import test from "ava";
import fc from "fast-check";
import { verify } from "../../src/ledger/verify.ts";
import { SECOND, seconds } from "../../src/metering/time.ts";
import type { Budget, Policy } from "../../src/policy/policy.ts";
import { container, kinds, watch } from "../support/containers.ts";
import {
  begun,
  HandClock,
  type House,
  houseOf,
  ledgerFolder,
  onDisk,
  openHouse,
  permit,
  RELAYED,
  restarted,
  rows,
} from "../support/ledger.ts";
import { budget, model, policy, task, upstream, usd } from "../support/policies.ts";

function paid(attribution: Policy["attribution"], over: Partial<Budget> = {}, estimate = 12): Policy {
  return policy({
    attribution,
    upstreams: [upstream("aws", { hasContainer: true, gpuTier: "a10g" })],
    models: [model("flux-dev", ["aws"], { estimate: seconds(estimate) })],
    budgets: [{ ...budget("day", { limit_usd: "9" }), ...over }],
  });
}

function verified(house: House) {
  const { ok, checks } = onDisk(house.folder, verify);
  return { ok, notes: checks.flatMap(({ notes }) => notes) };
}

test("requests that run together each pay all of their time, on a container or not", async (t) => {
  for (const isTold of [false, true]) {
    const house = await houseOf(t, paid("exclusive"));
    if (isTold) house.accounts.containers.seen(container());
    const [long, short] = [await begun(house, task()), await begun(house, task())];
    await watch(house, 4);
    t.true(verified(house).ok, "while they run");
    t.is((await short.settle(RELAYED)).charged, usd("0.004"));
    await watch(house, 2);
    t.is((await long.settle(RELAYED)).charged, usd("0.006"));
    await watch(house, 2);
    t.deepEqual(kinds(house), { settled: 10_000_000n, ...(isTold && { idle: 1_000_000n }) });
    const { ok, notes } = verified(house);
    t.true(ok);
    t.regex(notes.join("\n"), /machine aws: attribution is exclusive: .* paid 0\.004 USD more than it cost/);
    t.is(/container i-0a1@\d+: attribution is exclusive: .* paid 0\.004 USD/.test(notes.join("\n")), isTold);
    const [entry] = rows(house.folder, "SELECT price_source AS source FROM entries WHERE kind = 'settled'");
    t.is(entry?.source, "from the policy (exclusive)");
  }
});

test("who waits for the same start pays it in full each", async (t) => {
  const house = await houseOf(t, paid("exclusive"));
  house.accounts.containers.seen(container({ phase: "starting" }));
  const [a, b] = [permit(await house.admit(task())), permit(await house.admit(task()))];
  a.wait();
  b.wait();
  await watch(house, 3);
  t.is((await b.settle(RELAYED)).charged, usd("0.003"));
  t.is((await a.settle(RELAYED)).charged, usd("0.003"));
});

test("a reload changes who pays at once, for those that run too; nothing of their holds is given back", async (t) => {
  const house = await houseOf(t, paid("shared"));
  const [one, other] = [await begun(house, task()), await begun(house, task())];
  await watch(house, 4);
  await house.adopt(paid("exclusive"));
  await watch(house, 2);
  await house.adopt(paid("shared"));
  await watch(house, 2);
  for (const each of [one, other]) t.is((await each.settle(RELAYED)).charged, usd("0.005"));
  t.true(verified(house).ok);
});

test("a crash charges what each had used, exclusively, whether its lease was written or not", async (t) => {
  for (const beats of [4, 0]) {
    const house = await houseOf(t, paid("exclusive"));
    await begun(house, task());
    await begun(house, task());
    await watch(house, beats);
    const next = await restarted(t, house, SECOND);
    const each = BigInt(beats + 1) * 1_000_000n;
    t.deepEqual(kinds(next), { settled: 2n * each });
    t.true(verified(next).ok);
  }
});

type Step = readonly ["come" | "leave" | "turn" | "crash", number] | readonly ["pass", number];
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constantFrom("come", "come", "leave", "turn", "crash" as const), fc.nat({ max: 3 })),
  fc.tuple(fc.constant("pass" as const), fc.integer({ min: 1, max: 4_000_003 })),
);

test("whoever pays, and whenever that changes, the ledger adds up", async (t) => {
  t.timeout(300_000);
  let wrong = "";
  const law = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
    const clock = new HandClock();
    let rules = paid("exclusive", { overrun: "cut" }, 4);
    let house = await openHouse(ledgerFolder(t), clock, rules);
    house.accounts.containers.seen(container());
    let open: Awaited<ReturnType<typeof begun>>[] = [];
    for (const [kind, value] of steps) {
      if (kind === "come" && open.length < 4) open.push(await begun(house, task()));
      if (kind === "leave") await open.shift()?.settle(RELAYED);
      if (kind === "pass") {
        clock.pass(value);
        await house.accounts.heartbeat();
      }
      if (kind === "turn") {
        rules = paid(value % 2 === 0 ? "exclusive" : "shared", { overrun: "cut" }, 4);
        await house.adopt(rules);
      }
      if (kind === "crash") {
        await house.crash();
        clock.pass(SECOND * value);
        open = [];
        house = await openHouse(house.folder, clock, rules);
        house.accounts.containers.seen(container());
      }
    }
    for (const one of open) await one.settle(RELAYED);
    house.accounts.containers.off("i-0a1", house.accounts.now());
    await house.accounts.heartbeat();
    const { checks } = onDisk(house.folder, verify);
    await house.crash();
    const found = checks.flatMap(({ findings }) =>
      findings.map((one) => `${one.what}: ${one.found} of ${one.expected}`),
    );
    if (found.length > 0) wrong = found.join("\n");
    return found.length === 0;
  });
  const seed = Number(process.env.LAW_SEED ?? 20261128);
  const { failed, counterexample } = await fc.check(law, {
    seed,
    numRuns: Number(process.env.LAW_RUNS ?? 15),
  });
  t.false(failed, `${wrong}\n${JSON.stringify(counterexample)}`);
});
