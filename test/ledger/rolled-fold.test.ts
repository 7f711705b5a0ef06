// A balance out of the sums of days is the balance out of the entries, to the nano-dollar: beside a fold of all
// entries, and a recount that shares nothing with either. Also once the entries are gone.

import type { DatabaseSync } from "node:sqlite";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { dropEntries, MOST_DROPPED } from "../../src/ledger/dropping.ts";
import { fold } from "../../src/ledger/fold.ts";
import { type Folded, foldEntries } from "../../src/ledger/fold-entries.ts";
import { questionOf } from "../../src/ledger/folding.ts";
import { openLedger } from "../../src/ledger/sqlite-open.ts";
import { SqliteWriter } from "../../src/ledger/sqlite-writer.ts";
import type { Entry, FoldQuestion } from "../../src/ledger/store.ts";
import { nanoUsd } from "../../src/metering/money.ts";
import { UNITS } from "../../src/metering/quantity.ts";
import { DAY, durationUs, earlier, type Instant, later, QUARTER_HOUR } from "../../src/metering/time.ts";
import { groundsOf } from "../../src/policy/match.ts";
import { rolledBy } from "../../src/policy/rolled-up.ts";
import { entry, facts, ledgerFolder } from "../support/ledger.ts";
import { budget, policy, TEN } from "../support/policies.ts";

const SEED = 20261128;
const CHARGED = ["settled", "startup", "idle", "minimum", "gap", "adjusted"];

function open(t: ExecutionContext): DatabaseSync {
  const database = openLedger(ledgerFolder(t));
  // It is deleted hundreds of times, and need not survive.
  database.exec("PRAGMA synchronous = OFF");
  t.teardown(() => database.close());
  return database;
}

function put(database: DatabaseSync, entries: readonly Entry[]): void {
  database.exec("BEGIN; DELETE FROM entries; DELETE FROM rollups; DELETE FROM days; DELETE FROM meta");
  const writer = new SqliteWriter(database);
  // In several writes: sums are added to, not only begun.
  for (let at = 0; at < entries.length; at += 7) {
    writer.put({ entries: entries.slice(at, at + 7), at: TEN, wall: TEN });
  }
  database.exec("COMMIT");
}

/** From the entries as they are in memory, in words of its own. */
function recount(entries: readonly Entry[], { unit, when, per, requestsOnly, since, key }: FoldQuestion) {
  const sums = new Map<string, bigint>();
  const isOfContainers = per === undefined || ["provider", "upstream", "machine", "gpu_tier"].includes(per);
  for (const { at, kind, request, facts: own, amount, isLast, images, elapsed, tokens } of entries) {
    const is = own as Readonly<Record<string, string | undefined>>;
    const isContainers = request === undefined && (kind !== "adjusted" || own.machine !== undefined);
    if (at < since || !CHARGED.includes(kind)) continue;
    if (isContainers && (requestsOnly || !isOfContainers)) continue;
    if (!when.every(([scope, values]) => values.some((value) => value === is[scope]))) continue;
    const counts = {
      usd: amount as bigint,
      requests: isLast ? 1n : 0n,
      images: BigInt(images),
      seconds: kind === "settled" ? BigInt(elapsed) : 0n,
      tokens: BigInt(tokens.input) + BigInt(tokens.output),
    };
    const session = JSON.stringify([is.user ?? null, is.session ?? null]);
    const whose = per === "session" ? session : (is[per ?? ""] ?? "unknown");
    const account = per === undefined ? key : `${key}=${whose}`;
    sums.set(account, (sums.get(account) ?? 0n) + counts[unit]);
  }
  return sumsOf([...sums]);
}

function sumsOf(all: readonly (readonly [string, bigint])[]): Record<string, bigint> {
  const sorted = all.filter(([, sum]) => sum !== 0n).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(sorted);
}

function changesOf(folded: readonly Folded[]): Record<string, bigint> {
  return sumsOf(folded.map(({ change }) => [change.account, change.settled]));
}

const name = (...names: string[]) => fc.constantFrom(...names, undefined);
const REQUESTS = fc.record({
  kind: fc.constantFrom<Entry["kind"]>("settled", "settled", "startup", "reserved", "extended", "released"),
  request: fc.constantFrom("r-1", "r-2", "r-3", "r-4"),
  amount: fc.bigInt({ min: 0n, max: 10n ** 12n }).map(nanoUsd),
  elapsed: fc.nat(10 ** 9).map(durationUs),
  isLast: fc.boolean(),
  images: fc.nat(4),
  tokens: fc.record({ input: fc.nat(10 ** 6), output: fc.nat(10 ** 6) }),
  facts: fc
    .record({
      ...{ provider: name("aws", "gcp"), upstream: name("u-1", "u-2"), model: name("m-1", "m-2") },
      ...{ user: name("ann", "bob", "unknown"), workflow: name("w-1", "w-2"), project: name("film") },
      ...{ machine: name("pool"), session: name("s-1"), task: fc.constant(undefined), tag: name("x") },
    })
    .map((own) => facts(own)),
});
/** What a container is charged, and corrections of it or of nobody. */
const OTHERS = fc.record({
  kind: fc.constantFrom<Entry["kind"]>("idle", "startup", "minimum", "gap", "adjusted"),
  request: fc.constant(undefined),
  amount: fc.bigInt({ min: -(10n ** 9n), max: 10n ** 12n }).map(nanoUsd),
  elapsed: fc.nat(10 ** 9).map(durationUs),
  isLast: fc.constant(false),
  images: fc.constant(0),
  facts: fc
    .record({ provider: name("aws", "gcp"), upstream: name("u-1"), machine: name("pool") })
    .map((own) => facts({ ...own, model: undefined, user: undefined, task: undefined })),
});

