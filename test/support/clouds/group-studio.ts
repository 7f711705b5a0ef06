// A studio on AWS of one container on one Auto Scaling group, for tests of whose machine it is.

import type { ExecutionContext } from "ava";
import { type DurationUs, MINUTE, seconds } from "../../../src/metering/time.ts";
import type { Lifecycle } from "../../../src/policy/container.ts";
import { nim, Studio } from "./aws-studio.ts";

export const LIFECYCLE: Lifecycle = {
  ...{ wake: "never", keepWarm: undefined, startupEstimate: seconds(60), startupTimeout: seconds(1800) },
  stopAfterIdle: "never",
};
export const IDLE: Lifecycle = { ...LIFECYCLE, stopAfterIdle: (10 * MINUTE) as DurationUs };

export async function studioOf(
  t: ExecutionContext,
  lifecycle: Lifecycle,
  desiredThen = 0,
  isCounted?: boolean,
): Promise<Studio> {
  const studio = await Studio.open(t, [nim("flux", { lifecycle })], isCounted);
  studio.fake.world.group("pool", { desired: desiredThen });
  studio.fake.world.service("flux", "pool", { desired: desiredThen });
  await studio.begin();
  return studio;
}

export const desired = (studio: Studio) => studio.fake.world.state.groups[0]?.desired;
