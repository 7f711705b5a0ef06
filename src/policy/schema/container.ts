// Containers and machine groups: how a provider calls what the gateway may start, stop and be billed for.

import type { z } from "zod";
import { MINUTE, seconds } from "../../metering/time.ts";
import type { Container, Lifecycle, MachineGroup } from "../container.ts";
import type { Provider } from "../policy.ts";
import { mapping, oneOf } from "./collections.ts";
import { duration, weeklyWindow } from "./measures.ts";
import { choice, text } from "./words.ts";

const SOCKET = "/var/run/docker.sock";

/** The path, with or without the unix:// that DOCKER_HOST has before it. */
const socket = () =>
  text(512)
    .transform((path) => path.replace(/^unix:\/\//, ""))
    .optional()
    .describe(`Docker's or podman's socket. Default: ${SOCKET}.`);

const aksPool = {
  subscription: text().describe("Azure subscription id."),
  resource_group: text().describe("Resource group of the cluster."),
  cluster: text().describe("Name of the AKS cluster."),
  pool: text().describe("Name of the node pool."),
};

const gkePool = {
  project: text().describe("Google Cloud project id."),
  location: text().describe("Region or zone of the cluster."),
  cluster: text().describe("Name of the GKE cluster."),
  pool: text().describe("Name of the node pool."),
};

const workload = {
  namespace: text().optional().describe("Kubernetes namespace. Default: default."),
  deployment: text().describe("Name of the Kubernetes deployment."),
};

const ecs = mapping({
  region: text().describe("AWS region, such as us-east-1."),
  cluster: text().describe("Name of the ECS cluster."),
  service: text().describe("Name of the ECS service."),
}).transform((given): Container => ({ kind: "ecs", ...given }));

const docker = mapping({
  name: text().describe("Name of the container."),
  socket: socket(),
}).transform(
  // Docker's own lists show names with a slash before them.
  ({ name, socket }): Container => ({
    kind: "docker",
    name: name.replace(/^\//, ""),
    socket: socket ?? SOCKET,
  }),
);

const aks = mapping({ ...aksPool, ...workload }).transform(
  ({ resource_group, namespace = "default", ...rest }): Container => ({
    kind: "aks",
    ...rest,
    resourceGroup: resource_group,
    namespace,
  }),
);

const gke = mapping({ ...gkePool, ...workload }).transform(
  ({ namespace = "default", ...rest }): Container => ({ kind: "gke", ...rest, namespace }),
);

export function container(): z.ZodType<Container> {
  return oneOf({
    ecs: ecs.describe("A service of AWS ECS."),
    docker: docker.describe("A container of Docker or podman on this workstation."),
    aks: aks.describe("A deployment on Azure Kubernetes Service."),
    gke: gke.describe("A deployment on Google Kubernetes Engine."),
  });
}

const asg = mapping({
  region: text().describe("AWS region, such as us-east-1."),
  name: text().describe("Name of the Auto Scaling group."),
});

/** Keys of a machine that say what it is; at most one is given. */
export const machineGroups = {
  asg: asg
    .transform((given): MachineGroup => ({ kind: "asg", ...given }))
    .optional()
    .describe("The AWS Auto Scaling group that the containers run on."),
  aks_pool: mapping(aksPool)
    .transform(
      ({ resource_group, ...rest }): MachineGroup => ({
        kind: "aks_pool",
        ...rest,
        resourceGroup: resource_group,
      }),
    )
    .optional()
    .describe("The AKS node pool that the containers run on."),
  gke_pool: mapping(gkePool)
    .transform((given): MachineGroup => ({ kind: "gke_pool", ...given }))
    .optional()
    .describe("The GKE node pool that the containers run on."),
  docker_host: mapping({ socket: socket() })
    .transform((given): MachineGroup => ({ kind: "docker_host", socket: given.socket ?? SOCKET }))
    .optional()
    .describe("The Docker host whose GPU the containers share."),
};

/** Whose machines a group is made of; a Docker host can be anybody's. */
export const OWNERS: Readonly<Partial<Record<MachineGroup["kind"], Provider>>> = {
  asg: "aws",
  aks_pool: "azure",
  gke_pool: "gcp",
};

/** As the origin's guide to TechOps has it. */
const STOPS_AFTER = seconds(1800);

export const lifecycle = mapping({
  wake: choice(["never", "on_request"])
    .optional()
    .describe("on_request: a request may start the container, if it fits the budgets. Default: never."),
  stop_after_idle: duration("positive", ["never", "on"])
    .optional()
    .describe("Stop the container after it was unused this long; on: 30m. Default: never."),
  keep_warm: weeklyWindow()
    .optional()
    .describe(
      'When it is kept up although unused, in the policy\'s time zone, such as "Mon-Fri 09:00-18:00".',
    ),
  startup_estimate: duration()
    .optional()
    .describe("How long a start takes until that is learned. Default: 60s."),
  startup_timeout: duration().optional().describe("When a start counts as failed. Default: 30m."),
}).transform(
  (given): Lifecycle => ({
    wake: given.wake ?? "never",
    stopAfterIdle: given.stop_after_idle === "on" ? STOPS_AFTER : (given.stop_after_idle ?? "never"),
    keepWarm: given.keep_warm,
    startupEstimate: given.startup_estimate ?? MINUTE,
    startupTimeout: given.startup_timeout ?? seconds(1800),
  }),
);
