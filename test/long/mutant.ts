// The mistakes that must not be made in money code, one line each, and which tests are to notice them.

export interface Mutant {
  /** Below src/. */
  readonly file: string;
  readonly what: string;
  /** Stands in the file exactly once. */
  readonly from: string;
  readonly to: string;
  readonly tests: readonly string[];
}

const LEDGER = ["test/ledger/*.test.ts"];
const METERING = ["test/metering/*.test.ts"];
const POLICY = ["test/policy/*.test.ts"];
const SIM = ["test/sim/*.test.ts"];
const PROXY = ["test/proxy/*.test.ts"];

export const MUTANTS: readonly Mutant[] = [
  {
    file: "metering/money.ts",
    what: "a hold is rounded down",
    from: "((rate * BigInt(elapsed) + US_PER_HOUR - 1n) / US_PER_HOUR)",
    to: "((rate * BigInt(elapsed)) / US_PER_HOUR)",
    tests: METERING,
  },
  {
    file: "metering/balance.ts",
    what: "one nano-dollar over fits",
    from: "need <= available(limit, balance)",
    to: "need <= available(limit, balance) + 1n",
    tests: METERING,
  },
  {
    file: "metering/lease.ts",
    what: "the remainder of a change goes nowhere",
    from: "live.idle.raw += live.c;",
    to: "",
    tests: METERING,
  },
  {
    file: "metering/accrual.ts",
    what: "sharing requests each pay in full",
    from: "live.V += due / n;",
    to: "live.V += due;",
    tests: METERING,
  },
  {
    file: "policy/degrade.ts",
    what: "a degraded quote need not fit its own budgets",
    from: "    one.unmet.length === 0 &&\n",
    to: "",
    tests: POLICY,
  },
  {
    file: "policy/replacement.ts",
    what: "a budget that only watches replaces one that limits",
    from: "!other.shadow",
    to: "true",
    tests: POLICY,
  },
  {
    file: "policy/claims.ts",
    what: "a hold over midnight takes all from the first day",
    from: "end <= first.end",
    to: "end > 0",
    tests: LEDGER,
  },
  {
    file: "ledger/accounts.ts",
    what: "nothing is held",
    from: "    this.take(hold, decision.claims, view);",
    to: "",
    tests: LEDGER,
  },
  {
    file: "ledger/accounts.ts",
    what: "an ended hold is not given back",
    from: '      .map((claim) => this.book.move(claim.account, claim, { kind: "unhold", amount: claim.amount }));',
    to: '      .map((claim) => this.book.move(claim.account, claim, { kind: "unhold", amount: 0n as never }));',
    tests: LEDGER,
  },
  {
    file: "ledger/accounts.ts",
    what: "a hold that could not be written stays",
    from: "    this.#giveBack(hold, decision.claims);",
    to: "",
    tests: LEDGER,
  },
  {
    file: "ledger/posting.ts",
    what: "a charge moves no balance",
    from: '{ kind: "settle", amount })',
    to: '{ kind: "settle", amount: 0n as never })',
    tests: LEDGER,
  },
  {
    file: "ledger/reservation.ts",
    what: "an ending does not wait for its slice",
    from: "    await hold.extending;",
    to: "",
    tests: LEDGER,
  },
  {
    file: "ledger/extending.ts",
    what: "a budget that cuts lets a slice through",
    from: "const cutting = unmet.find((demand) =>",
    to: "const cutting = unmet.slice(0, 0).find((demand) =>",
    tests: LEDGER,
  },
  {
    file: "ledger/charge.ts",
    what: "a cut request is charged beyond its hold",
    from: "const amount = smaller(part.amount, most.amount);",
    to: "const amount = part.amount;",
    tests: LEDGER,
  },
  {
    file: "ledger/recovery.ts",
    what: "a crash is free",
    from: "  hold.parts = parts;",
    to: "  hold.parts = [];",
    tests: LEDGER,
  },
  {
    file: "ledger/outbox.ts",
    what: "a refused ending is lost",
    from: "      this.#kept.push(write);",
    to: "",
    tests: LEDGER,
  },
  {
    file: "ledger/clock.ts",
    what: "time goes back",
    from: "this.#last = latest(this.#last, expected);",
    to: "this.#last = expected;",
    tests: LEDGER,
  },
  {
    file: "ledger/leases.ts",
    what: "a join is said once, written or not",
    from: "    for (const { id, join } of joins) this.#joined.set(id, join);",
    to: "",
    tests: LEDGER,
  },
  {
    file: "proxy/exchange.ts",
    what: "the last piece leaves before the charge is on disk",
    from: "    const settlement = await reservation.settle(ending);",
    to: "    relayed.finish();\n    const settlement = await reservation.settle(ending);",
    tests: SIM,
  },
  {
    file: "proxy/exchange.ts",
    what: "an attempt that was not sent keeps its money",
    from: "    await reservation.release(then);",
    to: "",
    tests: SIM,
  },
  {
    file: "proxy/relay.ts",
    what: "the clock does not stop",
    from: '    if (!this.#tell("stop")) return;',
    to: "",
    tests: PROXY,
  },
  {
    file: "proxy/upload.ts",
    what: "a client that leaves between two upstreams ends the process",
    from: '    this.on("error", () => undefined);',
    to: "",
    tests: PROXY,
  },
  {
    file: "ledger/accounts.ts",
    what: "an await stands between decision and hold",
    from: "const decision = decide(view);",
    to: "const decision = decide(view);\n    await null;",
    tests: SIM,
  },
  {
    file: "metering/balance.ts",
    what: "what fits exactly does not",
    from: "need <= available",
    to: "need < available",
    tests: METERING,
  },
  {
    file: "ledger/reservation.ts",
    what: "the hold of an aborted request is not given back",
    from: "...this.#accounts.unhold(hold), ...this.#post",
    to: '...(ending.outcome === "aborted" ? [] : this.#accounts.unhold(hold)), ...this.#post',
    tests: SIM,
  },
  {
    file: "metering/period.ts",
    what: "a period's end belongs to it",
    from: "at < period.end;",
    to: "at <= period.end;",
    tests: METERING,
  },
  {
    file: "ledger/extending.ts",
    what: "a slice is taken without looking",
    from: "filter((demand) => !satisfied(demand, balanceOf(demand, view)))",
    to: "filter(() => false)",
    tests: ["test/ledger/accounts-extend.test.ts"],
  },
  {
    file: "proxy/waiting-room.ts",
    what: "a newcomer does not see earlier claims",
    from: "ahead.length === 0 ? view : claimedBefore(ahead, view)",
    to: "view",
    tests: ["test/proxy/money-queue.test.ts"],
  },
  {
    file: "daemon/alert-desk.ts",
    what: "an alert is told twice",
    from: "this.#told.has(once) || ",
    to: "",
    tests: ["test/daemon/alert*.test.ts"],
  },
  {
    file: "ledger/held.ts",
    what: "a hold may end twice",
    from: "if (!from.includes(this.state))",
    to: "if (from.length === 0)",
    tests: LEDGER,
  },
  {
    file: "ledger/rebase.ts",
    what: "a rebased hold forgets the time to come",
    from: "...taken.map(({ amount }) => amount), costCeil(price.rate, time)",
    to: "...taken.map(({ amount }) => amount)",
    tests: ["test/ledger/rebase.test.ts"],
  },
  {
    file: "ledger/charge.ts",
    what: "a late cut charges beyond a rebased hold",
    from: "rebased === undefined ? from :",
    to: "rebased !== undefined ? from :",
    tests: ["test/ledger/rebase.test.ts"],
  },
  {
    file: "policy/ground-index.ts",
    what: "a budget about one of two values is found by the first alone",
    from: "for (const value of new Set(filed.ground.budget.when.get(scope)))",
    to: "for (const value of [...(filed.ground.budget.when.get(scope) ?? [])].slice(0, 1))",
    tests: ["test/policy/ground-index.test.ts"],
  },
  {
    file: "policy/policy.ts",
    what: "a shadow budget is enforced",
    from: "return enabled && !shadow &&",
    to: "return enabled &&",
    tests: ["test/policy/actions.test.ts"],
  },
  {
    file: "policy/spending.ts",
    what: "paid work passes while spending is stopped",
    from: "return !isFree(decided.quote.upstream.price);",
    to: "return false;",
    tests: ["test/policy/spending.test.ts"],
  },
  {
    file: "proxy/claimants.ts",
    what: "whoever waits behind others does not see that spending is stopped",
    from: "    ...view,\n",
    to: "    ...view,\n    stopped: undefined,\n",
    tests: SIM,
  },
  {
    file: "ledger/recovery.ts",
    what: "recovery forgets a hold",
    from: "left.map((row) =>",
    to: "left.slice(1).map((row) =>",
    tests: ["test/ledger/recovery.test.ts"],
  },
  {
    file: "ledger/accounts.ts",
    what: "a reload forgets what runs",
    from: "      placeOpenHolds(this, this.#open.values(), before);",
    to: "",
    tests: LEDGER,
  },
];
