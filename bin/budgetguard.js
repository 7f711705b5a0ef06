#!/usr/bin/env node
// The command. A checkout brings its own Node (tools/runtime) and re-executes it when the one that was
// found is too old; an installed package says what it needs and leaves the choice to its user.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

const FLOOR = [24, 15];
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const [major, minor] = process.versions.node.split(".").map(Number);
const isNewEnough = major > FLOOR[0] || (major === FLOOR[0] && minor >= FLOOR[1]);
const source = here("../src/cli/main.ts");

if (isNewEnough) {
  const main = existsSync(source) ? source : here("../dist/cli/main.js");
  await import(pathToFileURL(main).href);
} else if (existsSync(source) && pinnedNode() !== undefined) {
  reExecute(pinnedNode());
} else {
  console.error(
    `budgetguard needs Node ${FLOOR.join(".")} or newer; this is ${process.versions.node}. ` +
      (existsSync(source)
        ? "Run npm ci in the checkout: it brings the right one."
        : "Install Node 26 and try again."),
  );
  process.exitCode = 1;
}

function pinnedNode() {
  const require = createRequire(import.meta.url);
  const { platform, arch } = process;
  const os = platform === "win32" ? "win" : platform;
  for (const name of [`node-${os}-${arch}`, `node-bin-${os}-${arch}`]) {
    try {
      const folder = require.resolve(`${name}/package.json`).slice(0, -"package.json".length);
      for (const file of ["bin/node", "bin/node.exe"]) {
        if (existsSync(folder + file)) return folder + file;
      }
    } catch {
      // Not this platform's package: the next name is tried, and undefined says that none is installed.
    }
  }
  return undefined;
}

function reExecute(node) {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
