// Budgets turn in the policy's time zone, so that is what their times are shown in: not in that of whoever
// looks.

import type { Terminal } from "./terminal.ts";

export function inZone(terminal: Terminal, timeZone: string): Terminal {
  return { ...terminal, timeZone };
}
