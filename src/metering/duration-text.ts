// How long something took, for people: the two largest units that count, rounded down.

import { type DurationUs, SECOND } from "./time.ts";

const UNITS: readonly (readonly [name: string, seconds: number])[] = [
  ["d", 86_400],
  ["h", 3_600],
  ["min", 60],
  ["s", 1],
];

/** "2 d 3 h", "24 h" is "1 d", "2 min 5 s", "0 s". */
export function durationText(duration: DurationUs): string {
  let left = Math.floor(duration / SECOND);
  const parts: string[] = [];
  for (const [name, seconds] of UNITS) {
    const count = Math.floor(left / seconds);
    left -= count * seconds;
    if (count > 0) parts.push(`${count} ${name}`);
    else if (parts.length > 0) break;
  }
  return parts.length === 0 ? "0 s" : parts.slice(0, 2).join(" ");
}
