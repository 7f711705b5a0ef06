// Who the gateway is to Azure: a service principal with a secret or a federated token, whoever is logged in
// with the az command, or this machine's own identity. What the policy, TechOps or the environment says.

import { z } from "zod";
import { Trouble } from "../adapter.ts";
import type { CloudAccess } from "../cloud-access.ts";
import { parseCredentials } from "../techops/credentials.ts";

export type AzureIdentity =
  | {
      readonly kind: "secret";
      readonly tenant: string;
      readonly clientId: string;
      readonly clientSecret: string;
    }
  /** The file's content is replaced by whoever runs the gateway there. */
  | { readonly kind: "federated"; readonly tenant: string; readonly clientId: string; readonly file: string }
  /** The az command, then the machine's identity. */
  | { readonly kind: "machine"; readonly clientId: string | undefined };

const CURE =
  "write it as TENANT:CLIENT_ID:SECRET, or as the JSON that `az ad sp create-for-rbac` prints, where " +
  "providers.azure.credentials reads it";

export function azureIdentity({ login }: Pick<CloudAccess<"azure">, "login">): AzureIdentity {
  switch (login.kind) {
    case "techops":
      return { kind: "secret", ...login.values };
    case "text":
      return written(login.text);
    case "profile":
      throw new Trouble("unauthenticated", `Azure has no profiles: name a service principal; ${CURE}`);
    case "default":
      return ofEnvironment(process.env);
  }
}

function written(text: string): AzureIdentity {
  const trimmed = text.trim();
  const given = trimmed.startsWith("{") ? ofJson(trimmed) : ofParts(trimmed);
  if (given !== undefined) return given;
  throw new Trouble("unauthenticated", `the login for Azure is no service principal: ${CURE}`);
}

/** A secret may have colons itself. */
function ofParts(text: string): AzureIdentity | undefined {
  const [tenant, clientId, ...rest] = text.split(":");
  const clientSecret = rest.join(":");
  return tenant && clientId && clientSecret ? { kind: "secret", tenant, clientId, clientSecret } : undefined;
}

/** Which subscription is the containers' affair; TechOps' reader of labels wants one all the same. */
function ofJson(text: string): AzureIdentity | undefined {
  const object = z.record(z.string(), z.unknown()).safeParse(jsonOf(text));
  if (!object.success) return undefined;
  const parsed = parseCredentials({ azure: { subscription: "any", ...object.data } }, "azure");
  if (parsed.kind !== "parsed") return undefined;
  const { tenant, clientId, clientSecret } = parsed.values;
  return { kind: "secret", tenant, clientId, clientSecret };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own words quote the text.
    return undefined;
  }
}

/** By the names that Azure's own tools read. */
function ofEnvironment(env: NodeJS.ProcessEnv): AzureIdentity {
  const { AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: clientId, AZURE_CLIENT_SECRET: clientSecret } = env;
  const { AZURE_FEDERATED_TOKEN_FILE: file } = env;
  if (tenant && clientId && clientSecret) return { kind: "secret", tenant, clientId, clientSecret };
  if (tenant && clientId && file) return { kind: "federated", tenant, clientId, file };
  return { kind: "machine", clientId: clientId || undefined };
}
