// The three clients of one region: each request takes its turn in the call budget, is tried three times by
// the SDK itself, and fails as Trouble.

import { AutoScalingClient } from "@aws-sdk/client-auto-scaling";
import { EC2Client } from "@aws-sdk/client-ec2";
import { ECSClient } from "@aws-sdk/client-ecs";
import { spendCall } from "../call-budget.ts";
import { awsTrouble } from "./aws-trouble.ts";
import { Ec2Instances } from "./ec2-instances.ts";

/** Of one request: a call that needs more is tried again. */
const TIMEOUTS = { connectionTimeout: 5_000, requestTimeout: 15_000, throwOnRequestTimeout: true };
const ATTEMPTS = 3;

export interface AwsLogin {
  readonly endpoint?: string;
  readonly profile?: string;
  readonly credentials?: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
}

export class AwsRegion {
  readonly name: string;
  readonly ecs: ECSClient;
  readonly scaling: AutoScalingClient;
  readonly ec2: EC2Client;
  readonly instances: Ec2Instances;

  constructor(name: string, login: AwsLogin) {
    this.name = name;
    const config = { region: name, maxAttempts: ATTEMPTS, requestHandler: TIMEOUTS, ...login };
    this.ecs = new ECSClient(config);
    this.scaling = new AutoScalingClient(config);
    this.ec2 = new EC2Client(config);
    for (const { middlewareStack } of [this.ecs, this.scaling, this.ec2]) {
      // Within the retries, and before the signature, which tells the time.
      (middlewareStack as Pick<ECSClient["middlewareStack"], "add">).add(
        (next) => async (args) => {
          await spendCall();
          return next(args);
        },
        { step: "finalizeRequest", name: "callBudget" },
      );
    }
    this.instances = new Ec2Instances(this);
  }

  /** `action` as a policy of IAM calls it; `signal` aborted: whatever it is aborted with. */
  async ask<T>(action: string, signal: AbortSignal, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (signal.aborted) throw error;
      throw awsTrouble(error, action, this.name);
    }
  }

  close(): void {
    this.ecs.destroy();
    this.scaling.destroy();
    this.ec2.destroy();
  }
}
