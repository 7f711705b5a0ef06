// What `serve` starts, from which places, and how signals end it; over a daemon made of functions.

import { EventEmitter } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { choosePolicy, dataFolder, defaultDataFolder } from "../../src/cli/default-paths.ts";
import { type RunningDaemon, type ServeOptions, type Start, serve } from "../../src/cli/serve.ts";
import { untilStopped } from "../../src/cli/signals.ts";
import { type CliWorld, temporaryFolder, terminal } from "../support/cli.ts";

function rig(changes: Partial<RunningDaemon> = {}) {
  const calls: string[] = [];
  const signals = new EventEmitter();
  const host = {
    on: (signal: string, listener: () => void) => signals.on(signal, listener),
    exit: (code: number) => calls.push(`exit ${code}`),
  };
  const daemon: RunningDaemon = {
    listening: [
      { address: "127.0.0.1:7070", model: undefined, scheme: "http" },
      { address: "127.0.0.1:7100", model: "flux-dev", scheme: "http" },
    ],
    admin: "http://127.0.0.1:7071",
    reload: async () => void calls.push("reload"),
    stop: async () => void calls.push("stop"),
    died: new Promise(() => {}),
    ...changes,
  };
  const asked: Parameters<Start>[0][] = [];
  const start: Start = async (options) => {
    asked.push(options);
    return { kind: "started", daemon };
  };
  const run = (options: ServeOptions = {}, world: CliWorld = {}) => {
    const at = terminal(world);
    return { at, ended: serve(at, options, { start, host }) };
  };
  return { calls, signals, asked, run };
}

