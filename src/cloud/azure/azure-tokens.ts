// Tokens for Azure, from whoever hands them out to this identity; each kept until shortly before it ends. Why
// there is none is told by Microsoft's number for it, never by its text, which names tenants and people.

import { readFile } from "node:fs/promises";
import { z } from "zod";
import { Trouble } from "../adapter.ts";
import { type JsonAnswer, JsonApi } from "../json-api.ts";
import { azToken } from "./az-command.ts";
import type { AzureIdentity } from "./azure-identity.ts";

/** Before its end. */
const EARLY_MS = 5 * 60_000;
const MACHINE = "http://169.254.169.254";

export interface AzureToken {
  readonly token: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

export class AzureTokens {
  readonly #identity: AzureIdentity;
  readonly #api = new JsonApi("Microsoft's token service");
  readonly #kept = new Map<string, AzureToken>();

  constructor(identity: AzureIdentity) {
    this.#identity = identity;
  }

  /** `audience`: what the token is for. `authority`: who hands it out to service principals. */
  async token(authority: string, audience: string, signal: AbortSignal): Promise<AzureToken> {
    const kept = this.#kept.get(audience);
    if (kept !== undefined && kept.expiresAt - EARLY_MS > Date.now()) return kept;
    const token = await this.#fetched(authority, audience, signal);
    this.#kept.set(audience, token);
    return token;
  }

  close(): void {
    this.#api.close();
  }

  async #fetched(authority: string, audience: string, signal: AbortSignal): Promise<AzureToken> {
    const identity = this.#identity;
    switch (identity.kind) {
      case "secret":
        return this.#granted(authority, identity, audience, { client_secret: identity.clientSecret }, signal);
      case "federated": {
        const assertion = {
          client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
          client_assertion: (await readFile(identity.file, "utf8")).trim(),
        };
        return this.#granted(authority, identity, audience, assertion, signal);
      }
      case "machine":
        return (await azToken(audience, signal)) ?? this.#ofMachine(identity.clientId, audience, signal);
    }
  }

  async #granted(
    authority: string,
    { tenant, clientId }: { readonly tenant: string; readonly clientId: string },
    audience: string,
    proof: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<AzureToken> {
    const form = {
      client_id: clientId,
      grant_type: "client_credentials",
      scope: `${audience}/.default`,
      ...proof,
    };
    const answer = await this.#api.ask(
      {
        method: "POST",
        url: `${authority}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`,
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: new URLSearchParams(form).toString(),
      },
      signal,
    );
    return tokenOf(answer) ?? refused(answer);
  }

  /** A virtual machine's or a scale set's; elsewhere nobody listens there. */
  async #ofMachine(clientId: string | undefined, audience: string, signal: AbortSignal): Promise<AzureToken> {
    const host = process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST ?? MACHINE;
    const query = new URLSearchParams({
      ...{ "api-version": "2018-02-01", resource: audience },
      ...(clientId !== undefined && { client_id: clientId }),
    });
    const url = `${host}/metadata/identity/oauth2/token?${query}`;
    try {
      const answer = await this.#api.ask({ method: "GET", url, headers: { metadata: "true" } }, signal);
      const token = tokenOf(answer);
      if (token !== undefined) return token;
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
    }
    const cure = "log in with `az login`, or name a service principal with providers.azure.credentials";
    throw new Trouble("unauthenticated", `this machine has no login for Azure: ${cure}`);
  }
}

const granted = z.object({
  access_token: z.string().min(1),
  // The machine's own service writes it as a text.
  expires_in: z.coerce.number().positive(),
});

function tokenOf({ status, body }: JsonAnswer): AzureToken | undefined {
  const read = granted.safeParse(body);
  if (status !== 200 || !read.success) return undefined;
  return { token: read.data.access_token, expiresAt: Date.now() + read.data.expires_in * 1000 };
}

function refused({ status, body }: JsonAnswer): never {
  const description = String((body as { error_description?: unknown } | undefined)?.error_description ?? "");
  const number = /AADSTS(\d+)/.exec(description)?.[1];
  if (number === undefined) {
    const kind = status === 429 ? "throttled" : "unreachable";
    throw new Trouble(kind, `Microsoft's token service answers with status ${status}: it is asked again`);
  }
  const why = WHY[number] ?? "look the number up at login.microsoftonline.com/error";
  throw new Trouble("unauthenticated", `Azure refuses the gateway's login (AADSTS${number}): ${why}`);
}

const WHY: Readonly<Record<string, string>> = {
  "7000222":
    "the client secret has expired: make a new one (az ad app credential reset) and give it to the " +
    "gateway, or to TechOps' install_credentials.py",
  "7000215": "the client secret is wrong: it is the secret's value that is needed, not its id",
  "700016": "there is no such application (client) in that tenant",
  "7000112": "the application is disabled",
  "90002": "there is no such tenant",
  "900023": "the tenant is no id and no domain name",
  "700024": "the federated token is too old: is this machine's clock right?",
};
