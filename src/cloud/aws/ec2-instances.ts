// Instances of EC2: since when each is billed, where it is reached, and when it ended. What was said of one
// is kept for a while: each look at a container would ask for the same again.

import { DescribeInstancesCommand, type Instance } from "@aws-sdk/client-ec2";
import { LRUCache } from "lru-cache";
import { type Instant, instantUs } from "../../metering/time.ts";
import { Trouble } from "../adapter.ts";
import type { AwsRegion } from "./aws-region.ts";

/** An address changes only with a start, or by hand. */
const KEPT = { max: 500, ttl: 30_000 };
/** Pages of a group's instances; no group of GPUs has as many. */
const MOST_PAGES = 20;

export interface Machine {
  readonly id: string;
  /** Its launch: since when it is billed. */
  readonly since: Instant;
  /** It is billed no more. */
  readonly isOver: boolean;
  /** When that was, where EC2 tells: of what ended by itself, or for want of spot capacity, it does not. */
  readonly stopped: Instant | undefined;
  readonly address: string | undefined;
}

export class Ec2Instances {
  readonly #region: AwsRegion;
  readonly #kept = new LRUCache<string, Machine>(KEPT);

  constructor(region: AwsRegion) {
    this.#region = region;
  }

  /** Undefined: EC2 does not know it, or not yet. */
  async one(id: string, signal: AbortSignal): Promise<Machine | undefined> {
    const kept = this.#kept.get(id);
    if (kept !== undefined) return kept;
    const [found] = await this.#pages({ InstanceIds: [id] }, signal).catch(noneIfUnknown);
    // One that has no address yet has one soon.
    if (found?.address !== undefined) this.#kept.set(id, found);
    return found;
  }

  /** Those that an Auto Scaling group has launched, the ended ones of the last hour among them. */
  ofGroup(name: string, signal: AbortSignal): Promise<readonly Machine[]> {
    return this.#pages({ Filters: [{ Name: "tag:aws:autoscaling:groupName", Values: [name] }] }, signal);
  }

  async #pages(
    asked: { readonly InstanceIds: string[] } | { readonly Filters: { Name: string; Values: string[] }[] },
    signal: AbortSignal,
  ): Promise<readonly Machine[]> {
    const { ec2 } = this.#region;
    const found: Machine[] = [];
    let token: string | undefined;
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const command = new DescribeInstancesCommand({
        ...asked,
        ...(token !== undefined && { NextToken: token }),
      });
      const said = await this.#region.ask("ec2:DescribeInstances", signal, () =>
        ec2.send(command, { abortSignal: signal }),
      );
      for (const { Instances = [] } of said.Reservations ?? []) found.push(...Instances.flatMap(machineOf));
      token = said.NextToken;
      if (!token) break;
    }
    return found;
  }
}

function machineOf(given: Instance): readonly Machine[] {
  const { InstanceId: id, LaunchTime: launched, State: state } = given;
  if (id === undefined || launched === undefined) return [];
  const address = given.PublicIpAddress ?? given.PrivateIpAddress;
  const since = instantOf(launched);
  // AWS bills none that is shutting down or stopped.
  const isOver = /^(shutting-down|terminated|stopping|stopped)$/.test(state?.Name ?? "");
  const stopped = isOver ? endOf(given.StateTransitionReason) : undefined;
  return [{ id, since, isOver, stopped, address }];
}

/** EC2's list may lag behind ECS': an instance that it does not know yet is nobody's end. */
function noneIfUnknown(error: unknown): readonly Machine[] {
  if (error instanceof Trouble && error.kind === "not_found") return [];
  throw error;
}

/** "User initiated (2026-11-28 12:00:00 GMT)" */
function endOf(reason: string | undefined): Instant | undefined {
  const found = /\((\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) (?:GMT|UTC)\)/.exec(reason ?? "");
  if (found === null) return undefined;
  return instantUs(Date.parse(`${found[1]}T${found[2]}Z`) * 1000);
}

export function instantOf(date: Date): Instant {
  return instantUs(Math.round(date.getTime() * 1000));
}
