// Tells systemd how it goes, where there is a systemd to tell: ready, stopping, the watchdog's beat, and
// trouble in words. Node cannot open the datagram socket itself, so systemd-notify is run as a child
// (NotifyAccess=all).

import { spawn } from "node:child_process";

export interface Notifier {
  ready(status: string): void;
  stopping(): void;
  close(): void;
}

interface Told {
  /** What is wrong now; undefined while nothing is. */
  readonly trouble: () => string | undefined;
  /** systemd could not be told. */
  readonly onError: (error: Error) => void;
}

const SILENT: Notifier = { ready: () => undefined, stopping: () => undefined, close: () => undefined };
/** How often trouble is looked for where no watchdog sets the pace. */
const POLL_MS = 10_000;

/**
 * A beat says only that the loop turns: a full disk heals by itself, and a daemon that is killed over it
 * does not. So trouble is told as the unit's status, when it begins and when it ends.
 */
export function makeNotifier(environment: NodeJS.ProcessEnv, { trouble, onError }: Told): Notifier {
  if (environment.NOTIFY_SOCKET === undefined) return SILENT;
  const tell = (...words: string[]) => {
    const child = spawn("systemd-notify", words, { stdio: "ignore", env: environment });
    child.on("error", onError);
  };
  const watchdogUs = Number(environment.WATCHDOG_USEC ?? 0);
  const beats = watchdogUs > 0;
  let usual = "serving";
  let told: string | undefined;
  const beat = setInterval(
    () => {
      const now = trouble();
      if (now !== told) tell(`--status=${now ?? usual}`);
      told = now;
      if (beats) tell("WATCHDOG=1");
    },
    beats ? watchdogUs / 1000 / 3 : POLL_MS,
  );
  return {
    ready: (status) => {
      usual = status;
      tell("--ready", `--status=${status}`);
    },
    stopping: () => tell("STOPPING=1"),
    close: () => clearInterval(beat),
  };
}
