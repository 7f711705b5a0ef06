// A service principal's login: a token for it, and whether it sees its subscription. Listing those needs no
// action of any role; a principal without a role in a subscription does not see it.

import { z } from "zod";
import { Trouble } from "../adapter.ts";
import { azurePlace } from "../azure/azure-place.ts";
import { AzureTokens } from "../azure/azure-tokens.ts";
import { JsonApi } from "../json-api.ts";
import type { AzureCredentials } from "../techops/credentials.ts";

const listed = z.object({
  value: z.array(z.object({ subscriptionId: z.string(), state: z.string().optional() })),
});

/** Throws Trouble where Azure does not take it, or does not answer. */
export async function probeAzure(
  values: AzureCredentials,
  endpoint: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { tenant, clientId, clientSecret, subscription } = values;
  const tokens = new AzureTokens({ kind: "secret", tenant, clientId, clientSecret });
  const api = new JsonApi("Azure's Resource Manager");
  try {
    const place = await azurePlace(endpoint, signal);
    const { token } = await tokens.token(place.tokens, place.audience, signal);
    const url = `${place.manager}/subscriptions?api-version=2022-12-01`;
    const headers = { authorization: `Bearer ${token}` };
    const { status, body } = await api.ask({ method: "GET", url, headers }, signal);
    const read = listed.safeParse(body);
    if (status === 401) throw new Trouble("unauthenticated", "Azure does not take the token of this login");
    if (status !== 200 || !read.success) {
      throw new Trouble("unreachable", `Azure answers with status ${status} when asked for subscriptions`);
    }
    const found = read.data.value.find((each) => each.subscriptionId === subscription);
    if (found === undefined) {
      const cure = "assign the role that docs/clouds.md has, or look at the subscription's id";
      throw new Trouble("denied", `the login is good, and may do nothing in its subscription: ${cure}`);
    }
    if (found.state === "Disabled") throw new Trouble("denied", "the subscription is disabled");
  } finally {
    tokens.close();
    api.close();
  }
}
