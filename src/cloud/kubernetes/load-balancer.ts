// Where a Deployment can be reached from outside its cluster: the load balancer of a Service that selects its
// pods. Without one nobody but the cluster reaches it, and the policy must say an address.

import type { Service } from "./objects.ts";

/** What a NIM listens on. */
const NIM_PORT = 8000;

export function addressOf(
  services: readonly Service[],
  podLabels: Readonly<Record<string, string>>,
): string | undefined {
  const found = services.filter((each) => each.spec.type === "LoadBalancer" && selects(each, podLabels));
  // Until its load balancer is made, a Service has no address.
  return found.map(urlOf).find((url) => url !== undefined);
}

function selects({ spec }: Service, podLabels: Readonly<Record<string, string>>): boolean {
  const wanted = Object.entries(spec.selector ?? {});
  return wanted.length > 0 && wanted.every(([label, value]) => podLabels[label] === value);
}

function urlOf({ spec, status }: Service): string | undefined {
  const { ip, hostname } = status.loadBalancer.ingress[0] ?? {};
  const host = ip ?? hostname;
  const { ports } = spec;
  const port =
    ports.find((each) => each.targetPort === NIM_PORT || each.port === NIM_PORT) ??
    ports.find(({ name }) => name === "http" || name === "https") ??
    ports[0];
  if (!host || port === undefined) return undefined;
  const isTls = port.port === 443 || /^https$/i.test(port.appProtocol ?? port.name ?? "");
  return `${isTls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port.port}`;
}
