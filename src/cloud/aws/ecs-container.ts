// A service of ECS as a container: it is up while ECS is told to run a task of it, started and stopped by its
// desired count. Its task's address is that of the instance beneath, and another one at each start.

import { DescribeServicesCommand, type Service, type Task, UpdateServiceCommand } from "@aws-sdk/client-ecs";
import type { Instant } from "../../metering/time.ts";
import { type Adapter, type Sighting, Trouble } from "../adapter.ts";
import type { ContainerOf } from "../cloud-access.ts";
import type { AwsRegion } from "./aws-region.ts";
import { instantOf } from "./ec2-instances.ts";
import { EcsTasks, type Placed } from "./ecs-tasks.ts";

/** ECS' own words, newest first, that tell why no task runs. */
const BAD_NEWS = /unable|failed|unhealthy|stopped|could not|error/i;
const MOST_WORDS = 300;

export class EcsContainer implements Adapter {
  readonly #container: ContainerOf<"aws">;
  readonly #region: AwsRegion;
  readonly #tasks: EcsTasks;

  constructor(container: ContainerOf<"aws">, region: AwsRegion) {
    this.#container = container;
    this.#region = region;
    this.#tasks = new EcsTasks(container, region);
  }

  async observe(signal: AbortSignal): Promise<Sighting> {
    const service = await this.#service(signal);
    const { desiredCount = 0, runningCount = 0, pendingCount = 0, serviceArn = "" } = service;
    const isWanted = desiredCount > 0 && service.status === "ACTIVE";
    if (!isWanted && runningCount + pendingCount === 0) {
      const last = await this.#tasks.last(signal);
      return { kind: "off", id: last?.taskArn ?? serviceArn, stopped: endOf(last), why: undefined };
    }
    const { placed, failed } = await this.#tasks.best(signal);
    const since = placed?.since ?? changedAt(service);
    const health = placed === undefined ? false : placed.isHealthy;
    return {
      ...{ kind: "up", id: placed?.id ?? serviceArn, since, url: placed?.url, isStopping: !isWanted },
      isHealthy: health,
      under: placed?.under,
      said: health === true || !isWanted ? undefined : saidOf(service, placed, failed),
    };
  }

  /** A service that somebody runs with more tasks keeps them. */
  async start(signal: AbortSignal): Promise<void> {
    const { desiredCount = 0, schedulingStrategy } = await this.#service(signal);
    if (desiredCount > 0) return;
    if (schedulingStrategy === "DAEMON") {
      const text = "runs one task on each instance (DAEMON): ECS starts and stops it with its instances";
      throw new Trouble("failed", `service ${this.#container.service} ${text}`);
    }
    await this.#setDesired(1, signal);
  }

  stop(signal: AbortSignal): Promise<void> {
    return this.#setDesired(0, signal);
  }

  async #service(signal: AbortSignal): Promise<Service> {
    const { cluster, service } = this.#container;
    const { services = [] } = await this.#region.ask("ecs:DescribeServices", signal, () =>
      this.#region.ecs.send(new DescribeServicesCommand({ cluster, services: [service] }), {
        abortSignal: signal,
      }),
    );
    const found = services.find(({ status }) => status !== "INACTIVE");
    if (found !== undefined) return found;
    const { name: region } = this.#region;
    const what = services.length > 0 ? "was deleted from" : "is not in";
    const cure = `aws ecs list-services --cluster ${cluster} --region ${region} lists those that there are`;
    throw new Trouble("not_found", `service ${service} ${what} cluster ${cluster} of ${region}: ${cure}`);
  }

  async #setDesired(desiredCount: number, signal: AbortSignal): Promise<void> {
    const { cluster, service } = this.#container;
    await this.#region.ask("ecs:UpdateService", signal, () =>
      this.#region.ecs.send(new UpdateServiceCommand({ cluster, service, desiredCount }), {
        abortSignal: signal,
      }),
    );
  }
}

function changedAt({ deployments = [], createdAt }: Service): Instant {
  const changed = deployments.find(({ status }) => status === "PRIMARY")?.updatedAt ?? createdAt;
  return instantOf(changed ?? new Date(0));
}

function endOf(task: Task | undefined): Instant | undefined {
  const ended = task?.stoppedAt ?? task?.executionStoppedAt;
  return ended && instantOf(ended);
}

/** Why it does not serve yet, where ECS says so. */
function saidOf({ events = [] }: Service, placed: Placed | undefined, failed: Task | undefined) {
  const reason = failed?.stoppedReason;
  if (reason !== undefined)
    return `its last task ended: ${reason.slice(0, MOST_WORDS)}; ECS starts another one`;
  const newest = events[0]?.message ?? "";
  if (placed !== undefined || !BAD_NEWS.test(newest)) return undefined;
  return `ECS says: ${newest.slice(0, MOST_WORDS)}`;
}