const ZONES = [
  ...["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"],
  ...["Pacific/Kiritimati", "Pacific/Pago_Pago"],
];
const WHEN = [
  ...[
    {},
    {},
    {},
    {},
    {},
    {},
    { user: "ann" },
    { user: ["ann", "bob", "unknown"] },
    { provider: "aws" },
    { model: "m-1" },
  ],
  ...[{ upstream: ["u-1", "u-2"] }, { workflow: "w-1" }, { project: "film" }, { machine: "pool" }],
  ...[{ user: "ann", provider: "aws" }, { tag: "x" }],
];
const PERS = [
  ...[
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    "user",
    "provider",
    "model",
    "upstream",
    "workflow",
    "project",
  ],
  ...["machine", "session", "tag"],
] as const;

const question = fc
  .record({
    zone: fc.constantFrom(...ZONES),
    period: fc.constantFrom("hourly", "daily", "weekly", "monthly", "yearly", "infinite"),
    resetDay: fc.integer({ min: 1, max: 7 }),
    unit: fc.constantFrom(...UNITS),
    when: fc.constantFrom(...WHEN),
    per: fc.constantFrom(...PERS),
    includeIdle: fc.boolean(),
    back: fc.nat(30 * DAY),
    // Of no period of any zone: a sum has to be cut.
    odd: fc.option(fc.nat(30 * DAY), { freq: 3, nil: undefined }),
  })
  .map(({ zone, unit, back, odd, ...sketch }): FoldQuestion => {
    const limits = unit === "usd" ? { limit_usd: "1" } : { limits: { [unit]: 1 } };
    const one = budget("b", { ...limits, ...sketch } as never);
    const [ground] = groundsOf(policy({ upstreams: [], budgets: [one], timezone: zone }));
    if (ground === undefined) throw new Error("a budget without a ground");
    const asked = questionOf(ground, earlier(TEN, durationUs(back)));
    const start = earlier(TEN, durationUs(odd ?? 0));
    return odd === undefined ? asked : { ...asked, since: start, start };
  });

/** Most entries stand where something turns: at a period's start, a quarter-hour or a day, or a µs beside. */
const ledgers = question.chain((asked) =>
  fc.record({
    asked: fc.constant(asked),
    entries: fc.array(
      fc
        .record({
          line: fc.oneof({ weight: 3, arbitrary: REQUESTS }, { weight: 1, arbitrary: OTHERS }),
          near: fc.constantFrom(asked.since, later(asked.since, DAY), earlier(TEN, durationUs(3 * DAY)), TEN),
          by: fc.oneof(
            fc.constantFrom(0, -1, 1),
            fc.integer({ min: -100, max: 100 }).map((count) => count * QUARTER_HOUR),
            fc.integer({ min: -3 * DAY, max: 3 * DAY }),
          ),
          cut: fc.constantFrom(1, QUARTER_HOUR, DAY),
        })
        .map(({ line, near, by, cut }) => {
          const at = Math.max(0, near + by);
          return entry({ ...line, at: (at - (at % cut)) as Instant });
        }),
      { minLength: 1, maxLength: 40 },
    ),
  }),
);

test(`any fold out of sums is the fold of all entries, and a naive recount, seed ${SEED}`, (t) => {
  const database = open(t);
  let rolled = 0;
  const law = fc.property(ledgers, ({ asked, entries }) => {
    put(database, entries);
    const { folded, gap, since } = fold(database, asked);
    const expected = recount(entries, asked);
    t.deepEqual(changesOf(folded), expected);
    t.deepEqual(changesOf(foldEntries(database, asked)), expected);
    t.deepEqual([gap, since], [undefined, asked.since]);
    const scopes = asked.when.map(([scope]) => scope);
    if (rolledBy(scopes, asked.per) !== undefined && Object.keys(expected).length > 0) rolled += 1;
  });
  t.notThrows(() => fc.assert(law, { seed: SEED, numRuns: 500 }));
  t.true(rolled > 100, `only ${rolled} had anything to sum`);
});

