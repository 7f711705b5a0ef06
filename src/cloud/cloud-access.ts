// What a cloud is asked with: a login that was read where secrets are read, and its API's address. Both are
// handed to the thread that speaks to it, in memory only. Each cloud's folder gives one `OpenCloud`.

import type { Container, MachineGroup } from "../policy/container.ts";
import type { Cloud } from "../policy/settings.ts";
import type { Adapter, Host } from "./adapter.ts";
import type { CredentialsOf } from "./techops/credentials.ts";

export type Login<C extends Cloud = Cloud> =
  /** The provider's own default chain: environment, files, the machine's identity. */
  | { readonly kind: "default" }
  | { readonly kind: "profile"; readonly name: string }
  /** What stood in the variable, file or credential that the policy names. */
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "techops"; readonly values: CredentialsOf[C] };

export interface CloudAccess<C extends Cloud = Cloud> {
  readonly login: Login<C>;
  /** Instead of the provider's public API: private clouds and tests. */
  readonly endpoint: string | undefined;
}

export type ContainerOf<C extends Cloud> = Extract<Container, { kind: KindsOf[C]["container"] }>;
export type GroupOf<C extends Cloud> = Extract<MachineGroup, { kind: KindsOf[C]["group"] }>;

interface KindsOf {
  readonly aws: { readonly container: "ecs"; readonly group: "asg" };
  readonly azure: { readonly container: "aks"; readonly group: "aks_pool" };
  readonly gcp: { readonly container: "gke"; readonly group: "gke_pool" };
}

/** One cloud's clients, with one login; made anew when that changes. Throws Trouble where it is none. */
export type OpenCloudOf<C extends Cloud> = (access: CloudAccess<C>) => OpenCloud<C>;

export interface OpenCloud<C extends Cloud> {
  adapterFor(container: ContainerOf<C>): Adapter;
  hostFor(group: GroupOf<C>): Host;
  close(): void;
}