/** Until what has been started waits for signals. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 10));

test("SIGTERM stops the daemon, then ends with 0", async (t) => {
  const { calls, signals, run } = rig();
  const { at, ended } = run();
  await settled();
  signals.emit("SIGTERM");
  t.is(await ended, 0);
  t.deepEqual(calls, ["stop"]);
  t.regex(at.err.text(), /gateway {2}127\.0\.0\.1:7070\nmodel {4}127\.0\.0\.1:7100 flux-dev\nadmin {4}http/);
  t.is(at.out.text(), "");
});

test("it says what to try and how to stop it, and both halves of localhost once", async (t) => {
  const listening = ["127.0.0.1:7070", "[::1]:7070", "127.0.0.1:7100", "[::1]:7100"].map((address) => ({
    address,
    model: address.endsWith("7100") ? "flux-dev" : undefined,
    scheme: "http" as const,
  }));
  const { signals, run } = rig({ listening });
  const { at, ended } = run();
  await settled();
  signals.emit("SIGTERM");
  await ended;
  t.regex(at.err.text(), /\ngateway {2}localhost:7070\nmodel {4}localhost:7100 flux-dev\nadmin /);
  t.regex(at.err.text(), /\ntry {6}curl -i http:\/\/localhost:7100\/v1\/health\/ready\nstop {5}Ctrl-C\n$/);
});

const LOG = {
  reload: { level: 30, time: "2026-11-22T10:15:00.001Z", changes: ["mode a → b"], msg: "in force" },
  refused: {
    level: 50,
    time: "2026-11-22T10:15:01.001Z",
    problems: ["policy.yaml:1:1: no"],
    msg: "problems",
  },
  bug: {
    level: 50,
    time: "2026-11-22T10:15:02.001Z",
    err: { message: "no", stack: "at x" },
    msg: "a mistake",
  },
  request: {
    ...{ level: 30, time: "2026-11-22T10:15:03Z", msg: "request", request: "r-1", user: "al\u001bice" },
    ...{ model: "flux-dev", upstream: "flux-aws", outcome: "relayed", status: 200, charged_usd: "0.002" },
    duration_ms: 12.5,
  },
};

test("on a terminal the log is text, and elsewhere it is left to the daemon, as JSON", async (t) => {
  const { asked, signals, run } = rig();
  const runs = [run({}, { width: 80 }), run({}), run({ json: true }, { width: 80 })];
  await settled();
  signals.emit("SIGTERM");
  await Promise.all(runs.map(({ ended }) => ended));
  const [onTerminal, piped, json] = asked;
  t.deepEqual([piped?.log, piped?.accessLog, json?.log, json?.accessLog], Array(4).fill(undefined));
  for (const fields of [LOG.reload, LOG.refused, LOG.bug]) onTerminal?.log?.(`${JSON.stringify(fields)}\n`);
  onTerminal?.accessLog?.(`${JSON.stringify(LOG.request)}\n`.repeat(2));
  const request =
    "10:15:03 r-1 al\uFFFDice asked for flux-dev: relayed by flux-aws, 200, 0.002 USD, 12.5 ms\n";
  t.is(
    runs[0]?.at.out.text(),
    "10:15:00 in force\n         mode a → b\n10:15:01 problems\n         policy.yaml:1:1: no\n" +
      `10:15:02 a mistake: no\n${request.repeat(2)}`,
  );
});

test("SIGHUP reads the policy again, and a failure there ends nothing", async (t) => {
  const { calls, signals, run } = rig();
  const { ended } = run();
  await settled();
  signals.emit("SIGHUP");
  signals.emit("SIGTERM");
  await ended;
  t.deepEqual(calls, ["reload", "stop"]);
  const broken = rig({ reload: () => Promise.reject(new Error("no")) });
  const { at, ended: end } = broken.run();
  await settled();
  broken.signals.emit("SIGHUP");
  await settled();
  t.regex(at.err.text(), /the policy could not be read again: Error: no/);
  broken.signals.emit("SIGTERM");
  t.is(await end, 0);
});

test("a SIGHUP that comes while it starts ends nothing, and the policy is read once it has started", async (t) => {
  const { calls, signals, run } = rig();
  const { ended } = run();
  t.is(signals.listenerCount("SIGHUP"), 1, "listened to before it has started");
  signals.emit("SIGHUP");
  await settled();
  t.deepEqual(calls, ["reload"]);
  signals.emit("SIGTERM");
  await ended;
});

test("a second Ctrl-C ends it at once, one that arrives twice does not", async (t) => {
  let now = 0;
  const exits: number[] = [];
  const signals = new EventEmitter();
  const on = (signal: string, listener: () => void) => signals.on(signal, listener);
  const stopped = untilStopped({ on, exit: (code) => exits.push(code) }, () => now);
  signals.emit("SIGINT");
  signals.emit("SIGINT");
  await stopped;
  now = 600;
  signals.emit("SIGTERM");
  t.deepEqual(exits, []);
  signals.emit("SIGINT");
  t.deepEqual(exits, [130]);
});

test("a daemon that cannot go on ends the process with 1 at once", async (t) => {
  const { calls, run } = rig({ died: Promise.resolve(new Error("the disk is full")) });
  const { at, ended } = run();
  t.is(await ended, 1);
  t.deepEqual(calls, ["exit 1"]);
  t.regex(at.err.text(), /so as not to be wrong about money: the disk is full/);
});

test("what refuses to start says each of its reasons and ends with 1", async (t) => {
  const refuse: Start = async () => ({ kind: "refused", lines: ["port 7070 is taken", "so is 7071"] });
  const host = { on: () => undefined, exit: () => undefined };
  const at = terminal();
  t.is(await serve(at, {}, { start: refuse, host }), 1);
  t.regex(at.err.text(), /\nport 7070 is taken\nso is 7071\n$/);
  const json = terminal();
  t.is(await serve(json, { json: true }, { start: refuse, host }), 1);
  t.deepEqual(JSON.parse(json.out.text()), { refused: ["port 7070 is taken", "so is 7071"] });
});

test("flags win over the environment, the environment over defaults", async (t) => {
  const { asked, signals, run } = rig();
  const environment = {
    ...{ BUDGETGUARD_LISTEN: "localhost:1", BUDGETGUARD_ADMIN: "localhost:2" },
    ...{ BUDGETGUARD_POLICY: "/p", BUDGETGUARD_DATA: "/d" },
  };
  const runs = [
    run({}, { environment: { HOME: "/h" } }),
    run({}, { environment }),
    run(
      { policy: "a.yaml", data: "/e", listen: "localhost:3", admin: "localhost:4" },
      { environment, cwd: "/c" },
    ),
  ];
  await settled();
  signals.emit("SIGTERM");
  await Promise.all(runs.map(({ ended }) => ended));
  const [first, second, third] = asked;
  t.like(first, { listen: "localhost:7070", admin: "localhost:7071" });
  t.like(second, { listen: "localhost:1", admin: "localhost:2", policyPath: "/p", dataPath: "/d" });
  t.like(third, { listen: "localhost:3", admin: "localhost:4", policyPath: "/c/a.yaml", dataPath: "/e" });
});

test("the policy of this folder is used, else the shipped one, and it says which", async (t) => {
  const cwd = await temporaryFolder(t);
  const shipped = choosePolicy(terminal({ cwd }), undefined);
  t.regex(shipped.path, /\/config\/policy\.yaml$/);
  t.regex(shipped.why, /came with budgetguard/);
  await writeFile(join(cwd, "policy.yaml"), "version: 1\n");
  t.is(choosePolicy(terminal({ cwd }), undefined).path, join(cwd, "policy.yaml"));
  t.is(choosePolicy(terminal({ cwd }), "other.yaml").path, join(cwd, "other.yaml"));
  const { signals, run } = rig();
  const { at, ended } = run({}, { cwd });
  await settled();
  signals.emit("SIGTERM");
  await ended;
  t.true(at.err.text().startsWith(`policy   ${join(cwd, "policy.yaml")} (found in this folder)\n`));
});

test("data goes where each system keeps such things", (t) => {
  t.is(defaultDataFolder("linux", {}, "/home/a"), "/home/a/.local/state/budgetguard");
  t.is(defaultDataFolder("linux", { XDG_STATE_HOME: "/s" }, "/home/a"), "/s/budgetguard");
  t.is(defaultDataFolder("linux", { XDG_STATE_HOME: "relative" }, "/h"), "/h/.local/state/budgetguard");
  t.is(defaultDataFolder("darwin", {}, "/Users/a"), "/Users/a/Library/Application Support/budgetguard");
  t.is(defaultDataFolder("win32", {}, "C:\\Users\\a"), "C:\\Users\\a\\AppData\\Local\\budgetguard");
  t.is(defaultDataFolder("win32", { LOCALAPPDATA: "D:\\l" }, "C:\\a"), "D:\\l\\budgetguard");
  t.is(dataFolder(terminal({ environment: { BUDGETGUARD_DATA: "", XDG_STATE_HOME: "/s" } }), "/x"), "/x");
});

test("an address that is none is wrong usage, and nothing is started", async (t) => {
  const { asked, run } = rig();
  for (const options of [{ listen: "nonsense" }, { admin: "localhost:70000" }]) {
    await t.throwsAsync(run(options).ended, {
      name: "UsageError",
      message: /is no address: write HOST:PORT/,
    });
  }
  t.deepEqual(asked, []);
});

test("a proxy in front is told of by flag or environment", async (t) => {
  const { asked, signals, run } = rig();
  const environment = { BUDGETGUARD_BEHIND_PROXY: "1" };
  const runs = [run(), run({ behindProxy: true }), run({}, { environment })];
  await settled();
  signals.emit("SIGTERM");
  await Promise.all(runs.map(({ ended }) => ended));
  t.deepEqual(
    asked.map(({ behindProxy }) => behindProxy),
    [false, true, true],
  );
});
