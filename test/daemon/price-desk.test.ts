// When sources are asked, what becomes of their answers, and what is told: with sources that are functions.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import type { Fetched, PriceAsk } from "../../src/cloud/prices/price-source.ts";
import { PriceDesk } from "../../src/daemon/price-desk.ts";
import { pauseBefore } from "../../src/daemon/price-plan.ts";
import { formatUsd, hourlyRate, ZERO_USD } from "../../src/metering/money.ts";
import { type Rate, RateCard } from "../../src/metering/rate-card.ts";
import {
  DAY,
  type DurationUs,
  HOUR,
  type Instant,
  instantUs,
  later,
  MINUTE,
} from "../../src/metering/time.ts";
import type { Alert } from "../../src/policy/alert.ts";
import type { Policy } from "../../src/policy/policy.ts";
import type { PriceAccess, PriceSourceName } from "../../src/policy/settings.ts";
import { policy as policyOf, upstream } from "../support/policies.ts";

const NOON = instantUs(Date.parse("2026-11-28T12:00:00Z") * 1000);
const KEY = "aws/us-east-1/g5.xlarge";

function rate(usd: number, over: Partial<Rate> = {}): Rate {
  return {
    ...{ key: KEY, kind: "on_demand", provider: "aws", gpu: undefined, gpus: 0 },
    ...{ perHour: hourlyRate(BigInt(usd * 1e9)), asOf: "2026-11-28T12:00:00Z", source: "AWS", live: true },
    ...over,
  };
}

const SHIPPED: Rate = { ...rate(1), gpu: "a10g", gpus: 1, asOf: "2026-07-20", source: "a list" };
const { live: _live, ...shippedRate } = SHIPPED;

interface World {
  readonly desk: PriceDesk;
  readonly folder: string;
  readonly alerts: Alert[];
  readonly asked: PriceAsk[];
  readonly warned: string[];
  repriced(): number;
  pass(by: DurationUs): void;
}

interface Sketch {
  readonly techopsLogin?: string;
  readonly folder?: string;
  readonly sources?: readonly PriceSourceName[];
  readonly access?: readonly (readonly [PriceSourceName, PriceAccess])[];
  readonly over?: Pick<Policy, "providers">;
  answer(ask: PriceAsk, time: number): Fetched | Promise<Fetched>;
}

const prices = (...rates: readonly Rate[]): Fetched => ({ kind: "prices", rates, notes: [] });

