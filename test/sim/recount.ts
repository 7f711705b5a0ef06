// Balances counted from nothing but the entries, written apart from the ledger and the policy's own matching:
// periods are UTC days and hours, scopes are plain comparisons. It refuses to know anything of either room.

interface Line {
  readonly at: number;
  readonly kind: string;
  readonly facts: Readonly<Record<string, string | undefined>>;
  readonly amount: bigint;
  readonly elapsed: number;
  readonly isLast: boolean;
  readonly images: number;
  readonly tokens: { readonly input: number; readonly output: number };
}

interface Limit {
  readonly when: ReadonlyMap<string, readonly string[]>;
  readonly per: string | undefined;
  readonly period: string;
}

const LENGTHS: Readonly<Record<string, number>> = { daily: 86_400_000_000, hourly: 3_600_000_000 };

/** What was charged, by period and by whose balance it is. */
export function recount(entries: readonly Line[], budget: Limit, unit: string): Map<string, bigint> {
  const sums = new Map<string, bigint>();
  for (const entry of entries) {
    if (entry.kind !== "settled") continue;
    const { facts } = entry;
    if (![...budget.when].every(([scope, values]) => values.includes(facts[scope] ?? "?"))) continue;
    const value = budget.per === "user" ? facts.user : budget.period === "per_task" ? facts.task : "";
    const key = keyOf(budget, entry.at, value ?? "");
    sums.set(key, (sums.get(key) ?? 0n) + countOf(unit, entry));
  }
  return sums;
}

export function keyOf(budget: Limit, at: number, value: string): string {
  const length = LENGTHS[budget.period];
  return `${length === undefined ? 0 : at - (at % length)}|${value}`;
}

function countOf(unit: string, entry: Line): bigint {
  switch (unit) {
    case "usd":
      return entry.amount;
    case "requests":
      return BigInt(entry.isLast);
    case "images":
      return BigInt(entry.images);
    case "seconds":
      return BigInt(entry.elapsed);
    case "tokens":
      return BigInt(entry.tokens.input + entry.tokens.output);
    default:
      throw new Error(`nobody counts ${unit}`);
  }
}
