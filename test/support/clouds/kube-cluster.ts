// A Kubernetes cluster on a virtual clock: Deployments make pods, a scheduler puts one on each free GPU node,
// a node pulls an image once (cold: minutes; warm: a minute), and a load balancer gets its address late.

import { randomUUID } from "node:crypto";
import type { CloudClock } from "./cloud-clock.ts";

/** Seconds. */
const CONTROLLER = 1;
const COLD = 300;
const WARM = 60;
const GRACE = 30;
const BALANCER = 40;

export interface FakeDeployment {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  replicas: number;
  generation: number;
  /** What its controller cannot make: a quota's words. */
  failure: string | undefined;
}

export interface FakePod {
  readonly name: string;
  readonly uid: string;
  readonly owner: FakeDeployment;
  readonly made: string;
  node: string | undefined;
  startedAt: string | undefined;
  isReady: boolean;
  waiting: { reason: string; message?: string } | undefined;
  deleted: string | undefined;
  phase: string;
}

export interface FakeNode {
  readonly name: string;
  readonly uid: string;
  readonly made: string;
  readonly providerID: string;
  readonly labels: Readonly<Record<string, string>>;
  isReady: boolean;
  readonly images: Set<string>;
}

export interface FakeService {
  readonly namespace: string;
  readonly name: string;
  readonly type: string;
  readonly selector: Readonly<Record<string, string>>;
  readonly ports: readonly object[];
  ingress: readonly object[];
}

export class KubeCluster {
  readonly clock: CloudClock;
  readonly deployments: FakeDeployment[] = [];
  readonly services: FakeService[] = [];
  pods: FakePod[] = [];
  nodes: FakeNode[] = [];

  constructor(clock: CloudClock) {
    this.clock = clock;
  }

  /** With a load balancer before it, as TechOps deploys. */
  deploy(name: string, namespace = "default", ip = "20.1.2.3", port = 8000): FakeDeployment {
    const made = { namespace, name, uid: randomUUID(), replicas: 0, generation: 1, failure: undefined };
    this.deployments.push(made);
    const ports = [{ port, targetPort: 8000 }];
    const service: FakeService = {
      ...{ namespace, name, type: "LoadBalancer", selector: { app: name }, ports, ingress: [] },
    };
    this.services.push(service);
    this.clock.after(BALANCER, () => {
      service.ingress = [{ ip }];
    });
    return made;
  }

  scale(deployment: FakeDeployment, replicas: number): void {
    if (deployment.replicas !== replicas) deployment.generation += 1;
    deployment.replicas = replicas;
    this.clock.after(CONTROLLER, () => this.#control(deployment));
  }

  join(name: string, providerID: string, labels: FakeNode["labels"]): void {
    const { text: made } = this.clock;
    this.nodes.push({ name, uid: randomUUID(), made, providerID, labels, isReady: true, images: new Set() });
    this.clock.after(CONTROLLER, () => this.#schedule());
  }

  /** Its machine is gone, and every pod that ran there. */
  leave(name: string): void {
    this.nodes = this.nodes.filter((node) => node.name !== name);
    this.pods = this.pods.filter((pod) => pod.node !== name);
    this.clock.after(CONTROLLER, () => {
      for (const deployment of this.deployments) this.#control(deployment);
    });
  }

  #control(deployment: FakeDeployment): void {
    const own = this.pods.filter((pod) => pod.owner === deployment && pod.deleted === undefined);
    for (const pod of own.slice(deployment.replicas)) this.#end(pod);
    if (deployment.failure !== undefined) return;
    for (let count = own.length; count < deployment.replicas; count += 1) {
      const name = `${deployment.name}-${randomUUID().slice(0, 5)}`;
      this.pods.push({
        ...{ name, uid: randomUUID(), owner: deployment, made: this.clock.text, node: undefined },
        ...{ startedAt: undefined, isReady: false, waiting: undefined, deleted: undefined, phase: "Pending" },
      });
    }
    this.#schedule();
  }

  #end(pod: FakePod): void {
    pod.deleted = this.clock.text;
    pod.isReady = false;
    this.clock.after(GRACE, () => {
      this.pods = this.pods.filter((each) => each !== pod);
      this.#schedule();
    });
  }

  /** One GPU a node. */
  #schedule(): void {
    const free = this.nodes.filter(
      (node) => node.isReady && !this.pods.some((pod) => pod.node === node.name),
    );
    for (const pod of this.pods.filter((each) => each.node === undefined && each.deleted === undefined)) {
      const node = free.shift();
      if (node === undefined) return;
      pod.node = node.name;
      pod.waiting = { reason: "ContainerCreating" };
      const image = pod.owner.name;
      this.clock.after(node.images.has(image) ? WARM : COLD, () => this.#run(pod, node));
    }
  }

  #run(pod: FakePod, node: FakeNode): void {
    if (pod.deleted !== undefined || pod.node !== node.name) return;
    // One that cannot get on stays where it is until somebody helps.
    if (pod.waiting?.reason !== "ContainerCreating") return;
    node.images.add(pod.owner.name);
    pod.waiting = undefined;
    pod.startedAt = this.clock.text;
    pod.phase = "Running";
    this.clock.after(20, () => {
      pod.isReady = pod.deleted === undefined;
    });
  }
}
