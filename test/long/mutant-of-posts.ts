// The mistakes that must not be made where money moves without an ending: slices of tunnels, prices that rise,
// resets, and what the fleet tells of its containers.

import type { Mutant } from "./mutant.ts";

const TAKEN_BACK = ["test/daemon/resets-taken-back.test.ts"];
const AGAIN = ["test/ledger/container-again.test.ts"];
const WATCH = ["test/cloud/container-watch.test.ts"];
const RAISING = ["test/ledger/raising.test.ts"];
const BY_SLICE = ["test/ledger/by-slice.test.ts"];

export const MUTANTS_OF_POSTS: readonly Mutant[] = [
  {
    file: "ledger/by-slice.ts",
    what: "a slice that the disk refused holds nothing any more",
    from: "        hold.claim(claim);",
    to: "",
    tests: BY_SLICE,
  },
  {
    file: "ledger/by-slice.ts",
    what: "a slice that the disk refused is taken for posted",
    from: "      hold.posted.remove(parts);",
    to: "",
    tests: BY_SLICE,
  },
  {
    file: "ledger/by-slice.ts",
    what: "a reset forgives a slice that the disk may refuse",
    from: "isBySlice && growing !== undefined",
    to: "isBySlice && growing === null",
    tests: ["test/daemon/budget-edits.test.ts"],
  },
  {
    file: "ledger/sharing.ts",
    what: "one that holds at the price is asked for it again",
    from: "return rate < this.#said.price.rate ?",
    to: "return rate <= this.#said.price.rate ?",
    tests: RAISING,
  },
  {
    file: "ledger/raising.ts",
    what: "a rise counts before a slice has passed",
    from: "said !== undefined && till.now() >= later(said.since, sliceOf(hold.time))",
    to: "said !== undefined",
    tests: RAISING,
  },
  {
    file: "ledger/raising.ts",
    what: "whoever relays a request is not told that its money ends sooner",
    from: "if (hold.horizon === horizon) hold.shortened();",
    to: "",
    tests: RAISING,
  },
  {
    file: "ledger/shares.ts",
    what: "recovery charges a risen price for the time before it",
    from: "rebased?.price !== undefined && at >= rebased.at",
    to: "rebased?.price !== undefined",
    tests: ["test/ledger/recovery-price.test.ts"],
  },
  {
    file: "ledger/forgiven.ts",
    what: "a restart forgives what a late stop has taken back",
    from: "    !isLess &&\n",
    to: "",
    tests: TAKEN_BACK,
  },
  {
    file: "ledger/forgiven.ts",
    what: "a reset forgives entries that a fold does not count",
    from: "(fold === undefined || fold.seq <= entries)",
    to: "true",
    tests: ["test/daemon/resets-carried.test.ts"],
  },
  {
    file: "ledger/reliefs.ts",
    what: "a budget is relieved of more than it has settled",
    from: "relief !== undefined && relief.amount > settled",
    to: "relief !== undefined && relief.amount < 0n",
    tests: ["test/ledger/book.test.ts", ...TAKEN_BACK],
  },
  {
    file: "ledger/reliefs.ts",
    what: "what is taken back of forgiven idle stays forgiven",
    from: "of >= relief.at",
    to: "of >= 0",
    tests: TAKEN_BACK,
  },
  {
    file: "ledger/container-lease.ts",
    what: "what nobody watches accrues",
    from: "return this.#watched || this.sharing.lease.active > 0;",
    to: "return true;",
    tests: AGAIN,
  },
  {
    file: "ledger/containers.ts",
    what: "a container is billed through a stop that nobody saw",
    from: "const stop = isIts ?",
    to: "const stop = !isIts ?",
    tests: AGAIN,
  },
  {
    file: "cloud/container-watch.ts",
    what: "a stop is not told to the ledger",
    from: "      this.#parts.off(id, this.#stopped);",
    to: "",
    tests: WATCH,
  },
  {
    file: "cloud/container-watch.ts",
    what: "no answer is off",
    from: '    if (trouble.kind !== "not_found") return;',
    to: "",
    tests: WATCH,
  },
  {
    file: "cloud/container-watch.ts",
    what: "one that was made anew leaves the one before it up",
    from: "if (billed(this.#up)?.id !== bill?.id) this.#parts.only(bill?.id, bill?.since);",
    to: "",
    tests: WATCH,
  },
  {
    file: "daemon/budget-edits.ts",
    what: "an edit that a crash prevented is taken for made",
    from: "this.#work.then(() => this.#note(edit, this.#parts.digest() === digest))",
    to: "this.#work.then(() => this.#note(edit, digest !== undefined))",
    tests: ["test/daemon/budget-edits.test.ts"],
  },
];
