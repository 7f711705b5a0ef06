// A unit as it stands behind a number on the terminal.

import type { Unit } from "../sdk/vocabulary.ts";

export function wordOf(unit: Unit): string {
  return unit === "usd" ? "USD" : unit;
}
