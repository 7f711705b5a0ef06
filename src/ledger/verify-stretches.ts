// What requests that overlapped on a machine were charged, from their entries alone: no more than the dearest
// price that anybody in it was asked, times how long it lasted; where several machines of that name were up,
// times the time of each. What a crash left (`unknown`) is charged at the longest that it can have been, so
// that such a stretch proves nothing; nor does one with a request that was charged all that it held: it may
// have shared for longer than it counts. Where each paid the whole price (`attribution: exclusive`), a note
// tells what that is more.

import type { DatabaseSync } from "node:sqlite";
import { big, exclusiveNote, type Finding, rowsOf } from "./verified.ts";

const US_PER_HOUR = 3_600_000_000n;

interface Stretch {
  readonly machine: string;
  readonly start: bigint;
  end: bigint;
  amount: bigint;
  /** The dearest that anybody in it was asked, nano-dollars an hour. */
  rate: bigint;
  isKnown: boolean;
  /** Somebody in it paid the whole price, whoever ran there too: then a note tells of the law. */
  isExclusive: boolean;
}

export function verifyStretches(database: DatabaseSync) {
  const statement = database.prepare(
    `SELECT request, machine, at, elapsed, amount, price, price_source,
       coalesce(outcome, (SELECT outcome FROM decisions
         WHERE decisions.request = entries.request)) AS outcome FROM entries
     WHERE kind IN ('settled', 'startup') AND request IS NOT NULL AND machine IS NOT NULL
       AND price LIKE '%/h' AND (elapsed > 0 OR amount <> 0) ORDER BY machine, at`,
  );
  statement.setReadBigInts(true);
  const capped = cappedRequests(database);
  const up = timesUp(database);
  const findings: Finding[] = [];
  const beyond = new Map<string, bigint>();
  let counted = 0;
  const end = (stretch: Stretch | undefined) => {
    if (stretch === undefined) return;
    counted += 1;
    const { machine, amount, isExclusive } = stretch;
    const most = (stretch.rate * billedTime(stretch, up.get(machine))) / US_PER_HOUR;
    if (amount <= most) return;
    if (isExclusive) beyond.set(machine, (beyond.get(machine) ?? 0n) + amount - most);
    else if (stretch.isKnown) findings.push(tooMuch(stretch, most));
  };
  let open: Stretch | undefined;
  for (const row of statement.iterate()) {
    const next = stretchOf(row, capped);
    if (open !== undefined && open.machine === next.machine && next.start <= open.end) {
      if (next.end > open.end) open.end = next.end;
      if (next.rate > open.rate) open.rate = next.rate;
      open.amount += next.amount;
      open.isKnown &&= next.isKnown;
      open.isExclusive ||= next.isExclusive;
    } else {
      end(open);
      open = next;
    }
  }
  end(open);
  const notes = [...beyond].map(([machine, by]) => exclusiveNote(`machine ${machine}`, by));
  return { counted, notes, findings };
}

function stretchOf(row: Record<string, unknown>, capped: ReadonlySet<string>): Stretch {
  const { request, machine, at, elapsed, amount, price, price_source, outcome } = row;
  const rate = nanosOf(String(price));
  const [start, time] = [big(at), big(elapsed)];
  return {
    machine: String(machine),
    ...{ start, end: start + time, amount: big(amount), rate },
    isKnown: outcome !== "unknown" && !capped.has(String(request)),
    isExclusive: String(price_source).endsWith("(exclusive)"),
  };
}

interface Up {
  readonly start: bigint;
  readonly end: bigint;
}

/** When containers were up so far, by each name that one was counted by, in the order of their starts. */
function timesUp(database: DatabaseSync): ReadonlyMap<string, readonly Up[]> {
  const all = rowsOf(
    database,
    `SELECT machine.value AS machine, state ->> '$.state.start' AS start, at AS end
     FROM containers, json_each(state, '$.machines') AS machine ORDER BY 2`,
  );
  const up = all.map((row) => ({ machine: String(row.machine), start: big(row.start), end: big(row.end) }));
  return Map.groupBy(up, ({ machine }) => machine);
}

/** The time of each machine that was up in it; where none is known of, the requests' own counts once. */
function billedTime(stretch: Pick<Stretch, "start" | "end">, up: readonly Up[] = []): bigint {
  let time = 0n;
  let covered = stretch.start;
  for (const one of up) {
    const start = one.start > stretch.start ? one.start : stretch.start;
    const end = one.end < stretch.end ? one.end : stretch.end;
    if (end <= start) continue;
    time += end - start;
    if (start > covered) time += start - covered;
    if (end > covered) covered = end;
  }
  return time + stretch.end - covered;
}

/** "3.60/h" */
function nanosOf(price: string): bigint {
  const [whole = "0", fraction = ""] = price.replace("/h", "").split(".");
  return BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0").slice(0, 9));
}

function tooMuch({ machine, start, end, amount }: Stretch, most: bigint): Finding {
  const [from, to] = [start, end].map((at) => new Date(Number(at) / 1000).toISOString());
  return {
    check: "machines",
    what: "its requests were charged more than its price for the time that any of them ran",
    where: `machine ${machine} from ${from} to ${to}`,
    unit: "usd",
    expected: most,
    found: amount,
    cure: "keep a copy of the data folder, and correct the money with `budgetguard ledger adjust`",
  };
}

/**
 * Those that ran to the end of what they held, or beyond: of a budget that cuts they are charged that, and
 * count that long, at most. Then less than the whole is posted, and how long they shared is not known.
 */
export function cappedRequests(database: DatabaseSync, machine?: string, start = 0): ReadonlySet<string> {
  const statement = database.prepare(
    `SELECT request, max(price) AS price, max(CASE WHEN kind = 'reserved' THEN at END) AS began,
       sum(CASE WHEN kind IN ('reserved', 'extended') THEN amount ELSE 0 END)
         - sum(CASE WHEN kind = 'released' THEN amount ELSE 0 END) AS held,
       max(CASE WHEN kind IN ('settled', 'startup') THEN at + elapsed END) AS ended
     FROM entries WHERE request IS NOT NULL AND price LIKE '%/h' AND machine = coalesce(?, machine)
     GROUP BY request HAVING ended >= ?`,
  );
  statement.setReadBigInts(true);
  const capped = new Set<string>();
  for (const { request, price, began, held, ended } of statement.iterate(machine ?? null, start)) {
    const ran = nanosOf(String(price)) * (big(ended) - big(began));
    if (ran > (big(held) - 1n) * US_PER_HOUR) capped.add(String(request));
  }
  return capped;
}
