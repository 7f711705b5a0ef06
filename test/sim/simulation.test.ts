import { registerHooks } from "node:module";
import test from "ava";
import { LocalAccounts } from "../../src/ledger/accounts.ts";
import { simulate } from "./simulation.ts";

const SEEDS = 150;

test("no seed breaks the invariant, leaks a hold or miscounts the book", async (t) => {
  const outcomes = new Set<string>();
  let crashes = 0;
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const report = await simulate(seed, (options) => new LocalAccounts(options));
    for (const outcome of report.outcomes.keys()) outcomes.add(outcome);
    crashes += report.crashes;
  }
  // A simulation in which nothing goes wrong proves nothing: every way to end was met.
  for (const outcome of ["relayed", "failed", "truncated", "aborted", "cut", "refused", "unsent"]) {
    t.true(outcomes.has(outcome), `no request ended as ${outcome}`);
  }
  t.true(outcomes.has("ledger_unavailable"));
  for (const event of [
    "reloaded",
    "stopped",
    "waited",
    "too_busy",
    "ejected",
    "recovered",
    "tried",
    "degraded",
    "waited in vain",
    "woken",
    "off under requests",
    "unwatched",
    "lease over",
    "told of idle alone",
    "reset",
    "raised",
    "set aside",
    "expired",
    "edit unwritten",
  ]) {
    t.true(outcomes.has(event), `in no run anything was ${event}`);
  }
  t.true(crashes > SEEDS / 4);
});

test("seed 8196: an attempt that failed over is not left open beside the next one by a power cut", async (t) => {
  const plain = { slots: false, containers: false, byHand: false };
  await t.notThrowsAsync(simulate(8196, (options) => new LocalAccounts(options), plain));
});

/** Seeds that failed once, and what was wrong then. */
const ONCE_FAILED: readonly (readonly [seed: number, what: string])[] = [
  [135, "a cut that came late in a stall charged more than its rebased hold"],
  [265, "the same, with another request beside it"],
  [551, "the same, in a budget of one provider"],
  [704, "the same, in a budget of one user"],
  [169, "a budget that was renamed in the last moment was not told of: the check looked too early"],
  [1374, "free work that was let through unenforced became enforced by a reload: the check did not know"],
  [1654, "what a watching budget held of batched work that the disk refused was taken off it all the same"],
  [6122, "a request that was held anew was settled twice where a crash found its refused release"],
  [
    20358,
    "a budget that went in the reload of a crash was taken for complete: no start did what a daemon does",
  ],
  [14, "ledger time jumps once a doubt has stood for ten minutes: the check did not know"],
  [486, "the same, after a reload"],
];
for (const [seed, what] of ONCE_FAILED) {
  test(`seed ${seed}: ${what}`, async (t) => {
    const before = { slots: true, containers: false, byHand: false };
    await t.notThrowsAsync(simulate(seed, (options) => new LocalAccounts(options), before));
  });
}

/** The same since there are containers. */
const FAILED_WITH_CONTAINERS: readonly (readonly [seed: number, what: string])[] = [
  [
    32,
    "a request that was decided before a rename shared a lease of its own, and the container idled beside",
  ],
  [1009, "a machine cost more once all who ran there had been asked: the bill did not know"],
  [1093, "the same, on another machine"],
  [
    5218,
    "what it needs of budgets that do not make it wait was not there: the check looked at its claims alone",
  ],
  [5521, "the same, of another budget"],
  [5614, "a container of which nothing was posted yet passed a limit unseen, and was new to the check then"],
];
for (const [seed, what] of FAILED_WITH_CONTAINERS) {
  test(`seed ${seed}: ${what}`, async (t) => {
    const before = { slots: true, containers: true, byHand: false };
    await t.notThrowsAsync(simulate(seed, (options) => new LocalAccounts(options), before));
  });
}

/** The same since budgets are changed by hand, and prices move everywhere. */
const FAILED_BY_HAND: readonly (readonly [seed: number, what: string])[] = [
  [619, "idle that was taken back of a time before a reset stayed forgiven"],
  [30759, "a request that hung was asked a higher price too late, and was charged beyond what it held"],
  [30786, "a reset forgave an ending that the disk had refused, and no longer so after a restart"],
  [30201, "what was taken back of the time after a reset that was being written was taken for forgiven"],
  [271, "a request that an earlier attempt had left was open in a crash: the check did not know"],
  [290, "one that is lost pays no more than it held, and says no more until when: the same"],
  [20392, "a crash after a refused write lost what it had posted of a lease that was written as over"],
  [20765, "the same of a gap, whose lease was written as it stood later"],
  [
    20452,
    "a crash charges by the price that its lease was written at: the bill looked at what was asked since",
  ],
  [21202, "a machine was started twice in one moment, as ledger time stood still"],
  [21395, "a machine was off by a time that a crash had undone: nothing ends later than now"],
  [21467, "who is parked for money of another budget blocks nobody: the check looked at its claims alone"],
  [20926, "a restart of the simulation forgot which leases nobody watches"],
  [
    60281,
    "a name that was told in the last moment was gone after a crash: the bill knew who had shared by it",
  ],
  [81392, "slices of tunnels were posted in the tick of a heartbeat: the bill took them for the container's"],
  [
    80323,
    "a raise that was granted just before a crash never came into force: ledger time was short of its grant",
  ],
  [6323, "a container was found to live while it served, just before a crash: the bill forgot that gap"],
  [
    6444,
    "who had waited for a container that no disk knew was charged as of the one before: so the bill not",
  ],
  [7072, "the same"],
  [6874, "a fraction from before a gap was posted once the disk took it: the bill no longer expected it"],
  [9412, "a request that was a task of its own was reset, which nobody can"],
  [4328, "what accrued before a midnight was posted to the day that was over: the check wanted it at once"],
  [3961, "what a raised price leaves to its container was not in what a decision counts until the next post"],
  [70585, "a reset was written though the disk had refused what it forgave"],
  [70058, "an upstream that came back within its rate_limit began anew"],
  [
    70527,
    "a quarter-hour turned in the moment in which somebody looked: the bill took it for time that nobody watched",
  ],
];
for (const [seed, what] of FAILED_BY_HAND) {
  test(`seed ${seed}: ${what}`, async (t) => {
    await t.notThrowsAsync(simulate(seed, (options) => new LocalAccounts(options)));
  });
}

test("an await planted between decision and hold is found", async (t) => {
  const Planted = await plantedAccounts();
  const found: string[] = [];
  for (let seed = 1; seed <= 40 && found.length === 0; seed += 1) {
    await simulate(seed, (options) => new Planted(options)).catch((error: Error) =>
      found.push(error.message),
    );
  }
  t.true(found.length > 0, "40 seeds ran with an await between decision and hold, and none noticed");
  t.regex(found[0] ?? "", /no longer fits|past its limit/);
});

/** The real accounts.ts with one line changed: the await that must never be there. */
async function plantedAccounts(): Promise<typeof LocalAccounts> {
  const line = "const decision = decide(view);";
  const hooks = registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      if (!url.endsWith("accounts.ts?plant=await")) return loaded;
      const source = String(loaded.source);
      if (!source.includes(line))
        throw new Error("the line to plant an await after is gone from accounts.ts");
      return { ...loaded, source: source.replace(line, `${line} await null;`) };
    },
  });
  try {
    const place = new URL("../../src/ledger/accounts.ts?plant=await", import.meta.url);
    return ((await import(place.href)) as { LocalAccounts: typeof LocalAccounts }).LocalAccounts;
  } finally {
    hooks.deregister();
  }
}
