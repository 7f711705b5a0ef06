import test from "ava";
import { begun, houseOf, RELAYED, rows } from "../support/ledger.ts";
import { budget, perHour, policy, task, upstream } from "../support/policies.ts";

const each = budget("one-image", { limit_usd: "0.5", period: "per_task", overrun: "cut" });
const given = policy({ upstreams: [upstream("flux", { price: perHour("3.6") })], budgets: [each] });

test("a per_task balance of a request that named no task leaves nothing behind", async (t) => {
  const house = await houseOf(t, given);
  const reservation = await begun(house, task());
  t.is([...house.accounts.book.all()].length, 1);
  await reservation.settle(RELAYED);
  t.is([...house.accounts.book.all()].length, 0);
  t.deepEqual(rows(house.folder, "SELECT * FROM balances"), []);
});

test("a task that was named goes on counting over its requests, and over a restart", async (t) => {
  const house = await houseOf(t, given);
  const named = () => task({ labels: { task: "shot-12" } });
  await (await begun(house, named())).settle(RELAYED);
  await (await begun(house, named())).settle(RELAYED);
  t.is(rows(house.folder, "SELECT * FROM balances").length, 1);
  t.is([...house.accounts.book.all()].length, 1);
});
