// The service file is one that systemd accepts, promises what the gateway needs, and gives little away.

import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { run } from "../support/program.ts";
import { needs } from "../support/real.ts";

const folder = fileURLToPath(new URL("../../systemd", import.meta.url));
const UNIT = "budgetguard.service";
/** systemd's own scale: 0 gives nothing away, 10 everything; "OK" ends at 5. A bare unit has 9.6. */
const MOST_EXPOSURE = 1.5;

for (const dropIn of [undefined, ...(await readdir(join(folder, "drop-ins")))]) {
  test(
    `systemd finds nothing to say about ${dropIn === undefined ? "the unit" : `drop-in ${dropIn}`}`,
    needs("systemd-analyze", async (t, analyze) => {
      await withUnit(dropIn, async (unit) => {
        const { code, stdout, stderr } = await run(analyze, ["verify", "--man=no", unit]);
        t.is(aboutUs(stdout + stderr), "");
        t.is(code, 0);
      });
    }),
  );
}

test(
  "what the service is exposed to stays below its bound",
  needs("systemd-analyze", async (t, analyze) => {
    await withUnit(undefined, async (unit) => {
      const exposure = await exposureOf(analyze, unit);
      t.log(`exposure ${exposure} of 10, at most ${MOST_EXPOSURE}`);
      t.true(exposure <= MOST_EXPOSURE);
    });
  }),
);

test(
  "a unit that only starts the gateway would break that bound",
  needs("systemd-analyze", async (t, analyze) => {
    await withUnit(undefined, async (unit) => {
      await writeFile(unit, "[Service]\nExecStart=/bin/true\n");
      t.true((await exposureOf(analyze, unit)) > 9);
    });
  }),
);

test("the unit tells systemd when it is ready, alive and to be reloaded", async (t) => {
  await has(t, { Type: "notify", NotifyAccess: "all", ExecReload: "/bin/kill -HUP $MAINPID" });
});

test("the unit keeps its files from everybody else", async (t) => {
  await has(t, {
    UMask: "0077",
    StateDirectory: "budgetguard",
    StateDirectoryMode: "0700",
    DynamicUser: "yes",
  });
});

test("the unit starts what the command line promises, in the folders that it was given", async (t) => {
  const command = (await settings()).get("ExecStart") ?? "";
  t.regex(command, /^\/usr\/bin\/budgetguard serve /);
  t.regex(command, / --policy \/etc\/budgetguard\/policy\.yaml( |$)/);
  t.regex(command, / --data \/var\/lib\/budgetguard( |$)/);
});

async function has(t: ExecutionContext, expected: Record<string, string>): Promise<void> {
  const found = await settings();
  const these = Object.keys(expected).map((name) => [name, found.get(name)]);
  t.deepEqual(Object.fromEntries(these), expected);
}

async function settings(): Promise<Map<string, string>> {
  const text = await readFile(join(folder, UNIT), "utf8");
  return new Map([...text.matchAll(/^(\w+)=(.*)$/gm)].map(([, name = "", value = ""]) => [name, value]));
}

/** A copy whose command exists on this machine: verify looks for it. */
async function withUnit(dropIn: string | undefined, use: (unit: string) => Promise<void>): Promise<void> {
  const copy = await mkdtemp(join(tmpdir(), "budgetguard-unit-"));
  try {
    const unit = join(copy, UNIT);
    await writeFile(unit, runnable(await readFile(join(folder, UNIT), "utf8")));
    if (dropIn !== undefined) {
      await mkdir(`${unit}.d`);
      const target = join(`${unit}.d`, dropIn);
      await copyFile(join(folder, "drop-ins", dropIn), target);
      await writeFile(target, runnable(await readFile(target, "utf8")));
    }
    await use(unit);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

function runnable(unit: string): string {
  return unit.replaceAll(/^ExecStart=\S*\/budgetguard(?:\.js)? /gm, `ExecStart=${process.execPath} `);
}

/** Verify also reads the units that ours waits for, and complains about those of the machine. */
function aboutUs(said: string): string {
  const lines = said.split("\n").filter((line) => line.includes("budgetguard"));
  return lines.join("\n");
}

async function exposureOf(analyze: string, unit: string): Promise<number> {
  const { stdout, stderr } = await run(analyze, ["security", "--offline=true", "--no-pager", unit]);
  const overall = /Overall exposure level for \S+: (\d+\.\d+)/.exec(stdout)?.[1];
  if (overall === undefined) throw new Error(`systemd-analyze named no exposure:\n${stdout}${stderr}`);
  return Number(overall);
}
