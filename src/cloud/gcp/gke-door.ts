// The way into a GKE cluster: its address and its own certificate authority from GKE, a token of Google's.
// What was found is kept for a while, because clusters move seldom.

import type { GkePool } from "../../policy/container.ts";
import { Trouble } from "../adapter.ts";
import type { ClusterDoor, OpenDoor } from "../kubernetes/kube-api.ts";
import type { GkeApi } from "./gke-api.ts";
import type { GoogleLogin } from "./google-login.ts";

const KEPT_MS = 3_600_000;

type Place = Pick<ClusterDoor, "server" | "trust">;

export function gkeDoor(gke: GkeApi, login: GoogleLogin, cluster: Omit<GkePool, "pool">): OpenDoor {
  let kept: { readonly place: Place; readonly until: number } | undefined;
  return async (signal, isFresh) => {
    if (kept === undefined || isFresh || performance.now() > kept.until) {
      kept = { place: await placeOf(gke, cluster, signal), until: performance.now() + KEPT_MS };
    }
    return { ...kept.place, token: await login.token(signal) };
  };
}

async function placeOf(
  gke: GkeApi,
  { project, location, cluster }: Omit<GkePool, "pool">,
  signal: AbortSignal,
): Promise<Place> {
  const name = `projects/${project}/locations/${location}/clusters/${cluster}`;
  const what = `cluster ${cluster} in ${location} (project ${project})`;
  const found = await gke.ask((client, options) => client.getCluster({ name }, options), what, signal);
  const coded = found.masterAuth?.clusterCaCertificate;
  if (found.endpoint && coded) {
    const ca = Buffer.from(coded, "base64").toString("utf8");
    return { server: `https://${found.endpoint}`, trust: { ca } };
  }
  // Without an address of its own it is reached by a name that Google's public certificates vouch for.
  const dns = found.controlPlaneEndpointsConfig?.dnsEndpointConfig;
  if (dns?.endpoint && dns.allowExternalTraffic) return { server: `https://${dns.endpoint}`, trust: {} };
  throw new Trouble("failed", `${what} tells no address for its Kubernetes API: is it still being made?`);
}
