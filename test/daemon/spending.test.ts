// The switch and the accounts: what is admitted before, while and after all spending is stopped.

import test from "ava";
import fc from "fast-check";
import { makeLog } from "../../src/daemon/log.ts";
import { parseStop, SPENDING, Spending } from "../../src/daemon/spending.ts";
import { openStored } from "../../src/ledger/open.ts";
import { Running } from "../../src/proxy/running.ts";
import { type House, houseOf, permit, RELAYED, rows } from "../support/ledger.ts";
import { budget, perRequest, policy, TEN, task, upstream } from "../support/policies.ts";

const PAID = policy({
  upstreams: [upstream("hosted", { price: perRequest("0.01") })],
  budgets: [budget("day", { limit_usd: "1000" })],
});

function switchOf(house: House, running = new Running()): Spending {
  const { accounts, disk } = house;
  const log = makeLog("silent");
  const parts = { accounts, store: disk.store, running, machines: { stopAll: async () => [] }, log };
  return new Spending({ ...parts, now: () => accounts.now(), turn: () => undefined }, undefined);
}

const ASKED = { by: "olga", cut: false, containers: false };

test("from the tick of the stop nothing paid is admitted, though the disk has not said so yet", async (t) => {
  const house = await houseOf(t, PAID);
  const spending = switchOf(house);
  const stopping = spending.stop(ASKED);
  t.is((await house.admit(task())).kind, "stopped");
  await stopping;
  t.is((await house.admit(task())).kind, "stopped");
  await spending.resume("olga");
  permit(await house.admit(task()));
});

test("what was admitted before goes on and is settled", async (t) => {
  const house = await houseOf(t, PAID);
  const held = permit(await house.admit(task()));
  held.begin();
  await switchOf(house).stop(ASKED);
  t.is(await held.extend(), "extended");
  t.true((await held.settle(RELAYED)).charged > 0n);
});

test("a cut ends paid work only, and says whose", async (t) => {
  const free = upstream("free", { price: perRequest("0.00") });
  const both = policy({ upstreams: [free], budgets: [] });
  const house = await houseOf(t, both);
  const running = new Running();
  const asked = task();
  const { signal } = running.enter(asked.id);
  const held = permit(await house.admit(asked));
  held.begin();
  t.deepEqual(await switchOf(house, running).stop({ ...ASKED, cut: true }), NOTHING_DONE);
  t.false(signal.aborted);
  await held.settle(RELAYED);
});

const NOTHING_DONE = { cut: [], machines: [], unwritten: undefined };

test("a second stop keeps who stopped first, and both are written down with whoever resumed", async (t) => {
  const house = await houseOf(t, PAID);
  const spending = switchOf(house);
  await spending.stop(ASKED);
  await spending.stop({ by: "admin", cut: true, containers: true });
  t.like(spending.stopped, { by: "olga", at: TEN });
  await spending.resume("pia");
  const turns = rows(house.folder, "SELECT author, value FROM turns WHERE name = 'spending' ORDER BY seq");
  t.deepEqual(
    turns.map(({ author }) => author),
    ["olga", "admin", "pia"],
  );
  t.like(JSON.parse(String(turns[1]?.value)), { stopped: true, cut: true, containers: true, by: "olga" });
  t.is(spending.stopped, undefined);
});

test("what the ledger has of it is read at the next start", async (t) => {
  const house = await houseOf(t, PAID);
  await switchOf(house).stop(ASKED);
  await house.crash();
  const { stored } = openStored(house.folder, house.clock);
  t.deepEqual(parseStop(stored.switches.get(SPENDING)), { by: "olga", at: TEN });
});

test("a stop that the disk refuses is in force and says that it is not durable", async (t) => {
  const house = await houseOf(t, PAID);
  await house.crash();
  const spending = switchOf(house);
  t.regex((await spending.stop(ASKED)).unwritten ?? "", /closed/);
  t.like(spending.stopped, { by: "olga" });
  t.regex((await spending.resume("olga")).unwritten ?? "", /closed/);
  t.like(spending.stopped, { by: "olga" });
});

for (const [said, text, expected] of [
  ["nothing was ever said", undefined, undefined],
  ["it was resumed", '{"stopped":false,"by":"a","at":1}', undefined],
  ["a later version says it otherwise", '{"scope":"aws"}', { by: "unknown", at: 0 }],
] as const) {
  test(`a stored switch: ${said}`, (t) => {
    t.deepEqual(parseStop(text) as unknown, expected);
  });
}

test("in any order of stops, resumes and requests, what is admitted was asked for while it was open", async (t) => {
  const turn = fc.constantFrom("stop" as const, "resume" as const, "ask" as const, "wait" as const);
  const law = fc.asyncProperty(fc.array(turn, { maxLength: 40 }), async (script) => {
    const house = await houseOf(t, PAID);
    const spending = switchOf(house);
    const under: Promise<unknown>[] = [];
    // Naive: stopped from a stop's tick until a resume that no later turn has overtaken is answered.
    let [isStopped, last] = [false, 0];
    const wrong: string[] = [];
    for (const [index, what] of script.entries()) {
      if (what === "stop") {
        [isStopped, last] = [true, index];
        under.push(spending.stop(ASKED));
      } else if (what === "resume") {
        last = index;
        under.push(
          spending.resume("olga").then(() => {
            if (last === index) isStopped = false;
          }),
        );
      } else if (what === "ask") {
        const mustRefuse = isStopped;
        under.push(
          house.admit(task()).then(({ kind }) => {
            if (mustRefuse && kind === "admitted") wrong.push(`${index}: admitted while stopped`);
            if (!mustRefuse && kind === "stopped") wrong.push(`${index}: refused while open`);
          }),
        );
      } else await Promise.all(under.splice(0));
    }
    await Promise.all(under);
    return wrong.length === 0;
  });
  await t.notThrowsAsync(fc.assert(law, { seed: 20261128, numRuns: 25 }));
});
