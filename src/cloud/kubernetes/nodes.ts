// The machines of a node pool as Kubernetes knows them: each with what its cloud calls it and since when it
// is there. A node joins a minute or two after its machine began to cost, and AKS tells no other time.

import type { Instance } from "../adapter.ts";
import { providerStart } from "../provider-time.ts";
import type { KubeApi } from "./kube-api.ts";
import { listOf, Node, read } from "./objects.ts";

const PAGE = 500;

/** `selector`: the label and value that the cloud gives the pool's nodes. */
export async function nodesOf(api: KubeApi, selector: string, signal: AbortSignal): Promise<readonly Node[]> {
  const what = `nodes with ${selector}`;
  const path = `/api/v1/nodes?limit=${PAGE}&labelSelector=${encodeURIComponent(selector)}`;
  const { body } = await api.ask({ path, what }, signal);
  return read(listOf(Node), body, what).items;
}

export function instanceOf({ metadata, spec }: Node, isStopping: boolean): Instance {
  return {
    id: spec.providerID ?? metadata.uid,
    since: providerStart(`node ${metadata.name}`, metadata.creationTimestamp),
    isStopping: isStopping || metadata.deletionTimestamp !== undefined,
  };
}

export function isReadyNode({ status }: Node): boolean {
  return status.conditions.some((each) => each.type === "Ready" && each.status === "True");
}
