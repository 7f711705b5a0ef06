// What is published, installed into an empty folder, works there: the only test that runs dist/. Slow, because
// npm really packs, and fetches the dependencies.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { freePort } from "../support/free-port.ts";
import { passOver } from "../support/real.ts";
import {
  type Installation,
  type Installed,
  inFolder,
  olderNode,
  ownEnvironment,
  packAndInstall,
} from "./clean-install.ts";

let installation: Installation | undefined;

test.before("pack and install", async (t) => {
  t.timeout(600_000);
  installation = await packAndInstall();
});

test.after.always("remove the folder", async () => {
  if (installation?.kind === "installed") await installation.remove();
});

test("the package holds what runs, its configuration and its licence, and no sources", async (t) => {
  await inInstalled(t, async ({ root }) => {
    const files = (await readdir(root, { recursive: true })).filter(
      (path) => !path.startsWith("node_modules"),
    );
    const tops = new Set(files.map((path) => path.split("/")[0]));
    const expected = [
      "LICENSE",
      "README.md",
      "ARCHITECTURE.md",
      "CHANGELOG.md",
      "CONTRIBUTING.md",
      "docs",
      "bin",
      "config",
      "dist",
      "package.json",
      "systemd",
    ];
    t.deepEqual([...tops].sort(), expected.sort());
    t.deepEqual(
      files.filter((path) => /(?<!\.d)\.ts$/.test(path)),
      [],
    );
    t.true(files.includes("dist/cli/main.js"));
    t.true(files.includes("config/rates.yaml"));
  });
});

test("the installed command says its version", async (t) => {
  await inInstalled(t, async ({ root, command, folder }) => {
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    const { code, stdout, stderr } = await inFolder(folder, process.execPath, [command, "--version"]);
    t.is(stdout.trim(), version, stderr);
    t.is(code, 0);
  });
});

test("the installed command finds nothing wrong with the policy that comes with it", async (t) => {
  await inInstalled(t, async ({ root, command, folder }) => {
    const policy = join(root, "config", "policy.yaml");
    const { code, stdout, stderr } = await inFolder(folder, process.execPath, [command, "check", policy]);
    t.is(code, 0, stdout + stderr);
  });
});

test("the installed gateway starts, is ready, and ends with 0 on SIGTERM", async (t) => {
  await inInstalled(t, async (installed) => {
    const daemon = await serve(installed);
    const answer = await daemon.answerOf("/healthz");
    daemon.child.kill("SIGTERM");
    await daemon.ended;
    t.is(answer, 200, daemon.said());
    t.is(daemon.child.exitCode, 0, daemon.said());
  });
});

test("the client of the API has types that a strict program can use", async (t) => {
  await inInstalled(t, async ({ folder }) => {
    const program = join(folder, "use.ts");
    await writeFile(
      program,
      'import { BudgetGuardClient, permission } from "budgetguard-gateway/sdk";\n' +
        'const client = new BudgetGuardClient({ baseUrl: "http://127.0.0.1:7071" });\n' +
        "const status = await client.status();\n" +
        "const mode: string = status.mode.mode;\n" +
        'const may: "all" | "own" | "none" = permission("read", "call");\n' +
        "console.log(mode satisfies string, may);\n",
    );
    const tsc = fileURLToPath(new URL("bin/tsc", import.meta.resolve("typescript/package.json")));
    const options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--target", "esnext"];
    const lib = ["--lib", "esnext,dom", "--types", ""];
    const { code, stdout } = await inFolder(folder, process.execPath, [tsc, ...options, ...lib, program]);
    t.is(code, 0, stdout);
  });
});

test("started by a Node that is too old, it says in one sentence what it needs", async (t) => {
  const node = await olderNode();
  if (node === undefined) return passOver(t, "no Node older than 24 is on the PATH: apt-get install nodejs");
  await inInstalled(t, async ({ command, folder }) => {
    const { code, stdout, stderr } = await inFolder(folder, node, [command, "--version"]);
    t.regex(
      stderr,
      /^budgetguard needs Node 24\.15 or newer; this is \d+\.\d+\.\d+\. Install Node \d+[^\n]*\n$/,
    );
    t.is(stdout, "");
    t.is(code, 1);
  });
});

async function inInstalled(t: ExecutionContext, use: (installed: Installed) => Promise<void>): Promise<void> {
  if (installation?.kind === "installed") return use(installation);
  passOver(t, `the package registry cannot be reached (${installation?.why}): connect and run it again`);
}

/** With a policy and ports of its own, so that nothing else on this machine is met. */
async function serve({ command, folder }: Installed) {
  const data = await mkdtemp(join(folder, "data-"));
  const policy = join(data, "policy.yaml");
  await writeFile(
    policy,
    'version: 1\nupstreams:\n  here: { provider: local, url: "http://127.0.0.1:9" }\n' +
      "models:\n  flux-dev: { upstreams: [here] }\n",
  );
  const admin = `127.0.0.1:${await freePort()}`;
  const addresses = ["--listen", `127.0.0.1:${await freePort()}`, "--admin", admin];
  const args = [command, "serve", "--policy", policy, "--data", join(data, "ledger"), ...addresses];
  const child = spawn(process.execPath, args, { cwd: folder, env: ownEnvironment() });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  }
  const answerOf = async (path: string): Promise<number> => {
    for (let attempt = 0; attempt < 600 && child.exitCode === null; attempt++) {
      const reply = await fetch(`http://${admin}${path}`).catch(() => undefined);
      if (reply !== undefined) return reply.status;
      await sleep(100);
    }
    return 0;
  };
  return { child, ended: once(child, "exit"), answerOf, said: () => said };
}
