// An Auto Scaling group: its instances are what bills; it is raised and lowered by its desired capacity.

import {
  type AutoScalingGroup,
  DescribeAutoScalingGroupsCommand,
  SetDesiredCapacityCommand,
} from "@aws-sdk/client-auto-scaling";
import type { Instant } from "../../metering/time.ts";
import { type Host, type HostSighting, type Instance, Trouble } from "../adapter.ts";
import type { GroupOf } from "../cloud-access.ts";
import type { AwsRegion } from "./aws-region.ts";

export class ScalingGroup implements Host {
  readonly #name: string;
  readonly #region: AwsRegion;
  /** Since when they are billed: EC2's list may lag behind the group's. */
  readonly #since = new Map<string, Instant>();

  constructor({ name }: GroupOf<"aws">, region: AwsRegion) {
    this.#name = name;
    this.#region = region;
  }

  async observe(signal: AbortSignal): Promise<HostSighting> {
    const group = await this.#group(signal);
    const machines = await this.#region.instances.ofGroup(this.#name, signal);
    const instances: Instance[] = [];
    const ended = machines.flatMap(({ id, since, stopped }) =>
      stopped === undefined ? [] : [{ id, since, stopped }],
    );
    const listed = new Map(
      (group.Instances ?? []).map(({ InstanceId = "", LifecycleState = "" }) => [InstanceId, LifecycleState]),
    );
    for (const { id, since, isOver } of machines) {
      if (isOver) continue;
      const state = listed.get(id);
      // In no list of the group any more, or not yet: EC2 says that it runs.
      instances.push({ id, since, isStopping: state?.startsWith("Terminat") === true });
      this.#since.set(id, since);
    }
    for (const [id, state] of listed) {
      const since = this.#since.get(id);
      if (since === undefined || machines.some((one) => one.id === id)) continue;
      instances.push({ id, since, isStopping: state.startsWith("Terminat") });
    }
    for (const id of this.#since.keys()) if (!instances.some((one) => one.id === id)) this.#since.delete(id);
    return { instances, ended, wanted: group.DesiredCapacity ?? 0, scaledByOthers: rivalOf(group) };
  }

  async raise(signal: AbortSignal): Promise<void> {
    const { DesiredCapacity = 0, MaxSize = 0 } = await this.#group(signal);
    if (DesiredCapacity > 0) return;
    if (MaxSize === 0) {
      const text = `Auto Scaling group ${this.#name} may have no instance: set its MaxSize to 1 or more`;
      throw new Trouble("failed", text);
    }
    await this.#setDesired(1, signal);
  }

  async lower(signal: AbortSignal): Promise<void> {
    const { DesiredCapacity = 0, MinSize = 0 } = await this.#group(signal);
    if (MinSize > 0) {
      const group = `--auto-scaling-group-name ${this.#name}`;
      const cure = `aws autoscaling update-auto-scaling-group ${group} --min-size 0`;
      const text = `its MinSize is ${MinSize}, so that it cannot be turned off and costs on`;
      throw new Trouble("failed", `Auto Scaling group ${this.#name}: ${text}: ${cure}`);
    }
    if (DesiredCapacity > 0) await this.#setDesired(0, signal);
  }

  async #group(signal: AbortSignal): Promise<AutoScalingGroup> {
    const { scaling, name: region } = this.#region;
    const command = new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [this.#name] });
    const { AutoScalingGroups } = await this.#region.ask(
      "autoscaling:DescribeAutoScalingGroups",
      signal,
      () => scaling.send(command, { abortSignal: signal }),
    );
    const group = AutoScalingGroups?.find((one) => one.AutoScalingGroupName === this.#name);
    if (group !== undefined) return group;
    const cure = `aws autoscaling describe-auto-scaling-groups --region ${region} lists those that there are`;
    throw new Trouble("not_found", `there is no Auto Scaling group ${this.#name} in ${region}: ${cure}`);
  }

  async #setDesired(count: number, signal: AbortSignal): Promise<void> {
    const { scaling } = this.#region;
    const asked = { AutoScalingGroupName: this.#name, DesiredCapacity: count, HonorCooldown: false };
    await this.#region.ask("autoscaling:SetDesiredCapacity", signal, () =>
      scaling.send(new SetDesiredCapacityCommand(asked), { abortSignal: signal }),
    );
  }
}

/** Who may change its size back, and what to do about that. */
function rivalOf(group: AutoScalingGroup): string | undefined {
  const { MinSize = 0, Tags = [], Instances = [], SuspendedProcesses = [] } = group;
  if (MinSize > 0) {
    return `its MinSize is ${MinSize}: it is never turned off; set it to 0`;
  }
  const isProtected = Instances.some((one) => one.ProtectedFromScaleIn === true);
  if (isProtected || group.NewInstancesProtectedFromScaleIn === true) {
    return "its instances are protected from scale-in: they are not turned off; take the protection away";
  }
  if (Tags.some(({ Key }) => Key === "AmazonECSManaged")) {
    return (
      "a capacity provider of ECS scales it as tasks come and go: " +
      "turn its managed scaling off, or leave turning machines off to it"
    );
  }
  const suspended = SuspendedProcesses.map(({ ProcessName }) => ProcessName);
  if (suspended.includes("Launch") || suspended.includes("Terminate"))
    return "its Launch or Terminate process is suspended: resume it, or nothing is started or turned off";
  return undefined;
}
