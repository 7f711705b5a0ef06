import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { startNim } from "../src/demo/nim.ts";
import { freePort } from "./support/free-port.ts";
import { run } from "./support/program.ts";
import { demoTranscript, readmeBlocks, readmeTranscript, withoutFigures } from "./support/readme.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

test("the transcript in the README is what the demo says, but for its figures", async (t) => {
  t.is(withoutFigures(readmeTranscript()), withoutFigures(await demoTranscript()));
});

test("every command of the README runs, in its order, on its own files", async (t) => {
  const nim = await startNim({ scale: 0.01, models: ["flux.1-dev", "llama"] });
  t.teardown(() => nim.close());
  const place = await makePlace(nim.url);
  for (const block of readmeBlocks()) {
    if (block.about.startsWith("file=")) {
      writeFileSync(join(place.folder, block.about.slice("file=".length)), place.own(block.text));
    } else if (block.about === "serve") {
      const daemon = spawn("sh", ["-c", `exec ${place.own(block.text)}`], place.options);
      for (const stream of [daemon.stdout, daemon.stderr]) {
        stream?.on("data", (text: Buffer) => t.log(text.toString().trimEnd()));
      }
      t.teardown(() => ended(daemon));
      await reachable(place.admin);
    } else if (block.language === "sh") {
      for (const line of block.text.trim().split("\n")) await checkLine(t, line, place);
    }
  }
});

test("the budgets that the README shows are budgets that check accepts", async (t) => {
  const policy = readmeBlocks().find(({ about }) => about === "file=policy.yaml")?.text ?? "";
  const others = readmeBlocks().filter(({ language, about }) => language === "yaml" && about === "");
  t.true(others.length > 0);
  const place = await makePlace("http://127.0.0.1:8000");
  for (const { text } of others) {
    const file = join(place.folder, "budgets.yaml");
    writeFileSync(file, policy.replace(/^budgets:\n[\s\S]*/m, text));
    const { code, stdout } = await run(process.execPath, ["bin/budgetguard.js", "check", file], {
      cwd: ROOT,
    });
    t.is(code, 0, stdout);
  }
});

interface Place {
  readonly folder: string;
  readonly admin: string;
  readonly options: { cwd: string; env: NodeJS.ProcessEnv; stdio: "pipe" };
  /** The README's text with this place's ports, upstream and command. */
  own(text: string): string;
}

/** Under node_modules, so that a file of the README finds the packages it imports. */
async function makePlace(upstream: string): Promise<Place> {
  const cache = join(ROOT, "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "readme-"));
  const [listen, admin, flux, llama] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const env = {
    ...process.env,
    BUDGETGUARD_LISTEN: `localhost:${listen}`,
    BUDGETGUARD_ADMIN: `localhost:${admin}`,
    BUDGETGUARD_DATA: join(folder, "data"),
  };
  const ports = new Map(Object.entries({ 7070: listen, 7071: admin, 7100: flux, 7101: llama }));
  // All at once: a port that was put in may look like one that is still to be replaced.
  const own = (text: string) =>
    text
      .replaceAll(/http:\/\/(127\.0\.0\.1|10\.0\.3\.\d):8000|\b7(?:07|10)[01]\b/g, (found) =>
        String(ports.get(found) ?? upstream),
      )
      .replaceAll("./bin/budgetguard.js", `"${process.execPath}" "${ROOT}bin/budgetguard.js"`)
      .replace(/^node /, `"${process.execPath}" `);
  return { folder, admin: `http://127.0.0.1:${admin}`, options: { cwd: folder, env, stdio: "pipe" }, own };
}

async function checkLine(t: ExecutionContext, line: string, place: Place): Promise<void> {
  // What npm installed is what runs here; the two commands themselves are CI's and the first test's.
  if (line.startsWith("npm ci")) {
    t.regex(line, /^npm ci && npm (run demo|test)$/);
    return;
  }
  const { code, stdout, stderr } = await run("sh", ["-c", place.own(line)], place.options);
  t.is(code, 0, `${line}\n${stdout}\n${stderr}`);
  t.not(stdout.trim() === "" && !line.includes(" -o "), true, `${line} said nothing`);
}

async function reachable(admin: string): Promise<void> {
  for (const began = performance.now(); performance.now() - began < 60_000; ) {
    const isUp = await fetch(`${admin}/readyz`).then(
      (reply) => reply.ok,
      () => false,
    );
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`no daemon answers at ${admin}`);
}

function ended(daemon: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    daemon.once("exit", () => resolve());
    daemon.kill("SIGTERM");
  });
}
