// Where an Azure is: its Resource Manager, who hands out tokens for it, and what they are for. The public one
// and its sovereign sisters are known; any other tells it itself.

import { z } from "zod";
import { Trouble } from "../adapter.ts";
import { JsonApi } from "../json-api.ts";

export interface AzurePlace {
  /** "https://management.azure.com" */
  readonly manager: string;
  /** "https://login.microsoftonline.com" */
  readonly tokens: string;
  /** What a token for the manager names as its audience. */
  readonly audience: string;
}

const PUBLIC = "https://management.azure.com";
const TOKENS: Readonly<Record<string, string>> = {
  [PUBLIC]: "https://login.microsoftonline.com",
  "https://management.usgovcloudapi.net": "https://login.microsoftonline.us",
  "https://management.chinacloudapi.cn": "https://login.chinacloudapi.cn",
};

const endpoints = z.object({
  authentication: z.object({ loginEndpoint: z.url(), audiences: z.array(z.string()).min(1) }),
});

/** Throws Trouble where an unknown one does not say. */
export async function azurePlace(endpoint: string | undefined, signal: AbortSignal): Promise<AzurePlace> {
  const manager = (endpoint ?? PUBLIC).replace(/\/+$/, "");
  const known = TOKENS[manager];
  if (known !== undefined) return { manager, tokens: known, audience: manager };
  const api = new JsonApi("the Azure of providers.azure.endpoint");
  try {
    const url = `${manager}/metadata/endpoints?api-version=2022-09-01`;
    const read = endpoints.safeParse((await api.ask({ method: "GET", url }, signal)).body);
    if (!read.success) {
      throw new Trouble(
        "failed",
        `${manager} is no Azure Resource Manager: look at providers.azure.endpoint`,
      );
    }
    const { loginEndpoint, audiences } = read.data.authentication;
    const audience = (audiences[0] ?? manager).replace(/\/+$/, "");
    return { manager, tokens: loginEndpoint.replace(/\/+$/, ""), audience };
  } finally {
    api.close();
  }
}
