// The tasks of one service of ECS: which of them serves, on which instance, at which address; and of the last
// one, how it ended.

import {
  DescribeContainerInstancesCommand,
  DescribeTasksCommand,
  ListTasksCommand,
  type Task,
} from "@aws-sdk/client-ecs";
import type { Instant } from "../../metering/time.ts";
import type { ContainerOf } from "../cloud-access.ts";
import type { AwsRegion } from "./aws-region.ts";
import { instantOf } from "./ec2-instances.ts";

/** What a NIM listens on. */
const NIM_PORT = 8000;
/** That ECS describes at once; a service of GPUs has one. */
const MOST_TASKS = 99;

export interface Placed {
  readonly id: string;
  readonly since: Instant;
  readonly url: string | undefined;
  readonly isHealthy: boolean | undefined;
  readonly under: { readonly id: string; readonly since: Instant } | undefined;
}

export class EcsTasks {
  readonly #container: ContainerOf<"aws">;
  readonly #region: AwsRegion;
  /** Container instances are never another instance of EC2. */
  readonly #instanceOf = new Map<string, string>();
  #lastArn: string | undefined;
  /** Once it is known how it ended. */
  #ended: Task | undefined;

  constructor(container: ContainerOf<"aws">, region: AwsRegion) {
    this.#container = container;
    this.#region = region;
  }

  /** `failed`: the one before, where it ended by itself. */
  async best(
    signal: AbortSignal,
  ): Promise<{ readonly placed: Placed | undefined; readonly failed: Task | undefined }> {
    const { cluster, service: serviceName } = this.#container;
    const { taskArns = [] } = await this.#region.ask("ecs:ListTasks", signal, () =>
      this.#region.ecs.send(new ListTasksCommand({ cluster, serviceName }), { abortSignal: signal }),
    );
    const before = this.#lastArn;
    const asked = new Set(taskArns.slice(0, MOST_TASKS));
    if (before !== undefined) asked.add(before);
    if (asked.size === 0) return { placed: undefined, failed: undefined };
    const tasks = await this.#describe([...asked], signal);
    const alive = tasks.filter(({ lastStatus }) => lastStatus !== "STOPPED").sort(byReadiness);
    const failed = tasks.find(({ taskArn, lastStatus }) => taskArn === before && lastStatus === "STOPPED");
    const [task] = alive;
    if (task?.taskArn === undefined) return { placed: undefined, failed };
    // Of one that still waits for its place the failure before it tells more.
    if (task.lastStatus === "RUNNING" || failed === undefined) this.#lastArn = task.taskArn;
    this.#ended = undefined;
    return { placed: await this.#place(task, task.taskArn, signal), failed };
  }

  /** The one that was seen last, as it ended; undefined: none was, or ECS has forgotten it. */
  async last(signal: AbortSignal): Promise<Task | undefined> {
    if (this.#ended !== undefined || this.#lastArn === undefined) return this.#ended;
    [this.#ended] = await this.#describe([this.#lastArn], signal);
    if (this.#ended === undefined || this.#ended.stoppedAt !== undefined) this.#lastArn = undefined;
    return this.#ended;
  }

  async #describe(tasks: string[], signal: AbortSignal): Promise<Task[]> {
    const { cluster } = this.#container;
    const said = await this.#region.ask("ecs:DescribeTasks", signal, () =>
      this.#region.ecs.send(new DescribeTasksCommand({ cluster, tasks }), { abortSignal: signal }),
    );
    return said.tasks ?? [];
  }

  async #place(task: Task, id: string, signal: AbortSignal): Promise<Placed> {
    const began = task.startedAt ?? task.createdAt ?? new Date(0);
    const seen = { id, since: instantOf(began), isHealthy: healthOf(task) };
    const { containerInstanceArn } = task;
    if (containerInstanceArn === undefined) {
      // Without an instance of its own it is what bills: Fargate, or not placed yet.
      const billed = task.launchType === "FARGATE" ? (task.pullStartedAt ?? task.createdAt) : undefined;
      const under = billed && { id, since: instantOf(billed) };
      return { ...seen, url: urlOf(task, undefined), under };
    }
    const instance = await this.#instance(containerInstanceArn, signal);
    const machine = instance === undefined ? undefined : await this.#region.instances.one(instance, signal);
    const under = machine?.isOver ? undefined : machine;
    return {
      ...seen,
      url: urlOf(task, machine?.address),
      under: under && { id: under.id, since: under.since },
    };
  }

  async #instance(arn: string, signal: AbortSignal): Promise<string | undefined> {
    const known = this.#instanceOf.get(arn);
    if (known !== undefined) return known;
    const asked = { cluster: this.#container.cluster, containerInstances: [arn] };
    const { containerInstances = [] } = await this.#region.ask("ecs:DescribeContainerInstances", signal, () =>
      this.#region.ecs.send(new DescribeContainerInstancesCommand(asked), { abortSignal: signal }),
    );
    const found = containerInstances[0]?.ec2InstanceId;
    this.#instanceOf.clear();
    if (found !== undefined) this.#instanceOf.set(arn, found);
    return found;
  }
}

function byReadiness(a: Task, b: Task): number {
  return rankOf(a) - rankOf(b) || (b.createdAt?.getTime() ?? 0) - (a.createdAt?.getTime() ?? 0);
}

function rankOf(task: Task): number {
  if (task.lastStatus !== "RUNNING") return 2;
  return healthOf(task) === false ? 1 : 0;
}

/** Undefined where nobody looks after it: then it is asked whether it serves. */
function healthOf({ lastStatus, healthStatus }: Task): boolean | undefined {
  if (lastStatus !== "RUNNING") return false;
  if (healthStatus === "HEALTHY") return true;
  return healthStatus === "UNHEALTHY" ? false : undefined;
}

/** The instance's address and the port that it publishes, or the task's own where it has one. */
function urlOf({ containers = [], attachments = [] }: Task, address: string | undefined): string | undefined {
  const own = attachments
    .flatMap(({ details = [] }) => details)
    .find(({ name }) => name === "privateIPv4Address")?.value;
  if (own !== undefined) return `http://${own}:${NIM_PORT}`;
  const ports = containers.flatMap(({ networkBindings = [] }) => networkBindings);
  const bound =
    ports.find(({ containerPort }) => containerPort === NIM_PORT) ??
    (ports.length === 1 ? ports[0] : undefined);
  if (address === undefined || bound?.hostPort === undefined) return undefined;
  return `http://${address}:${bound.hostPort}`;
}
