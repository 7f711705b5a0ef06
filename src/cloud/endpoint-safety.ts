// A token is never sent in the clear: an API's address is TLS, or this very machine.

import { Trouble } from "./adapter.ts";

/** `key`: of the policy, for the sentence. */
export function requireSafe(endpoint: string | undefined, key: string): void {
  if (endpoint === undefined) return;
  const { protocol, hostname } = new URL(endpoint);
  if (protocol === "https:" || /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)) return;
  throw new Trouble("failed", `${key} would send the login in the clear: write https://`);
}
