// What the process ends with. Scripts rely on these four (DESIGN §6).

export const EXIT = {
  ok: 0,
  /** Refused, or a problem was found. */
  problem: 1,
  usage: 2,
  /** No daemon answers. */
  unreachable: 3,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The command line itself is wrong; the message says what is allowed. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