function world(t: ExecutionContext, sketch: Sketch): World {
  const folder = sketch.folder ?? mkdtempSync(join(tmpdir(), "budgetguard-prices-"));
  let at: Instant = NOON;
  let repriced = 0;
  const alerts: Alert[] = [];
  const asked: PriceAsk[] = [];
  const warned: string[] = [];
  const source = { kind: "live", rate: KEY, asOf: "2026-11-28T12:00:00Z", source: "AWS" } as const;
  const policy = policyOf({
    upstreams: [upstream("flux-aws", { price: { kind: "hour", rate: hourlyRate(1n), source } })],
    prices: {
      ...{ refresh: HOUR, sources: sketch.sources ?? ["aws"], access: new Map(sketch.access ?? []) },
      ...{ licencePerGpuHour: ZERO_USD, entries: new Map() },
    },
    ...sketch.over,
  });
  const desk = new PriceDesk({
    ...{ folder, shipped: new RateCard([shippedRate], []), policy: () => policy, now: () => at },
    random: () => 0.5,
    log: { info: () => undefined, warn: (...told: unknown[]) => void warned.push(String(told.at(-1))) },
    raise: (alert) => alerts.push(alert) > 0,
    secretOf: ({ kind }) => (kind === "env" ? "a-secret" : undefined),
    techopsLogin: () => sketch.techopsLogin,
    fetch: async (ask) => {
      asked.push(ask);
      return sketch.answer(ask, asked.length);
    },
    reprice: async () => {
      repriced += 1;
    },
  });
  t.teardown(async () => {
    await desk.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const pass = (by: DurationUs) => {
    at = later(at, by);
  };
  return { desk, folder, alerts, asked, warned, repriced: () => repriced, pass };
}

/** Asks once: the first plan is to ask at once, and who asks meanwhile joins. */
function update({ desk }: World): Promise<void> {
  desk.follow();
  return desk.update();
}

async function until(isSo: () => boolean): Promise<void> {
  for (let look = 0; !isSo(); look += 1) {
    if (look > 1000) throw new Error("it never came");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The row of the machine, as it is told. */
function rowOf({ desk }: World): string {
  const row = desk.book().rows.find(({ rate: one }) => one.key === KEY);
  if (row === undefined) return "none";
  const { rate: one, verified, isStale } = row;
  const trust = `${one.live ? "live" : "shipped"} ${verified.kind}${isStale ? " stale" : ""}`;
  return `${formatUsd(one.perHour)} x${one.gpus} ${trust} ${row.upstreams.join()}`.trim();
}

test("a source that never answered is asked at once, and what it says is kept, judged and put in force", async (t) => {
  const its = world(t, { answer: () => prices(rate(1.05)) });
  t.is(rowOf(its), "1.00 x1 shipped unverified stale flux-aws");
  its.desk.follow();
  await until(() => its.repriced() === 1);
  t.is(rowOf(its), "1.05 x1 live verified flux-aws");
  t.true(existsSync(join(its.folder, "prices.json")));
  const [source] = its.desk.book().sources;
  t.deepEqual([source?.answeredAt, source?.trouble], [NOON, undefined]);
  t.is(source?.nextAt, later(NOON, HOUR));
});

test("a restart goes on with the last good prices, and asks nobody before it is time", async (t) => {
  const first = world(t, { answer: () => prices(rate(1.05)) });
  first.desk.follow();
  await until(() => first.repriced() === 1);
  const second = world(t, { folder: first.folder, answer: () => prices(rate(9)) });
  second.desk.follow();
  t.is(rowOf(second), "1.05 x1 live verified flux-aws");
  t.is(second.asked.length, 0);
});

test("without sources nothing is ever asked, and what was fetched before does not count", async (t) => {
  const first = world(t, { answer: () => prices(rate(1.05)) });
  first.desk.follow();
  await until(() => first.repriced() === 1);
  const off = world(t, { folder: first.folder, sources: [], answer: () => prices(rate(2)) });
  off.desk.follow();
  off.desk.follow();
  t.is(off.warned.length, 1, "that what is charged by is stale is said once");
  t.regex(off.warned[0] ?? "", /^the price aws\/us-east-1\/g5\.xlarge is stale, of 2026-07-20: name its/);
  await off.desk.update();
  t.is(off.asked.length, 0);
  t.regex(rowOf(off), /^1\.00 x1 shipped verified/);
});

test("a jump is told and kept aside, until a second refresh agrees", async (t) => {
  const its = world(t, { answer: () => prices(rate(3)) });
  await update(its);
  t.regex(rowOf(its), /^1\.00 x1 shipped/);
  t.is(its.desk.book().suspects.length, 1);
  t.is(its.alerts.length, 1);
  t.is(
    its.alerts[0]?.text,
    `the on_demand price of ${KEY} jumped from 1.00 to 3.00 USD/h and is not believed yet`,
  );
  await its.desk.update();
  t.regex(rowOf(its), /^3\.00 x1 live unverified/);
  t.deepEqual([its.desk.book().suspects.length, its.alerts.length], [0, 1]);
});

test("a list that is misread as a whole is one alert, not hundreds", async (t) => {
  const many = Array.from({ length: 200 }, (_, at) => `aws/us-east-1/t${at}`);
  const wrong = (times: number) => prices(...many.map((key) => rate(times, { key })));
  const its = world(t, { answer: (_ask, time) => wrong(time === 1 ? 1 : 100) });
  await update(its);
  await its.desk.update();
  t.deepEqual(
    its.alerts.map(({ text }) => text),
    ["200 prices of aws jumped by more than half and are not believed yet"],
  );
});

test("a source that fails is asked sooner, and told once its prices are stale", async (t) => {
  const its = world(t, {
    answer: (_ask, time) => (time === 1 ? prices(rate(1.05)) : { kind: "trouble", why: "it answered 500" }),
  });
  await update(its);
  await its.desk.update();
  const [failed] = its.desk.book().sources;
  t.deepEqual(failed?.trouble, { at: NOON, why: "it answered 500" });
  t.is(failed?.nextAt, later(NOON, MINUTE));
  t.is(its.alerts.length, 0);
  its.pass((3 * HOUR + MINUTE) as DurationUs);
  await its.desk.update();
  t.regex(rowOf(its), /^1\.05 x1 live verified stale/);
  t.deepEqual(
    its.alerts.map(({ text }) => text),
    ["the prices of aws are stale: it answered 500"],
  );
});

test("who asks while a source is asked waits for the same answer", async (t) => {
  const gate = Promise.withResolvers<void>();
  const its = world(t, { answer: () => gate.promise.then(() => prices(rate(1.05))) });
  its.desk.follow();
  const both = [its.desk.update(), its.desk.update(["aws"])];
  await until(() => its.asked.length === 1);
  t.true(its.desk.book().sources[0]?.isFetching);
  gate.resolve();
  await Promise.all(both);
  t.is(its.asked.length, 1);
});

test("a key is read where the policy says, and one that cannot be read asks nobody", async (t) => {
  const access = (kind: "env" | "file") => {
    const key = kind === "env" ? { kind, name: "A" } : { kind, path: "/a" };
    return [["gcp", { key, regions: ["us-west1"], endpoint: undefined }]] as const;
  };
  const its = world(t, { sources: ["gcp"], access: access("env"), answer: () => prices(rate(1)) });
  await update(its);
  t.deepEqual([its.asked[0]?.key, its.asked[0]?.regions], ["a-secret", ["us-west1"]]);
  const other = world(t, { sources: ["gcp"], access: access("file"), answer: () => prices(rate(1)) });
  await update(other);
  t.is(other.asked.length, 0);
  t.is(other.desk.book().sources[0]?.trouble?.why, "its key cannot be read: the log says why");
  t.false([...its.warned, ...other.warned].join().includes("a-secret"));
});

test("AWS is asked for the regions of the list, with the login of the policy", async (t) => {
  const login = (credentials: unknown) =>
    ({
      providers: new Map([["aws", { credentials, endpoint: undefined, dryRun: false, callsPerMinute: 60 }]]),
    }) as unknown as Pick<Policy, "providers">;
  const its = world(t, { over: login({ kind: "profile", name: "studio" }), answer: () => prices(rate(1)) });
  await update(its);
  const [ask] = its.asked;
  t.deepEqual([ask?.profile, ask?.key, ask?.regions], ["studio", undefined, ["us-east-1"]]);
  const techops = world(t, { over: login({ kind: "techops" }), answer: () => prices(rate(1)) });
  await update(techops);
  t.regex(
    techops.desk.book().sources[0]?.trouble?.why ?? "",
    /^TechOps have installed no credentials of AWS/,
  );
  const sketch = { over: login({ kind: "techops" }), answer: () => prices(rate(1)) };
  const installed = world(t, { ...sketch, techopsLogin: "AKIA:secret" });
  await update(installed);
  t.is(installed.asked[0]?.key, "AKIA:secret");
});

test("what cannot be written is not charged by", async (t) => {
  const its = world(t, { answer: () => prices(rate(1.05)) });
  rmSync(its.folder, { recursive: true });
  await update(its);
  t.regex(rowOf(its), /^1\.00 x1 shipped/);
  t.is(its.repriced(), 0);
  t.regex(its.desk.book().sources[0]?.trouble?.why ?? "", /cannot be written/);
});

test("a file that is no file of prices is said, and counts as none", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "budgetguard-prices-"));
  writeFileSync(join(folder, "prices.json"), '{"version":1,"rates":[');
  const its = world(t, { folder, answer: () => prices(rate(1.05)) });
  t.regex(its.warned[0] ?? "", /prices\.json is no file of prices: they are fetched anew$/);
  await update(its);
  t.regex(readFileSync(join(folder, "prices.json"), "utf8"), /"usd_per_hour":"1\.05"/);
});

test("whatever fails how often, the next try comes, within the refresh and a tenth, and never at once", (t) => {
  const pick = { refresh: fc.integer({ min: 1, max: DAY }), failures: fc.integer({ min: 0, max: 5000 }) };
  const dice = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(pick.refresh, pick.failures, dice, (refresh, failures, thrown) => {
      const plan = { refresh: refresh as DurationUs, answeredAt: NOON, failures };
      const pause = pauseBefore(plan, NOON, thrown);
      t.true(
        pause >= 0.9 * MINUTE && pause <= Math.min(DAY, 1.1 * Math.max(refresh, MINUTE) + 1),
        `${pause}`,
      );
    }),
    { seed: 20261128, numRuns: 500 },
  );
  const plan = { refresh: HOUR, answeredAt: NOON, failures: 0 };
  t.is(pauseBefore(plan, later(NOON, (2 * HOUR) as DurationUs), 0.5), 0 as DurationUs);
  t.is(pauseBefore({ ...plan, answeredAt: undefined }, NOON, 0.5), 0 as DurationUs);
});
