// Balances counted from nothing but the entries, written apart from the ledger and the policy's own matching:
// periods are UTC days and hours, scopes are plain comparisons. It refuses to know anything of either room.

export interface Line {
  readonly at: number;
  readonly kind: string;
  /** Undefined: it is a container's own. */
  readonly request: string | undefined;
  readonly facts: Readonly<Record<string, string | undefined>>;
  readonly amount: bigint;
  readonly elapsed: number;
  readonly isLast: boolean;
  readonly images: number;
  readonly tokens: { readonly input: number; readonly output: number };
}

export interface Limit {
  readonly when: ReadonlyMap<string, readonly string[]>;
  readonly per: string | undefined;
  readonly period: string;
  readonly includeIdle: boolean;
}

const CHARGED = ["settled", "startup", "idle", "minimum", "gap", "adjusted"];
/** What container money carries; whoever asks for more never receives it. */
const OF_CONTAINERS = ["provider", "upstream", "machine", "gpu_tier"];

const LENGTHS: Readonly<Record<string, number>> = { daily: 86_400_000_000, hourly: 3_600_000_000 };

/** What was charged, by period and by whose balance it is. */
export function recount(entries: Iterable<Line>, budget: Limit, unit: string): Map<string, bigint> {
  const sums = new Map<string, bigint>();
  for (const entry of entries) {
    const key = countedAt(entry, budget, unit);
    if (key !== undefined) sums.set(key, (sums.get(key) ?? 0n) + countOf(unit, entry));
  }
  return sums;
}

/** Where it counts in that budget; undefined if it does not. */
export function countedAt(entry: Line, budget: Limit, unit: string): string | undefined {
  const { kind, facts, request, at } = entry;
  if (!CHARGED.includes(kind)) return undefined;
  if (request === undefined && !receivesContainers(budget, unit)) return undefined;
  if (![...budget.when].every(([scope, values]) => values.includes(facts[scope] ?? "?"))) return undefined;
  const per = budget.per ?? (budget.period === "per_task" ? "task" : undefined);
  return keyOf(budget, at, per === undefined ? "" : (facts[per] ?? "unknown"));
}

/** Whether a container's own money can count there at all; its provider and its name may still say no. */
export function receivesContainers({ when, per, period, includeIdle }: Limit, unit: string): boolean {
  const scopes = [...when.keys(), ...(per === undefined ? [] : [per])];
  const isGrouped = period === "per_task" || period === "per_session";
  return unit === "usd" && includeIdle && !isGrouped && scopes.every((one) => OF_CONTAINERS.includes(one));
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
      return BigInt(entry.kind === "settled" ? entry.elapsed : 0);
    case "tokens":
      return BigInt(entry.tokens.input + entry.tokens.output);
    default:
      throw new Error(`nobody counts ${unit}`);
  }
}
