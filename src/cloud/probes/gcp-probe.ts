// A service account's key: Google gives a token for it as long as key and account are there and enabled. What
// it may do in a project shows when it does it, so that this needs no permission.

import { GoogleLogin } from "../gcp/google-login.ts";
import type { GcpCredentials } from "../techops/credentials.ts";

/** Throws Trouble where Google does not take it, or does not answer. */
export async function probeGcp(values: GcpCredentials, signal: AbortSignal): Promise<void> {
  await new GoogleLogin({ login: { kind: "techops", values } }).token(signal);
}
