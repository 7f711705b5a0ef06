// A part that this machine lacks is said once, with its cure; only where it is required is that a failure.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { needs, type RealPart, realPart } from "./real.ts";

const missing: RealPart = { kind: "missing", cure: "apt-get install nginx" };
const present: RealPart = { kind: "found", path: "/usr/sbin/nginx", version: "1.22.1" };

test.serial("a part that is there is handed to the test", async (t) => {
  t.deepEqual(await told(present, undefined), ["ran /usr/sbin/nginx"]);
});

test.serial("a missing part is one line that names the cure, and a pass", async (t) => {
  t.deepEqual(await told(missing, undefined), [
    "log not run, nginx is missing: apt-get install nginx",
    "pass",
  ]);
});

test.serial("a missing part that is required is a failure that names the cure", async (t) => {
  t.deepEqual(await told(missing, "1"), ["fail nginx is missing: apt-get install nginx"]);
});

test.serial("a program that cannot even say its version counts as missing", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "budgetguard-real-"));
  const path = process.env.PATH;
  try {
    await writeFile(join(folder, "promtool"), "#!/bin/sh\nexit 3\n", { mode: 0o755 });
    process.env.PATH = folder;
    t.deepEqual(await realPart("promtool"), { kind: "missing", cure: "apt-get install prometheus" });
    await writeFile(join(folder, "promtool"), "#!/bin/sh\necho promtool, version 2.42.0\n", { mode: 0o755 });
    const found = { kind: "found", path: join(folder, "promtool"), version: "2.42.0" } as const;
    t.deepEqual(await realPart("promtool"), found);
  } finally {
    process.env.PATH = path;
    await rm(folder, { recursive: true, force: true });
  }
});

/** What a test that needs nginx tells ava, where the machine has it or not, and where it is required or not. */
async function told(part: RealPart, required: "1" | undefined): Promise<string[]> {
  const said: string[] = [];
  const say = (what: string) => (text?: unknown) => said.push([what, text].filter(Boolean).join(" "));
  const t = { log: say("log"), pass: say("pass"), fail: say("fail") } as unknown as ExecutionContext;
  const before = process.env.BUDGETGUARD_REQUIRE_REAL;
  try {
    delete process.env.BUDGETGUARD_REQUIRE_REAL;
    if (required !== undefined) process.env.BUDGETGUARD_REQUIRE_REAL = required;
    const run = async (_: ExecutionContext, path: string) => void said.push(`ran ${path}`);
    await needs("nginx", run, async () => part)(t);
  } finally {
    delete process.env.BUDGETGUARD_REQUIRE_REAL;
    if (before !== undefined) process.env.BUDGETGUARD_REQUIRE_REAL = before;
  }
  return said;
}
