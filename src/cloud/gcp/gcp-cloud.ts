// Google Cloud, opened with one login: Deployments of GKE clusters as containers, node pools as machine
// groups. Runs in the clouds' own thread, because Google's client is heavy.

import type { CloudAccess, OpenCloud } from "../cloud-access.ts";
import { requireSafe } from "../endpoint-safety.ts";
import { DeploymentContainer } from "../kubernetes/deployment.ts";
import { KubeApi } from "../kubernetes/kube-api.ts";
import { GkeApi } from "./gke-api.ts";
import { gkeDoor } from "./gke-door.ts";
import { GkeNodePool } from "./gke-pool.ts";
import { GoogleLogin } from "./google-login.ts";
import { InstanceGroups } from "./instance-groups.ts";

export function openGcp({ login, endpoint }: CloudAccess<"gcp">): OpenCloud<"gcp"> {
  requireSafe(endpoint, "providers.gcp.endpoint");
  const google = new GoogleLogin({ login });
  const gke = new GkeApi(google, endpoint);
  const groups = new InstanceGroups(google, endpoint);
  const clusters = new Map<string, KubeApi>();
  return {
    adapterFor: (container) => {
      const { project, location, cluster } = container;
      const key = `${project}/${location}/${cluster}`;
      const api = clusters.get(key) ?? new KubeApi(cluster, gkeDoor(gke, google, container));
      clusters.set(key, api);
      return new DeploymentContainer(api, container);
    },
    hostFor: (pool) => new GkeNodePool(gke, groups, pool),
    close: () => {
      gke.close();
      groups.close();
      for (const api of clusters.values()) api.close();
    },
  };
}
