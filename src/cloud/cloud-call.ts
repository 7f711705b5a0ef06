// What passes between the daemon and the thread that speaks to clouds: one question about one target, its
// answer, and that nobody wants it any more.

import type { Container, MachineGroup } from "../policy/container.ts";
import type { Cloud } from "../policy/settings.ts";
import type { HostSighting, Sighting, TroubleKind } from "./adapter.ts";
import type { CloudAccess } from "./cloud-access.ts";

export type CloudTarget =
  | Exclude<Container, { kind: "docker" }>
  | Exclude<MachineGroup, { kind: "docker_host" }>;
export type CloudMethod = "observe" | "start" | "stop" | "raise" | "lower";

export type ToCloud =
  | {
      readonly kind: "call";
      readonly id: number;
      readonly target: CloudTarget;
      readonly method: CloudMethod;
      /** In memory only, as secrets are now; with each call, so that a new key counts at once. */
      readonly access: CloudAccess;
      readonly callsPerMinute: number;
      readonly forMs: number;
    }
  | { readonly kind: "abort"; readonly id: number };

export type FromCloud = { readonly id: number } & (
  | { readonly kind: "done"; readonly value: Sighting | HostSighting | undefined }
  | { readonly kind: "trouble"; readonly trouble: TroubleKind; readonly text: string }
  /** A mistake of ours. */
  | { readonly kind: "bug"; readonly text: string }
);

const CLOUD_OF: Readonly<Record<CloudTarget["kind"], Cloud>> = {
  ...({ ecs: "aws", asg: "aws" } as const),
  ...({ aks: "azure", aks_pool: "azure" } as const),
  ...({ gke: "gcp", gke_pool: "gcp" } as const),
};

export function cloudOf({ kind }: CloudTarget): Cloud {
  return CLOUD_OF[kind];
}
