// A token from the az command of whoever runs the gateway: for workstations, where somebody has logged in.

import { execFile } from "node:child_process";
import { z } from "zod";
import { Trouble } from "../adapter.ts";
import type { AzureToken } from "./azure-tokens.ts";

const ANSWER_MS = 15_000;
const MOST_BYTES = 64 * 1024;

const printed = z.object({
  accessToken: z.string().min(1),
  /** Seconds since 1970; older versions print a local time instead. */
  expires_on: z.coerce.number().optional(),
});

/** Undefined where there is no such command. */
export function azToken(audience: string, signal: AbortSignal): Promise<AzureToken | undefined> {
  const asked = ["account", "get-access-token", "--resource", audience, "--output", "json"];
  const options = { timeout: ANSWER_MS, maxBuffer: MOST_BYTES, signal, windowsHide: true };
  return new Promise((resolve, reject) => {
    execFile("az", asked, options, (error, out) => {
      if (signal.aborted) return reject(signal.reason);
      if (error !== null && (error as NodeJS.ErrnoException).code === "ENOENT") return resolve(undefined);
      const read = printed.safeParse(error === null ? jsonOf(out) : undefined);
      if (!read.success) {
        // What it prints may name people.
        const cure = "`az login`, or name a service principal with providers.azure.credentials";
        return reject(new Trouble("unauthenticated", `the az command gives no token: ${cure}`));
      }
      const { accessToken: token, expires_on: seconds } = read.data;
      return resolve({ token, expiresAt: seconds === undefined ? Date.now() + 10 * 60_000 : seconds * 1000 });
    });
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
