// Where the policy and the data are when nobody says, on each system.

import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join, posix, resolve, win32 } from "node:path";
import { fileURLToPath } from "node:url";
import type { Terminal } from "./terminal.ts";

export const DEFAULT_LISTEN = "localhost:7070";
export const DEFAULT_ADMIN = "localhost:7071";

/** An empty variable says nothing, like none. */
export function given(flag: string | undefined, variable: string | undefined): string | undefined {
  return flag ?? (variable === "" ? undefined : variable);
}

/** An address, and by what it was said: whoever wrote it wrong must find it. */
export interface SaidAddress {
  readonly address: string;
  readonly by: string;
}

export function listenAddress({ environment }: Terminal, flag: string | undefined): SaidAddress {
  return (
    said("--listen", flag, "BUDGETGUARD_LISTEN", environment) ?? { address: DEFAULT_LISTEN, by: "--listen" }
  );
}

export function adminAddress({ environment }: Terminal, flag: string | undefined): SaidAddress {
  return said("--admin", flag, "BUDGETGUARD_ADMIN", environment) ?? { address: DEFAULT_ADMIN, by: "--admin" };
}

function said(
  option: string,
  flag: string | undefined,
  variable: string,
  environment: Terminal["environment"],
): SaidAddress | undefined {
  const address = given(flag, environment[variable]);
  return address === undefined ? undefined : { address, by: flag === undefined ? variable : option };
}

export interface ChosenPolicy {
  readonly path: string;
  /** For the operator: why it is this one. */
  readonly why: string;
}

export function choosePolicy({ environment, cwd }: Terminal, flag: string | undefined): ChosenPolicy {
  const named = given(flag, environment.BUDGETGUARD_POLICY);
  if (named !== undefined) return { path: resolve(cwd, named), why: "as named" };
  const here = resolve(cwd, "policy.yaml");
  if (existsSync(here)) return { path: here, why: "found in this folder" };
  const path = shippedPath("policy.yaml");
  return { path, why: "there is no policy.yaml in this folder: this one came with budgetguard" };
}

/** A file of config/, which lies beside src/ in a checkout and beside dist/ in the package. */
export function shippedPath(name: string): string {
  return fileURLToPath(new URL(`../../config/${name}`, import.meta.url));
}

export function dataFolder({ environment, cwd }: Terminal, flag: string | undefined): string {
  const named = given(flag, environment.BUDGETGUARD_DATA);
  if (named !== undefined) return resolve(cwd, named);
  return defaultDataFolder(process.platform, environment, homedir());
}

export function defaultDataFolder(
  platform: NodeJS.Platform,
  environment: Terminal["environment"],
  home: string,
): string {
  switch (platform) {
    case "win32": {
      const local = given(undefined, environment.LOCALAPPDATA) ?? win32.join(home, "AppData", "Local");
      return win32.join(local, "budgetguard");
    }
    case "darwin":
      return posix.join(home, "Library", "Application Support", "budgetguard");
    default: {
      // The XDG specification: a relative path is no path.
      const state = environment.XDG_STATE_HOME;
      const base = state?.startsWith("/") ? state : posix.join(home, ".local", "state");
      return posix.join(base, "budgetguard");
    }
  }
}

/** The admin token that the daemon keeps in its data folder. */
export function adminTokenPath(folder: string): string {
  return join(folder, "admin-token");
}
