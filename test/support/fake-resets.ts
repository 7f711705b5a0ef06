// The resets that a fake disk has, and what each has forgiven, kept the naive way: as the set of the entries that
// its budget counted when the reset was written.

import type { Adjustment } from "../../src/ledger/adjustments.ts";
import { readGround } from "../../src/ledger/ground-name.ts";
import type { Entry, Forgiven, ForgivenQuestion } from "../../src/ledger/store.ts";
import { NOTHING, type Quantity, sum, type Unit } from "../../src/metering/quantity.ts";
import type { Instant } from "../../src/metering/time.ts";

export interface Counting {
  readonly when: readonly (readonly [scope: string, values: readonly string[]])[];
  readonly per: string | undefined;
  readonly requestsOnly: boolean;
}

const CHARGED: ReadonlySet<string> = new Set(["settled", "startup", "idle", "minimum", "gap", "adjusted"]);
const OF_CONTAINERS: readonly string[] = ["provider", "upstream", "machine", "gpu_tier"];

/** Whether a balance that is named so has this entry; its period is not looked at. */
export function counts({ when, per, requestsOnly }: Counting, { kind, request, facts }: Entry): boolean {
  const isRequestsOnly = requestsOnly || (per !== undefined && !OF_CONTAINERS.includes(per));
  if (!CHARGED.has(kind) || (request === undefined && isRequestsOnly)) return false;
  const known = facts as Record<string, string | undefined>;
  return when.every(([scope, values]) => values.includes(known[scope] ?? ""));
}

/** Of `per`. */
export function perValue({ per }: Counting, { facts }: Entry): string | undefined {
  return per === undefined ? undefined : ((facts as Record<string, string | undefined>)[per] ?? "unknown");
}

/** Written anew, so that a mistake of the ledger's own count is found. */
export function countOf(unit: Unit, entry: Entry): Quantity {
  const all = {
    usd: entry.amount,
    requests: entry.isLast ? 1 : 0,
    images: entry.images,
    seconds: entry.kind === "settled" ? entry.elapsed : 0,
    tokens: entry.tokens.input + entry.tokens.output,
  };
  return BigInt(all[unit]) as Quantity;
}

interface Reset {
  readonly adjustment: Adjustment;
  readonly has: (entry: Entry) => boolean;
  readonly seen: ReadonlySet<Entry>;
}

export class FakeResets {
  readonly #all: Reset[];

  constructor(before?: FakeResets) {
    this.#all = before === undefined ? [] : [...before.#all];
  }

  /** `entries`: all that are on the disk by now. */
  add(adjustment: Adjustment, entries: readonly Entry[]): void {
    const { account, value, period } = adjustment;
    const ground = readGround(value === undefined ? account : account.slice(0, -(value.length + 1)));
    if (ground === undefined) throw new Error(`nobody can read ${account}`);
    const has = (entry: Entry) =>
      counts(ground, entry) &&
      perValue(ground, entry) === value &&
      entry.at >= period.start &&
      entry.at < period.end;
    this.#all.push({ adjustment, has, seen: new Set(entries.filter(has)) });
  }

  /** What is taken back of what was forgiven is less forgiven. */
  forgiven(questions: readonly ForgivenQuestion[], entries: readonly Entry[]): readonly Forgiven[] {
    return questions.flatMap((question) => {
      const { budget, unit, key, start, end, since } = question;
      const own = this.#all.filter(
        ({ adjustment }) => adjustment.budget === budget && adjustment.unit === unit,
      );
      const newest = Math.max(0, ...own.map(({ adjustment }) => adjustment.at)) as Instant;
      const sums = new Map<string, Quantity>();
      for (const entry of own.length === 0 ? [] : entries) {
        if (entry.at < Math.max(start, since) || entry.at >= end || !counts(question, entry)) continue;
        if (!own.some((reset) => isForgivenBy(reset, entry))) continue;
        const value = perValue(question, entry);
        const account = value === undefined ? key : `${key}=${value}`;
        sums.set(account, sum(sums.get(account) ?? NOTHING, countOf(unit, entry)));
      }
      return [...sums].flatMap(([account, amount]) =>
        amount > 0n ? [{ budget, account, start, end, amount, at: newest }] : [],
      );
    });
  }
}

function isForgivenBy({ adjustment, has, seen }: Reset, entry: Entry): boolean {
  if (seen.has(entry)) return true;
  const isTakenBack = entry.kind === "adjusted" && entry.request === undefined && entry.amount < 0n;
  return isTakenBack && entry.at < adjustment.at && has(entry);
}
