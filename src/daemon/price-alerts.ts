// What an operator is told of live prices: one that jumped and is not believed, and a source that has not
// answered for so long that what is charged by is stale. Words only; the desk tells them once a day.

import type { Suspect } from "../metering/live-prices.ts";
import { formatUsd } from "../metering/money.ts";
import { periodOf } from "../metering/period.ts";
import type { Instant } from "../metering/time.ts";
import type { Alert } from "../policy/alert.ts";
import type { PriceSourceName } from "../policy/settings.ts";

/** Jumps that are told one by one; more at once is one story, usually of a list that is misread. */
const MOST_NAMED = 5;

export function jumpAlerts(
  source: PriceSourceName,
  doubted: readonly Suspect[],
  timezone: string,
  at: Instant,
): readonly Alert[] {
  const advice =
    "the old price goes on until a second refresh agrees: look at the provider's page, then " +
    "budgetguard prices update";
  if (doubted.length > MOST_NAMED) {
    const text = `${doubted.length} prices of ${source} jumped by more than half and are not believed yet`;
    return [alertOf(source, text, advice, { prices: String(doubted.length) }, timezone, at)];
  }
  return doubted.map(({ rate, before }) => {
    const from = formatUsd(before);
    const to = formatUsd(rate.perHour);
    const jump = `jumped from ${from} to ${to} USD/h and is not believed yet`;
    const text = `the ${rate.kind} price of ${rate.key} ${jump}`;
    const figures = { before_usd_per_hour: from, fetched_usd_per_hour: to };
    return alertOf(`${rate.key} ${rate.kind}`, text, advice, figures, timezone, at);
  });
}

export function staleAlert(source: PriceSourceName, why: string, timezone: string, at: Instant): Alert {
  const text = `the prices of ${source} are stale: ${why}`;
  return alertOf(source, text, "budgetguard prices list shows how old they are", {}, timezone, at);
}

function alertOf(
  subject: string,
  text: string,
  advice: string,
  figures: Alert["figures"],
  timezone: string,
  at: Instant,
): Alert {
  return {
    ...{ event: "price", severity: "warning", topic: "price", subject },
    ...{ value: undefined, unit: undefined, timezone, period: periodOf("daily", timezone, 1, at) },
    ...{ text, advice, figures },
  };
}
