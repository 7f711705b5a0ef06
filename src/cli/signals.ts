// How a command that runs on is told to stop. What it does then is its own affair.

/** What is needed of the process. */
export interface Host {
  on(signal: NodeJS.Signals, listener: () => void): unknown;
  exit(code: number): void;
}

/** 128 + SIGINT, as shells count. */
const INTERRUPTED = 130;
/** npm and our own launcher pass on what the terminal has sent to everybody: one Ctrl-C comes twice. */
const SAME_KEYSTROKE_MS = 500;

/** Resolves at the first SIGINT or SIGTERM. A second Ctrl-C ends the process at once. */
export function untilStopped(host: Host, nowMs: () => number = () => performance.now()): Promise<void> {
  return new Promise((resolve) => {
    let stoppedAt: number | undefined;
    const stop = (isCtrlC: boolean) => {
      if (stoppedAt === undefined) {
        stoppedAt = nowMs();
        resolve();
        // A process that has gone by then would be said to have died of the other half of the keystroke.
        if (isCtrlC) setTimeout(() => undefined, SAME_KEYSTROKE_MS);
      } else if (isCtrlC && nowMs() - stoppedAt > SAME_KEYSTROKE_MS) host.exit(INTERRUPTED);
    };
    host.on("SIGINT", () => stop(true));
    host.on("SIGTERM", () => stop(false));
  });
}
