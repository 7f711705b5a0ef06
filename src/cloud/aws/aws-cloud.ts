// AWS as the gateway needs it: services of ECS, Auto Scaling groups and the instances under both. Imported
// only in the thread that speaks to clouds.

import { Trouble } from "../adapter.ts";
import type { CloudAccess, Login, OpenCloud } from "../cloud-access.ts";
import { AwsRegion } from "./aws-region.ts";
import { EcsContainer } from "./ecs-container.ts";
import { ScalingGroup } from "./scaling-group.ts";

export function openAws({ login, endpoint }: CloudAccess<"aws">): OpenCloud<"aws"> {
  const config = { ...loginOf(login), ...(endpoint !== undefined && { endpoint }) };
  const regions = new Map<string, AwsRegion>();
  const inRegion = (name: string) => {
    const region = regions.get(name) ?? new AwsRegion(name, config);
    regions.set(name, region);
    return region;
  };
  return {
    adapterFor: (container) => new EcsContainer(container, inRegion(container.region)),
    hostFor: (group) => new ScalingGroup(group, inRegion(group.region)),
    close: () => {
      for (const region of regions.values()) region.close();
    },
  };
}

function loginOf(login: Login<"aws">) {
  switch (login.kind) {
    case "default":
      return {};
    case "profile":
      return { profile: login.name };
    case "text":
      return { credentials: keyOf(login.text) };
    case "techops": {
      const { accessKeyId, secretAccessKey, sessionToken } = login.values;
      return { credentials: { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) } };
    }
  }
}

/** "KEY_ID:SECRET", with ":SESSION_TOKEN" behind it where there is one. */
function keyOf(text: string) {
  const [accessKeyId, secretAccessKey, ...rest] = text.split(":");
  if (!accessKeyId || !secretAccessKey) {
    const cure =
      "write KEY_ID:SECRET (and :SESSION_TOKEN where there is one) where providers.aws.credentials";
    throw new Trouble("unauthenticated", `the credentials of AWS cannot be read: ${cure} reads them from`);
  }
  return { accessKeyId, secretAccessKey, ...(rest.length > 0 && { sessionToken: rest.join(":") }) };
}
