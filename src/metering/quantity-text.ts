// An amount of a unit as people read it. It rounds nothing.

import { formatUsd, nanoUsd } from "./money.ts";
import type { Quantity, Unit } from "./quantity.ts";

/** The exact decimal in the unit itself: "20.00" of usd, "90.5" of seconds, "12" of requests. */
export function formatNumber(unit: Unit, amount: Quantity): string {
  switch (unit) {
    case "usd":
      return formatUsd(nanoUsd(amount));
    case "seconds":
      return formatSeconds(amount);
    case "requests":
    case "images":
    case "tokens":
      return amount.toString();
  }
}

/** As it stands behind a number in a sentence: "20.00 USD", "90.5 seconds". */
export function formatQuantity(unit: Unit, amount: Quantity): string {
  return `${formatNumber(unit, amount)} ${wordOf(unit)}`;
}

export function wordOf(unit: Unit): string {
  return unit === "usd" ? "USD" : unit;
}

function formatSeconds(microseconds: bigint): string {
  const digits = (microseconds < 0n ? -microseconds : microseconds).toString().padStart(7, "0");
  const fraction = digits.slice(-6).replace(/0+$/, "");
  const sign = microseconds < 0n ? "-" : "";
  return `${sign}${digits.slice(0, -6)}${fraction === "" ? "" : `.${fraction}`}`;
}
