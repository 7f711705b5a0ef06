// Finds the real programs that some tests run against. A part that is missing is said in one line, with its
// cure, and the test is passed over; where BUDGETGUARD_REQUIRE_REAL=1 it fails instead. It starts nothing.

import { access, constants, readdir } from "node:fs/promises";
import { delimiter, join } from "node:path";
import type { ExecutionContext } from "ava";
import { run } from "./program.ts";

export type RealPart =
  | { readonly kind: "found"; readonly path: string; readonly version: string }
  | { readonly kind: "missing"; readonly cure: string };

interface Recipe {
  readonly program: string;
  /** Debian's. */
  readonly package: string;
  readonly version: readonly string[];
}

const PARTS = {
  prometheus: { program: "prometheus", package: "prometheus", version: ["--version"] },
  promtool: { program: "promtool", package: "prometheus", version: ["--version"] },
  postgres: { program: "postgres", package: "postgresql", version: ["--version"] },
  chromium: { program: "chromium", package: "chromium", version: ["--version"] },
  podman: { program: "podman", package: "podman", version: ["--version"] },
  nginx: { program: "nginx", package: "nginx", version: ["-v"] },
  haproxy: { program: "haproxy", package: "haproxy", version: ["-v"] },
  "systemd-analyze": { program: "systemd-analyze", package: "systemd", version: ["--version"] },
} satisfies Record<string, Recipe>;
export type PartName = keyof typeof PARTS;

export async function realPart(name: PartName): Promise<RealPart> {
  const recipe: Recipe = PARTS[name];
  const path = await find(recipe.program);
  const version = path === undefined ? undefined : await versionOf(path, recipe.version);
  if (path !== undefined && version !== undefined) return { kind: "found", path, version };
  return { kind: "missing", cure: `apt-get install ${recipe.package}` };
}

/** A test that runs against the program at `path`, or says that it could not. */
export function needs(
  name: PartName,
  check: (t: ExecutionContext, path: string) => Promise<void>,
  find: (name: PartName) => Promise<RealPart> = realPart,
): (t: ExecutionContext) => Promise<void> {
  return async (t) => {
    const part = await find(name);
    if (part.kind === "found") return check(t, part.path);
    passOver(t, `${name} is missing: ${part.cure}`);
  };
}

/** Ends a test that lacks something outside the project: one line and a pass, or, where required, a failure. */
export function passOver(t: ExecutionContext, why: string): void {
  if (process.env.BUDGETGUARD_REQUIRE_REAL === "1") {
    t.fail(why);
  } else {
    t.log(`not run, ${why}`);
    t.pass();
  }
}

async function find(program: string): Promise<string | undefined> {
  for (const folder of await folders()) {
    const path = join(folder, program);
    const executable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (executable) return path;
  }
  return undefined;
}

/** The PATH, and where Debian puts what only root or a service starts. */
async function folders(): Promise<string[]> {
  const postgres = "/usr/lib/postgresql";
  const releases = await readdir(postgres).catch(() => []);
  const newestFirst = releases.sort((a, b) => Number(b) - Number(a));
  return [
    ...(process.env.PATH ?? "").split(delimiter),
    "/usr/sbin",
    ...newestFirst.map((release) => join(postgres, release, "bin")),
  ].filter((folder) => folder !== "");
}

/** The first number in what the program says of itself; undefined where it cannot even say that. */
async function versionOf(path: string, question: readonly string[]): Promise<string | undefined> {
  const { code, stdout, stderr } = await run(path, question);
  return code === 0 ? (/\d+(?:\.\d+)*/.exec(stdout + stderr)?.[0] ?? "unknown") : undefined;
}
