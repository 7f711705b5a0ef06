// What the rules of `alerts` look at, summed from the ledger by its reading thread: today by model and
// outcome, the month, and the last two weeks by the hour.

import type { SumsRow } from "../ledger/queries.ts";
import type { LedgerReader } from "../ledger/reader.ts";
import { add, ZERO_USD } from "../metering/money.ts";
import { type Period, periodOf } from "../metering/period.ts";
import { DAY, durationUs, earlier, FOREVER, HOUR, type Instant, instantUs } from "../metering/time.ts";
import type { DaySums, SpendHistory } from "../policy/alert-rules.ts";

/** An hour is compared with those of this long before it. */
const COMPARED = durationUs(14 * DAY);

export async function spendHistory(
  reader: Pick<LedgerReader, "sums" | "hours">,
  timezone: string,
  at: Instant,
): Promise<SpendHistory> {
  const day = periodOf("daily", timezone, 1, at);
  const month = periodOf("monthly", timezone, 1, at);
  const from = earlier(instantUs(at - (at % HOUR)), COMPARED);
  const asked = (period: Period) => ({ from: period.start, to: period.end, where: {} });
  const [series, total, hours] = await Promise.all([
    reader.sums({ ...asked(day), by: "series" }),
    reader.sums({ ...asked(month), by: "total" }),
    reader.hours(from, FOREVER),
  ]);
  const spent = total[0]?.amount ?? ZERO_USD;
  return { at, timezone, day: { period: day, ...sumsOf(series) }, month: { period: month, spent }, hours };
}

/** How a request can end that its upstream is to be judged by. */
const JUDGED = new Set(["relayed", "failed", "truncated"]);

function sumsOf(series: readonly SumsRow[]): Omit<DaySums, "period"> {
  const rows = series.map((row) => ({ ...row, ...nameOf(row.value) }));
  // A language model's choices are counted as images are; its tokens give it away.
  const spoken = new Set(
    rows.filter(({ tokens }) => tokens.input + tokens.output > 0).map(({ model }) => model),
  );
  const isPicture = (row: (typeof rows)[number]) => row.images > 0 && !spoken.has(row.model);
  const pictured = new Set(rows.filter(isPicture).map(({ model }) => model));
  let [images, succeeded, failed, imageMoney] = [0, 0, 0, ZERO_USD];
  for (const row of rows) {
    if (pictured.has(row.model)) {
      images += row.images;
      imageMoney = add(imageMoney, row.amount);
    }
    if (!JUDGED.has(row.outcome)) continue;
    if (row.isSuccess) succeeded += row.requests;
    else failed += row.requests;
  }
  return { images, imageMoney, succeeded, failed };
}

/** A series is named by a list (ledger/rollup.ts). */
function nameOf(value: string) {
  const [model = "", , , , outcome = "", success] = JSON.parse(value) as (string | number)[];
  return { model: String(model), outcome: String(outcome), isSuccess: Number(success) === 1 };
}
