// Azure, opened with one login: Deployments of AKS clusters as containers, node pools as machine groups. Runs
// in the clouds' own thread, because Azure's client is heavy.

import type { AksPool } from "../../policy/container.ts";
import type { CloudAccess, OpenCloud } from "../cloud-access.ts";
import { requireSafe } from "../endpoint-safety.ts";
import { DeploymentContainer } from "../kubernetes/deployment.ts";
import { KubeApi } from "../kubernetes/kube-api.ts";
import { AksApi } from "./aks-api.ts";
import { aksDoor } from "./aks-door.ts";
import { AksNodePool } from "./aks-pool.ts";
import { azureIdentity } from "./azure-identity.ts";
import { type AzurePlace, azurePlace } from "./azure-place.ts";
import { AzureTokens } from "./azure-tokens.ts";

export function openAzure({ login, endpoint }: CloudAccess<"azure">): OpenCloud<"azure"> {
  requireSafe(endpoint, "providers.azure.endpoint");
  const tokens = new AzureTokens(azureIdentity({ login }));
  let known: AzurePlace | undefined;
  const place = async (signal: AbortSignal) => {
    known ??= await azurePlace(endpoint, signal);
    return known;
  };
  const aks = new AksApi(tokens, place);
  const clusters = new Map<string, KubeApi>();
  const kubeOf = (pool: Omit<AksPool, "pool">): KubeApi => {
    const key = `${pool.subscription}/${pool.resourceGroup}/${pool.cluster}`.toLowerCase();
    const api = clusters.get(key) ?? new KubeApi(pool.cluster, aksDoor({ aks, tokens, place }, pool));
    clusters.set(key, api);
    return api;
  };
  return {
    adapterFor: (container) => new DeploymentContainer(kubeOf(container), container),
    hostFor: (pool) => new AksNodePool(aks, kubeOf(pool), pool),
    close: () => {
      tokens.close();
      for (const api of clusters.values()) api.close();
    },
  };
}
