// A limit is a limit: a crowd that asks at once, a gateway that is killed in the middle, an hourly price that
// is cut. What is checked is what a client, the admin API and the upstream see.

import { setTimeout as sleep } from "node:timers/promises";
import test from "ava";
import { type Nim, startNim } from "../../src/demo/nim.ts";
import { add, formatUsd, times } from "../../src/metering/money.ts";
import { startGateway } from "../support/gateway.ts";
import { allRequests, count, overLimit, sendCrowd } from "../support/gateway-budget.ts";
import { askImage, eventually, jsonOf, type Reply } from "../support/gateway-client.ts";
import { makeFolder } from "../support/gateway-folder.ts";
import { spawnGateway } from "../support/gateway-process.ts";
import { usd } from "../support/policies.ts";

const CROWD = 200;
const FITTING = 40;

/** One cent a request; the budget covers exactly forty. */
const PER_REQUEST = ({ url }: Nim) => `version: 1
timezone: Europe/Berlin
mode: lowest_price
upstreams:
  flux-pod: { provider: other, url: "${url}", price: { usd_per_request: 0.01 } }
models:
  flux-dev: { upstreams: [flux-pod] }
budgets:
  - { id: studio, limit_usd: 0.40, period: daily, on_limit: block }
`;

/** One second alone costs 0.001 USD. */
const PER_HOUR = ({ url }: Nim) => `version: 1
mode: lowest_price
upstreams:
  flux-pod: { provider: other, url: "${url}", price: { usd_per_hour: 3.6 } }
models:
  flux-dev: { upstreams: [flux-pod], estimate: 4s }
budgets:
  - { id: studio, limit_usd: 0.05, period: daily, on_limit: block, overrun: cut }
`;

test.serial(
  "D02: of 200 at once 40 fit the budget: 40 are relayed, 160 refused, and it is never over",
  async (t) => {
    const nim = await startNim({ scale: 8 });
    const gateway = await startGateway(PER_REQUEST(nim));
    t.teardown(() => Promise.all([gateway.stop(), nim.close()]));

    const { replies, balances } = await sendCrowd(CROWD, gateway, () => 100);

    t.is(count(replies, isRelayed), FITTING);
    t.is(count(replies, isBudgetRefusal), CROWD - FITTING);
    t.is(nim.requests.length, FITTING);
    t.deepEqual(overLimit(balances), []);
    t.true(
      balances.some(({ held }) => usd(held) > 0n),
      "nobody looked while money was held",
    );
    const [budget] = (await gateway.client.status()).budgets;
    t.like(budget, { settled: "0.40", held: "0.00", remaining: "0.00", level: "spent" });
    t.like(await gateway.client.usage(), { requests: FITTING, amount_usd: "0.40" });
  },
);

test.serial("killed in the middle, it knows after the restart what each of the 200 cost", async (t) => {
  const nim = await startNim({ scale: 8 });
  const folder = makeFolder(PER_REQUEST(nim));
  const first = await spawnGateway(folder);
  t.teardown(async () => {
    first.signal("SIGKILL");
    await nim.close();
    folder.remove();
  });
  const crowd = sendCrowd(CROWD, first, (index) => 1 + (index % 10) * 11);
  const answered = () => nim.requests.filter(({ ending }) => ending === "answered").length;
  await eventually("a good part of the forty is answered", () => answered() >= FITTING / 4);
  first.signal("SIGKILL");
  await first.ended;
  const { replies, balances } = await crowd;

  const second = await spawnGateway(folder);
  t.teardown(() => second.signal("SIGKILL"));
  const records = await allRequests(second.client);
  const sent = records.filter(({ upstream, outcome }) => upstream !== null && outcome !== "refused");

  t.deepEqual(overLimit(balances), []);
  const received = replies.filter(isRelayed).map(idOf);
  t.log(`${received.length} had their reply, ${sent.length} were sent, ${records.length} are recorded`);
  t.true(received.length < FITTING, "it was killed too late to prove anything");
  const relayed = new Set(records.filter(({ outcome }) => outcome === "relayed").map(({ id }) => id));
  t.deepEqual(
    received.filter((id) => !relayed.has(id)),
    [],
    "somebody has a complete reply that the ledger does not know",
  );
  t.deepEqual(
    sent.filter(({ outcome, charged_usd }) => !isSettled(outcome) || charged_usd !== "0.01"),
    [],
  );
  t.true(sent.length <= FITTING && nim.requests.length <= sent.length);
  const [budget] = (await second.client.status()).budgets;
  t.is(budget?.settled, formatUsd(times(usd("0.01"), sent.length)));
  t.is(budget?.held, "0.00");
  if (sent.length === FITTING) t.is((await askImage(second.url)).status, 402);
});

