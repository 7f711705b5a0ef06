// Who the gateway is to Google: a credential file of any kind that google-auth-library knows (a service
// account's key, a person's own), or what this machine has by default. It hands out one kind of token for all
// that is asked, and says in our own words why there is none.

import { readFile } from "node:fs/promises";
import { type AuthClient, GoogleAuth, JWT, UserRefreshClient } from "google-auth-library";
import { z } from "zod";
import { Trouble } from "../adapter.ts";
import type { CloudAccess } from "../cloud-access.ts";

const SCOPES = ["https://www.googleapis.com/auth/cloud-platform"];
const CURE =
  "providers.gcp.credentials names a service account's key file ({ file: PATH }), or TechOps' " +
  "({ techops: true })";
/** The library asks Google's own address, whatever the key file says; private clouds have another. */
const PUBLIC_TOKENS = "https://oauth2.googleapis.com/token";

export class GoogleLogin {
  readonly #login: CloudAccess<"gcp">["login"];
  #client: AuthClient | undefined;

  constructor({ login }: Pick<CloudAccess<"gcp">, "login">) {
    if (login.kind === "profile") throw new Trouble("unauthenticated", `Google has no profiles: ${CURE}`);
    if (login.kind === "text") this.#client = clientOf(login.text);
    this.#login = login;
  }

  /** As it is now: the library keeps it until it is nearly over. */
  async token(signal: AbortSignal): Promise<string> {
    try {
      this.#client ??= await this.#found();
      signal.throwIfAborted();
      const { token } = await this.#client.getAccessToken();
      if (!token) throw new Error("it is empty");
      return token;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw noTokenOf(error);
    }
  }

  /** TechOps store the path of a key; without one it is what this machine has for Google's own tools. */
  async #found(): Promise<AuthClient> {
    const login = this.#login;
    if (login.kind === "techops") return clientOf(await readFile(login.values.keyFile, "utf8"));
    return new GoogleAuth({ scopes: SCOPES }).getClient();
  }
}

const keyFile = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("service_account"),
    client_email: z.string(),
    private_key: z.string(),
    private_key_id: z.string().optional(),
    token_uri: z.url().optional(),
  }),
  z.object({
    type: z.literal("authorized_user"),
    client_id: z.string(),
    client_secret: z.string(),
    refresh_token: z.string(),
  }),
]);

/** Kinds that name an address or a command to ask are for the machine's own setting, not for a secret. */
function clientOf(text: string): AuthClient {
  const read = keyFile.safeParse(jsonOf(text));
  if (!read.success) {
    const found = "what providers.gcp.credentials names is not the key file of a service account or a user";
    const other = "for other kinds set GOOGLE_APPLICATION_CREDENTIALS, and name none in the policy";
    throw new Trouble("unauthenticated", `${found}; ${other}`);
  }
  const key = read.data;
  if (key.type === "authorized_user") {
    const { client_id: clientId, client_secret: clientSecret, refresh_token: refreshToken } = key;
    return new UserRefreshClient({ clientId, clientSecret, refreshToken });
  }
  const { client_email: email, private_key_id: keyId } = key;
  const client = new JWT({ email, key: key.private_key, ...(keyId && { keyId }), scopes: SCOPES });
  const tokens = key.token_uri ?? PUBLIC_TOKENS;
  client.transporter.interceptors.request.add({
    resolved: async (asked) =>
      String(asked.url) === PUBLIC_TOKENS ? { ...asked, url: new URL(tokens) } : asked,
  });
  return client;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own words quote the text.
    return undefined;
  }
}

/** By the words that OAuth has for it; a library's message may hold a path or an assertion. */
function noTokenOf(error: unknown): Trouble {
  if (error instanceof Trouble) return error;
  const said = error instanceof Error ? error.message : "";
  const name = /\b(invalid_grant|invalid_client|unauthorized_client|invalid_scope|account_not_found)\b/.exec(
    said,
  )?.[1];
  if (name !== undefined) {
    const why = "the key may be deleted or disabled, or this machine's clock wrong";
    return new Trouble(
      "unauthenticated",
      `Google refuses the gateway's key (${name}): ${why}; ${CURE}`,
      error,
    );
  }
  if (/Could not load the default credentials/.test(said)) {
    return new Trouble("unauthenticated", `this machine has no Google credentials: ${CURE}`, error);
  }
  const code = String((error as { code?: unknown } | undefined)?.code ?? "");
  if (code === "ENOENT" || code === "EACCES") {
    return new Trouble(
      "unauthenticated",
      `the service account's key file cannot be read (${code}): ${CURE}`,
      error,
    );
  }
  if (/PEM|DECODER|private key|asn1|credentials|client_email/i.test(`${code} ${said}`)) {
    return new Trouble("unauthenticated", `the service account's key is damaged: ${CURE}`, error);
  }
  return new Trouble(
    "unreachable",
    "Google's token service cannot be reached: is this machine online?",
    error,
  );
}
