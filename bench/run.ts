// npm run bench: scenes over peers over one upstream, in turns; then medians, ratios and how far each target
// is. What counts are the ratios of one run on a machine that does nothing else. --help says the options.

import { existsSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { arch, cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { decisionsText, measureDecisions } from "./decision.ts";
import { parseOptions } from "./options.ts";
import { findPinning } from "./pinning.ts";
import { play, type Row } from "./play.ts";
import { asJson, sceneText, targetsText } from "./report.ts";
import { SCENES, type SceneName } from "./scenes.ts";
import { measureSteps, stepsText } from "./steps.ts";
import { judge } from "./targets.ts";
import { startUpstream } from "./upstream-process.ts";

/** What statfs(2) calls it. */
const TMPFS = 0x01021994;

const parsed = parseOptions(process.argv.slice(2));
if (parsed.kind === "usage") {
  console.error(parsed.text);
  process.exitCode = 2;
} else if (parsed.options.steps) {
  const steps = await measureSteps();
  console.log(parsed.options.json ? JSON.stringify({ steps }) : stepsText(steps));
} else if (parsed.options.decision) {
  const decisions = await measureDecisions();
  console.log(parsed.options.json ? JSON.stringify({ decisions }) : decisionsText(decisions));
} else if (!existsSync("/proc/self/status")) {
  console.error("npm run bench reads CPU and memory from /proc: run it on Linux");
  process.exitCode = 1;
} else {
  await bench(parsed.options);
}

async function bench(options: Extract<typeof parsed, { kind: "options" }>["options"]): Promise<void> {
  const pinning = findPinning();
  const machine = `${cpus().length} x ${cpus()[0]?.model.trim()}, Linux ${release()} ${arch()}, Node ${process.version}`;
  const show = (text: string) => {
    if (!options.json) console.log(text);
  };
  show(`${machine}\n${pinning.text}`);
  show(
    `${options.rounds} rounds of ${options.seconds} s, medians; "x nginx" and "- nginx" are paired by round`,
  );
  const folder = mkdtempSync(join(tmpdir(), "budgetguard-bench-"));
  if (statfsSync(folder).type === TMPFS) {
    console.error(`${tmpdir()} is in memory, where durable costs nothing: set TMPDIR to a folder on a disk`);
  }
  // Also where it is broken off: the peers are killed on exit, and then what they wrote is removed.
  process.once("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
  const upstream = await startUpstream(pinning.upstream);
  const results = new Map<SceneName, readonly Row[]>();
  try {
    const stage = { options, pinning, upstream, folder, say: (line: string) => console.error(line) };
    for (const name of options.scenes) {
      const rows = await play(stage, SCENES[name]);
      results.set(name, rows);
      show(sceneText(SCENES[name], rows));
    }
  } finally {
    await upstream.direct.close();
  }
  const targets = judge(results);
  const { rounds, seconds, minutes, settle, connections } = options;
  const run = {
    machine,
    node: process.version,
    pinning: pinning.text,
    rounds,
    seconds,
    minutes,
    settle,
    connections,
  };
  if (options.json) console.log(asJson(results, targets, run));
  else show(targetsText(targets));
  if ([...results.values()].flat().some(({ kind }) => kind === "failed")) process.exitCode = 1;
}
