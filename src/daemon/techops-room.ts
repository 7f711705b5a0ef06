// TechOps' credentials, watched in their file and checked with their clouds.

import { probe } from "../cloud/probes/probe-thread.ts";
import type { Instant } from "../metering/time.ts";
import type { Policy } from "../policy/policy.ts";
import { CredentialCheck } from "./credential-check.ts";
import type { Logger } from "./log.ts";
import { TechopsWatch } from "./techops-watch.ts";

export interface TechopsParts {
  /** In force. */
  policy(): Policy;
  now(): Instant;
  readonly log: Logger;
}

export interface TechopsRoom {
  readonly techops: TechopsWatch;
  readonly credentials: CredentialCheck;
}

export function openTechops({ policy, now, log }: TechopsParts): TechopsRoom {
  const techops: TechopsWatch = new TechopsWatch({
    ...{ settings: () => policy().techops, now, log },
    changed: () => credentials.renewed(),
  });
  const credentials = new CredentialCheck({ techops, policy, probe, now, log });
  return { techops, credentials };
}
