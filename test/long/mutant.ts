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
    file: "policy/decide.ts",
    what: "a candidate that does not fit is chosen",
    from: "find((one) => one.unmet.length === 0);",
    to: "find(() => true);",
    tests: POLICY,
  },
  {
    file: "policy/match.ts",
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
    from: "    this.take(hold, decision.claims);",
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
    file: "ledger/reservation.ts",
    what: "a charge moves no balance",
    from: '{ kind: "settle", amount: part.amount }',
    to: '{ kind: "settle", amount: 0n as never }',
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
    file: "ledger/reservation.ts",
    what: "a budget that cuts lets a slice through",
    from: 'return "refused";',
    to: "void 0;",
    tests: LEDGER,
  },
  {
    file: "ledger/charge.ts",
    what: "a cut request is charged beyond its hold",
    from: "const amount = smaller(part.amount, most);",
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
    from: "    this.#joined.set(hold.row.id, hold);",
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
];
