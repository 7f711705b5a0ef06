// Makes dist/, or the folder that is named: what is published. The compiler strips types, writes declarations
// and renames imports, and is told what follows the folder; this adds the assets that lie beside the sources.

import { spawnSync } from "node:child_process";
import { copyFile, mkdir, readdir, rm } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const project = fileURLToPath(new URL("..", import.meta.url));
const from = join(project, "src");
const [, , folder = join(project, "dist"), ...options] = process.argv;
const to = resolve(folder);

await rm(to, { recursive: true, force: true });
compile();
for (const file of await filesOf(from)) if (!file.endsWith(".ts")) await copyAsset(file);
console.error(`${relative(project, to)}/ holds ${(await filesOf(to)).length} files`);

/** Through the launcher of the compiler's own package: what `tsc` on the PATH is, nobody knows. */
function compile(): void {
  const compiler = fileURLToPath(new URL("bin/tsc", import.meta.resolve("typescript/package.json")));
  const { status } = spawnSync(
    process.execPath,
    [compiler, "--project", "tsconfig.build.json", "--outDir", to, ...options],
    {
      cwd: project,
      stdio: "inherit",
    },
  );
  if (status !== 0) fail("the sources do not compile: npm run types shows the same, with the tests");
}

async function copyAsset(file: string): Promise<void> {
  const target = join(to, relative(from, file));
  await mkdir(dirname(target), { recursive: true });
  await copyFile(file, target);
}

async function filesOf(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

function fail(why: string): never {
  console.error(`build: ${why}`);
  process.exit(1);
}