test.serial(
  "on an hourly price the budget cuts: no request goes on without money, and it is never over",
  async (t) => {
    const nim = await startNim({ scale: 20 });
    const gateway = await startGateway(PER_HOUR(nim));
    t.teardown(() => Promise.all([gateway.stop(), nim.close()]));

    // Every third is done before its hold ends; the others work for longer than there is money.
    const { replies, balances } = await sendCrowd(CROWD, gateway, (index) => (index % 3 === 0 ? 1 : 100));

    t.deepEqual(overLimit(balances), []);
    const records = await allRequests(gateway.client);
    const outcomes = Map.groupBy(records, ({ outcome }) => outcome);
    t.log([...outcomes].map(([outcome, those]) => `${those.length} ${outcome}`).join(", "));
    t.is(count(replies, isRelayed), outcomes.get("relayed")?.length ?? 0);
    t.is(count(replies, isCut), outcomes.get("cut")?.length ?? 0);
    t.is(count(replies, isBudgetRefusal), outcomes.get("refused")?.length ?? 0);
    t.is(
      count(replies, (reply) => isRelayed(reply) || isCut(reply) || isBudgetRefusal(reply)),
      CROWD,
    );
    t.true((outcomes.get("cut")?.length ?? 0) > 0, "nothing was cut");
    const [budget] = (await gateway.client.status()).budgets;
    t.true(usd(budget?.settled ?? "1") <= usd("0.05"));
    t.is(budget?.held, "0.00");
    t.is(nim.inFlight(), 0);
  },
);

test.serial("renaming a budget while the crowd runs gives nobody a second helping", async (t) => {
  const nim = await startNim({ scale: 2 });
  const gateway = await startGateway(PER_REQUEST(nim));
  t.teardown(() => Promise.all([gateway.stop(), nim.close()]));
  const send = (size: number) => sendCrowd(size, gateway, () => 100);
  const early = send(FITTING / 2);
  await eventually("the first ones are under way", () => nim.inFlight() > 5);
  gateway.folder.save(PER_REQUEST(nim).replace("id: studio", "id: studio-renamed"));
  const crowds = [await send(CROWD / 2), await early, await send(CROWD / 2)];

  await eventually("the new name is in force", async () => {
    return (await gateway.client.status()).budgets[0]?.id === "studio-renamed";
  });
  t.deepEqual(
    crowds.flatMap(({ balances }) => overLimit(balances)),
    [],
  );
  const replies = crowds.flatMap((crowd) => crowd.replies);
  t.is(count(replies, isRelayed), FITTING);
  t.is(nim.requests.length, FITTING);
  t.like((await gateway.client.status()).budgets[0], { settled: "0.40", held: "0.00" });
});

test.serial(
  "killed while hourly work is under way, it charges what was used, at most what was held",
  async (t) => {
    const nim = await startNim({ scale: 20 });
    const folder = makeFolder(PER_HOUR(nim));
    const first = await spawnGateway(folder);
    t.teardown(async () => {
      first.signal("SIGKILL");
      await nim.close();
      folder.remove();
    });
    const crowd = sendCrowd(24, first, () => 100);
    await eventually("something is charged for", () => nim.inFlight() > 5);
    await sleep(1200);
    first.signal("SIGKILL");
    await first.ended;
    const { balances } = await crowd;
    const second = await spawnGateway(folder);
    t.teardown(() => second.signal("SIGKILL"));

    const records = await allRequests(second.client);
    const unknown = records.filter(({ outcome }) => outcome === "unknown");
    t.is(unknown.length, nim.requests.length);
    t.deepEqual(overLimit(balances), []);
    t.deepEqual(
      unknown.filter(({ charged_usd, hold_usd }) => {
        const charged = usd(charged_usd ?? "0");
        return charged <= 0n || charged > usd(hold_usd ?? "0");
      }),
      [],
    );
    const charged = add(...records.map(({ charged_usd }) => usd(charged_usd ?? "0")));
    const [budget] = (await second.client.status()).budgets;
    t.like(budget, { settled: formatUsd(charged), held: "0.00" });
    t.true(charged <= usd("0.05"));
  },
);

function isRelayed({ status, isWhole }: Reply): boolean {
  return status === 200 && isWhole;
}

/** The contract of a refusal: what clients of every kind rely on. */
function isBudgetRefusal(reply: Reply): boolean {
  if (reply.status !== 402 || reply.headers["x-should-retry"] !== "false") return false;
  const { detail, error, budgetguard } = jsonOf(reply) as Record<string, Record<string, unknown>>;
  if (error?.code !== "budget_exceeded") return false;
  const told = Object.keys(budgetguard ?? {}).join();
  return (
    reply.isWhole &&
    reply.reason === `BudgetGuard: ${detail}` &&
    /^budget studio (?:is spent \(\S+ of \S+ USD\)|has \S+ of \S+ USD left, this needs about \S+), resets /.test(
      String(detail),
    ) &&
    error.message === String(detail) &&
    budgetguard?.budget === "studio" &&
    told === "budget,limit_usd,settled_usd,held_usd,needed_usd,resets_at,alternatives"
  );
}

function isCut(reply: Reply): boolean {
  if (reply.status !== 402) return !reply.isWhole;
  return (jsonOf(reply).error as Record<string, unknown>).code === "budget_cut";
}

function isSettled(outcome: string): boolean {
  return outcome === "relayed" || outcome === "unknown";
}

function idOf({ headers }: Reply): string {
  return String(headers["x-budgetguard-request"]);
}
