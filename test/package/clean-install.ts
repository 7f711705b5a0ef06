// Packs the project and installs it into an empty folder, as a user of the registry would.

import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Ran, run } from "../support/program.ts";

export const project = fileURLToPath(new URL("../..", import.meta.url));

export interface Installed {
  /** The user's own folder. */
  readonly folder: string;
  /** The package in it. */
  readonly root: string;
  /** What npm put into .bin. */
  readonly command: string;
  remove(): Promise<void>;
}

export type Installation =
  | ({ readonly kind: "installed" } & Installed)
  /** The dependencies could not be fetched; what was packed is not to blame. */
  | { readonly kind: "unreachable"; readonly why: string };

const UNREACHABLE = /\bE(?:NOTFOUND|AI_AGAIN|CONNREFUSED|CONNRESET|TIMEDOUT|NETUNREACH|HOSTUNREACH)\b/;

export async function packAndInstall(): Promise<Installation> {
  const base = await mkdtemp(join(tmpdir(), "budgetguard-package-"));
  const remove = () => rm(base, { recursive: true, force: true });
  const folder = join(base, "user");
  await mkdir(folder);
  mustSucceed("npm pack", await inFolder(project, "npm", ["pack", "--pack-destination", base]));
  const packed = (await readdir(base)).find((name) => name.endsWith(".tgz"));
  if (packed === undefined) throw new Error("npm pack left no archive");
  await writeFile(
    join(folder, "package.json"),
    '{ "name": "somebody", "private": true, "type": "module" }\n',
  );
  const options = ["--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"];
  const install = await inFolder(folder, "npm", ["install", join(base, packed), ...options]);
  if (install.code !== 0 && UNREACHABLE.test(install.stderr)) {
    await remove();
    return { kind: "unreachable", why: UNREACHABLE.exec(install.stderr)?.[0] ?? "" };
  }
  mustSucceed("npm install", install);
  const modules = join(folder, "node_modules");
  const root = join(modules, "budgetguard-gateway");
  return { kind: "installed", folder, root, command: join(modules, ".bin", "budgetguard"), remove };
}

export function inFolder(cwd: string, program: string, args: readonly string[]): Promise<Ran> {
  return run(program, args, { cwd, env: ownEnvironment() });
}

/** Without what `npm test` tells its children about the checkout: it would lead npm back there. */
export function ownEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(?:npm_(?:package|lifecycle|config_(?:local_prefix|workspace))|BUDGETGUARD_)/.test(name),
  );
  return Object.fromEntries(kept);
}

/** A Node on the PATH that is older than the package wants. */
export async function olderNode(): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(folder, "node");
    const version = await run(path, ["--version"]);
    const major = Number(/^v(\d+)/.exec(version.stdout)?.[1] ?? Number.NaN);
    if (major < 24) return path;
  }
  return undefined;
}

function mustSucceed(what: string, { code, stdout, stderr }: Ran): void {
  if (code !== 0) throw new Error(`${what} ended with ${code}\n${stdout}\n${stderr}`);
}
