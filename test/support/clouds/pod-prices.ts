// RunPod's GraphQL API and Lambda's REST API, as far as their prices go. Both want a bearer token; RunPod says
// no with 200, as GraphQL does.

import { type PriceServer, priceServer } from "./price-server.ts";

/** Figures as they stand in the JSON. */
export function runpod(
  key: string,
  pods: Readonly<Record<string, readonly [secure: string, community: string, ...spot: string[]]>>,
) {
  return priceServer(({ url, method, headers, body }) => {
    if (method !== "POST" || url.pathname !== "/graphql") return { status: 404, body: "" };
    const { query } = JSON.parse(body) as { query: string };
    if (
      headers.authorization !== `Bearer ${key}` ||
      !/securePrice.*secureSpotPrice communitySpotPrice/.test(query)
    ) {
      return { body: '{"errors":[{"message":"not allowed"}],"data":null}' };
    }
    const types = Object.entries(pods).map(
      ([name, [secure, community, spot = "null", spotOfCommunity = "null"]]) =>
        `{"id":"NVIDIA ${name}","displayName":"${name}","securePrice":${secure},"communityPrice":${community},` +
        `"secureSpotPrice":${spot},"communitySpotPrice":${spotOfCommunity}}`,
    );
    return { body: `{"data":{"gpuTypes":[${types.join(",")}]}}` };
  });
}

export function lambda(key: string, cents: Readonly<Record<string, string>>): Promise<PriceServer> {
  return priceServer(({ url, headers }) => {
    if (url.pathname !== "/api/v1/instance-types") return { status: 404, body: "" };
    if (headers.authorization !== `Bearer ${key}`) return { status: 401, body: '{"error":{}}' };
    const types = Object.entries(cents).map(
      ([name, price]) =>
        `"${name}":{"instance_type":{"name":"${name}","price_cents_per_hour":${price},"specs":{"vcpus":30}},` +
        `"regions_with_capacity_available":[]}`,
    );
    return { body: `{"data":{${types.join(",")}}}` };
  });
}
