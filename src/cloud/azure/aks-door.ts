// The way into an AKS cluster: the kubeconfig that Azure hands out to whoever may have it, kept for a while.
// Where it asks for a login by Entra ID, a token of the gateway's own identity is the login.

import type { AksPool } from "../../policy/container.ts";
import { Trouble } from "../adapter.ts";
import type { OpenDoor } from "../kubernetes/kube-api.ts";
import { type KubeLogin, parseKubeconfig } from "../kubernetes/kubeconfig.ts";
import type { AksApi } from "./aks-api.ts";
import type { AzurePlace } from "./azure-place.ts";
import type { AzureTokens } from "./azure-tokens.ts";

const KEPT_MS = 3_600_000;
/** The application that stands for every AKS cluster's API server. */
const AKS_AUDIENCE = "6dae42f8-4368-4678-94ff-3960e28e3630";

export interface AksDoorParts {
  readonly aks: AksApi;
  readonly tokens: AzureTokens;
  place(signal: AbortSignal): Promise<AzurePlace>;
}

export function aksDoor({ aks, tokens, place }: AksDoorParts, cluster: Omit<AksPool, "pool">): OpenDoor {
  let kept: { readonly login: KubeLogin; readonly until: number } | undefined;
  return async (signal, isFresh) => {
    if (kept === undefined || isFresh || performance.now() > kept.until) {
      kept = { login: await loginOf(aks, cluster, signal), until: performance.now() + KEPT_MS };
    }
    const { server, trust, token, isEntra } = kept.login;
    if (!isEntra) return { server, trust, token };
    const authority = (await place(signal)).tokens;
    return { server, trust, token: (await tokens.token(authority, AKS_AUDIENCE, signal)).token };
  };
}

async function loginOf(
  aks: AksApi,
  { subscription, resourceGroup, cluster }: Omit<AksPool, "pool">,
  signal: AbortSignal,
): Promise<KubeLogin> {
  const what = `cluster ${cluster} in resource group ${resourceGroup} (subscription ${subscription})`;
  const { kubeconfigs } = await aks.ask(
    subscription,
    ({ managedClusters }, options) =>
      managedClusters.listClusterUserCredentials(resourceGroup, cluster, options),
    what,
    signal,
  );
  const value = kubeconfigs?.[0]?.value;
  if (value === undefined) throw new Trouble("failed", `${what} hands out no kubeconfig`);
  return parseKubeconfig(Buffer.from(value).toString("utf8"), cluster);
}
