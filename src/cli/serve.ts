// `budgetguard serve`: finds out what to start, starts the daemon, and passes signals on to it. Standard
// output is the daemon's log, as JSON but on a terminal; what this says goes to standard error.

import { resolve } from "node:path";
import { Option } from "commander";
import {
  adminAddress,
  choosePolicy,
  DEFAULT_ADMIN,
  DEFAULT_LISTEN,
  dataFolder,
  given,
  listenAddress,
} from "./default-paths.ts";
import type { DefineCommand } from "./define-command.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { hostPort } from "./host-port.ts";
import { type ListenerShown, shownAddress, withLocalhost } from "./listeners.ts";
import { logText } from "./log-text.ts";
import { printable } from "./printable.ts";
import { type Host, untilStopped } from "./signals.ts";
import { say, type Terminal } from "./terminal.ts";
import { packageVersion } from "./version.ts";

export const defineServe: DefineCommand = (command, terminal, end) => {
  command
    .option("--policy <file>", "the policy (BUDGETGUARD_POLICY; ./policy.yaml, else the one that is shipped)")
    .option("--data <folder>", "where the ledger and the admin token are (BUDGETGUARD_DATA)")
    .option("--listen <host:port>", `where clients come in (BUDGETGUARD_LISTEN; ${DEFAULT_LISTEN})`)
    .option("--admin <host:port>", `the API and /metrics (BUDGETGUARD_ADMIN; ${DEFAULT_ADMIN})`)
    .option("--tls-cert <file>", "PEM, chain included, for addresses off loopback (BUDGETGUARD_TLS_CERT)")
    .option("--tls-key <file>", "its private key, readable by its owner alone (BUDGETGUARD_TLS_KEY)")
    .option(
      "--behind-proxy",
      "a server in front speaks TLS: nobody is anonymous (BUDGETGUARD_BEHIND_PROXY=1)",
    )
    .addOption(
      new Option("--log-level <level>", "what is logged").choices(["debug", "info", "warn", "error"]),
    )
    .option("--json", "write JSON only")
    .addHelpText(
      "after",
      "\nCtrl-C or SIGTERM lets running requests end first; SIGHUP reads policy and certificate again.\n" +
        "Example:\n  $ budgetguard serve --policy config/policy.yaml",
    )
    .action(async (options: ServeOptions) => {
      const { startDaemon } = await import("../daemon/main.ts");
      end(await serve(terminal, options, { start: startDaemon, host: process }));
    });
};

export interface ServeOptions {
  readonly policy?: string;
  readonly data?: string;
  readonly listen?: string;
  readonly admin?: string;
  readonly behindProxy?: true;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly logLevel?: string;
  readonly json?: true;
}

/** What is needed of a running daemon. */
export interface RunningDaemon {
  readonly listening: readonly ListenerShown[];
  readonly admin: string;
  reload(): Promise<void>;
  stop(): Promise<void>;
  readonly died: Promise<unknown>;
}

export type Start = (options: {
  readonly policyPath: string;
  readonly dataPath: string;
  readonly listen: string;
  readonly admin: string;
  readonly version: string;
  readonly behindProxy: boolean;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly logLevel?: string;
  readonly log?: (line: string) => void;
  readonly accessLog?: (text: string) => void;
}) => Promise<
  | { readonly kind: "started"; readonly daemon: RunningDaemon }
  | { readonly kind: "refused"; readonly lines: readonly string[] }
>;

/** How long what is left open after stop() may keep the process alive. */
const LINGER_MS = 2_000;

export async function serve(
  terminal: Terminal,
  options: ServeOptions,
  { start, host }: { readonly start: Start; readonly host: Host },
): Promise<ExitCode> {
  const { err, environment } = terminal;
  const policy = choosePolicy(terminal, options.policy);
  const dataPath = dataFolder(terminal, options.data);
  const listen = listenAddress(terminal, options.listen);
  const admin = adminAddress(terminal, options.admin);
  for (const each of [listen, admin]) hostPort(each);
  if (!options.json) say(err, `policy   ${printable(policy.path)} (${policy.why})`);
  // From the first moment on: one that nobody listens to ends the process, and start may say "ready" first.
  let isReloadDue = false;
  let reload = (): void => {
    isReloadDue = true;
  };
  host.on("SIGHUP", () => reload());
  const started = await start({
    policyPath: policy.path,
    dataPath,
    listen: listen.address,
    admin: admin.address,
    version: packageVersion(),
    ...tlsFiles(terminal, options),
    behindProxy: options.behindProxy ?? environment.BUDGETGUARD_BEHIND_PROXY === "1",
    ...(options.logLevel === undefined ? {} : { logLevel: options.logLevel }),
    ...(options.json ? {} : logForPeople(terminal)),
  });
  if (started.kind === "refused") return refused(terminal, options, started.lines);
  const { daemon } = started;
  if (!options.json) announce(terminal, daemon, dataPath);
  reload = () =>
    void daemon.reload().catch((error) => say(err, `the policy could not be read again: ${error}`));
  if (isReloadDue) reload();
  const died = daemon.died.then((why) => ({ why }));
  const ended = await Promise.race([untilStopped(host), died]);
  if (ended !== undefined) {
    say(err, printable(`the gateway stopped, so as not to be wrong about money: ${messageOf(ended.why)}`));
    host.exit(EXIT.problem);
    return EXIT.problem;
  }
  await daemon.stop();
  setTimeout(() => host.exit(EXIT.ok), LINGER_MS).unref();
  return EXIT.ok;
}

function tlsFiles({ environment, cwd }: Terminal, options: ServeOptions) {
  const cert = given(options.tlsCert, environment.BUDGETGUARD_TLS_CERT);
  const key = given(options.tlsKey, environment.BUDGETGUARD_TLS_KEY);
  return {
    ...(cert === undefined ? {} : { tlsCert: resolve(cwd, cert) }),
    ...(key === undefined ? {} : { tlsKey: resolve(cwd, key) }),
  };
}

function refused({ out, err }: Terminal, { json }: ServeOptions, lines: readonly string[]): ExitCode {
  if (json) say(out, JSON.stringify({ refused: lines }));
  for (const line of lines) say(err, printable(line));
  return EXIT.problem;
}

/** Somebody who looks at a terminal reads sentences; a file, a pipe and the journal get the JSON. */
function logForPeople({ out }: Terminal): {
  log?: (line: string) => void;
  accessLog?: (text: string) => void;
} {
  if (!Number.isFinite(out.width)) return {};
  const log = (lines: string) => say(out, logText(lines, out));
  return { log, accessLog: log };
}

function announce({ err }: Terminal, { listening, admin }: RunningDaemon, dataPath: string): void {
  const listeners = withLocalhost(listening);
  for (const listener of listeners) {
    const { model } = listener;
    say(err, `${model ? "model   " : "gateway "} ${shownAddress(listener)}${model ? ` ${model}` : ""}`);
  }
  say(err, `admin    ${admin}`);
  say(err, `data     ${printable(dataPath)}`);
  say(err, `try      curl -i ${firstUrl(listeners)}/v1/health/ready`);
  say(err, "stop     Ctrl-C");
}

/** A certificate is for a name, which is not known here. */
function firstUrl(listeners: readonly ListenerShown[]): string {
  const first = listeners.find(({ model }) => model) ?? listeners[0];
  if (first?.scheme !== "https") return `http://${first?.address}`;
  return `https://NAME${first.address.replace(/^.*(?=:\d+$)/, "")}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