function dropAll(database: DatabaseSync, before: Instant): void {
  while (dropEntries(database, before) === MOST_DROPPED);
}

test(`once old entries are gone, sums say the same, and the rest counts what is there, seed ${SEED}`, (t) => {
  const database = open(t);
  const seen = { rolled: 0, gone: 0 };
  const days = fc.integer({ min: -3, max: 34 });
  const law = fc.property(ledgers, days, ({ asked, entries }, back) => {
    put(database, entries);
    const before = (TEN - (TEN % DAY) - back * DAY) as Instant;
    dropAll(database, before);
    const isMarked = database.prepare("SELECT 1 FROM meta WHERE key = 'entries_from'").get() !== undefined;
    const { folded, gap, since } = fold(database, asked);
    const scopes = asked.when.map(([scope]) => scope);
    const isOdd = asked.since % QUARTER_HOUR !== 0 && asked.since < before;
    if (rolledBy(scopes, asked.per) !== undefined && !(isMarked && isOdd)) {
      t.deepEqual([changesOf(folded), gap], [recount(entries, asked), undefined]);
      if (isMarked && asked.since < before) seen.rolled += 1;
    } else if (isMarked && asked.since < before) {
      t.is(gap, before);
      if (isOdd) return;
      t.deepEqual(changesOf(folded), recount(entries, { ...asked, since: before }));
      t.is(since, before);
      seen.gone += 1;
    }
  });
  t.notThrows(() => fc.assert(law, { seed: SEED, numRuns: 500 }));
  t.true(seen.rolled > 40 && seen.gone > 20, JSON.stringify(seen));
});

/** One day on which more users came than are told apart, and others before and after it. */
function crowd(): readonly Entry[] {
  const noon = later(TEN, durationUs(-2 * DAY));
  const of = (user: string, at: Instant, number: number) =>
    entry({
      at,
      request: `r-${user}-${at}`,
      facts: facts({ user, task: undefined }),
      amount: nanoUsd(BigInt(number)),
    });
  const many = Array.from({ length: 1003 }, (_, index) => of(`u-${index}`, noon, index + 1));
  const few = ["u-0", "u-1002", "other", "unknown"].flatMap((user, index) => [
    of(user, earlier(noon, DAY), 10_000 + index),
    of(user, later(noon, durationUs(5)), 15_000 + index),
    of(user, later(noon, QUARTER_HOUR), 20_000 + index),
    of(user, later(noon, DAY), 30_000 + index),
  ]);
  return [...many, ...few];
}

const CROWD: readonly Partial<FoldQuestion>[] = [
  { per: "user" },
  { when: [["user", ["u-0", "u-1002"]]] },
  { when: [["user", ["other"]]] },
  { per: "user", when: [["user", ["u-1002", "unknown", "other"]]] },
];

function ofCrowd(over: Partial<FoldQuestion>, since: Instant): FoldQuestion {
  const question = { key: "k", unit: "usd", per: undefined, when: [], requestsOnly: false } as const;
  return { ...question, ...over, since, start: since, end: later(TEN, DAY) };
}

test("a day with more users than are told apart is counted from its entries, whoever is asked for", (t) => {
  const database = open(t);
  const all = crowd();
  put(database, all);
  // From before it, from its beginning, from inside of it before and after the crowd, and after it.
  const day = TEN - (TEN % DAY) - 2 * DAY;
  for (const since of [day - 5 * DAY, day, day + QUARTER_HOUR, later(TEN, durationUs(-2 * DAY + 1)), TEN]) {
    for (const over of CROWD) {
      const asked = ofCrowd(over, since as Instant);
      const { folded, gap } = fold(database, asked);
      t.deepEqual([changesOf(folded), gap], [recount(all, asked), undefined]);
    }
  }
});

test("once the entries of such a day are gone, who was told apart counts, and the fold says that it is not all", (t) => {
  const database = open(t);
  const all = crowd();
  put(database, all);
  dropAll(database, (TEN - (TEN % DAY)) as Instant);
  const asked = ofCrowd({ per: "user" }, earlier(TEN, durationUs(9 * DAY)));
  const { folded, gap } = fold(database, asked);
  t.is(gap, (TEN - (TEN % DAY)) as Instant);
  const [found, due] = [changesOf(folded), recount(all, asked)];
  for (const user of ["u-0", "u-1", "u-999"]) t.is(found[`k=${user}`], due[`k=${user}`]);
  t.true((found["k=u-1002"] ?? 0n) < (due["k=u-1002"] ?? 0n));
  t.is(found["k=other"], undefined, "what others spent is nobody's");
  // Nobody is missed of a whole, nor by who does not come from clients.
  for (const over of [{}, { per: "provider" }]) {
    const whole = ofCrowd(over, earlier(TEN, durationUs(9 * DAY)));
    const counted = fold(database, whole);
    t.deepEqual([changesOf(counted.folded), counted.gap], [recount(all, whole), undefined]);
  }
});
