// AWS on the wire, for AWS' own clients: JSON 1.1 of ECS, Query and XML of EC2 and Auto Scaling, on one port.
// What is so, aws-world.ts says; how it fails, the test.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { listen, portOf } from "../sockets.ts";
import { type AwsState, AwsWorld, type FakeInstance, type FakeService, type FakeTask } from "./aws-world.ts";

export const AWS_KEY = "AKIAFAKEFAKEFAKEFAKE:0123456789abcdef0123456789abcdef01234567";

export type AwsFault =
  | { readonly kind: "error"; readonly status: number; readonly code: string; readonly message?: string }
  /** Takes the request and says nothing. */
  | { readonly kind: "hang" }
  /** Closes without an answer. */
  | { readonly kind: "cut" };

export interface AwsFake {
  readonly world: AwsWorld;
  readonly origin: string;
  /** "ecs:DescribeServices", as IAM calls it, in turn. */
  readonly log: string[];
  /** What fails until it is taken out again; "*" is everything. */
  readonly faults: Map<string, AwsFault>;
  /** Of the requests to come, in turn. */
  readonly once: AwsFault[];
  /** Actions that the login may not do. */
  readonly denied: Set<string>;
  close(): Promise<void>;
}

export async function awsFake(now: number): Promise<AwsFake> {
  const world = new AwsWorld(now);
  const parts = { world, log: [], faults: new Map(), once: [], denied: new Set() } as Omit<
    AwsFake,
    "origin" | "close"
  >;
  const server = createServer((request, response) => void serve(request, response, parts));
  await listen(server);
  return {
    ...parts,
    origin: `http://127.0.0.1:${portOf(server)}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

interface Asked {
  readonly scope: "ecs" | "ec2" | "autoscaling";
  readonly action: string;
  /** Of ECS, its JSON; else the form, one value a key. */
  readonly body: Record<string, unknown>;
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  { world, log, faults, once, denied }: Omit<AwsFake, "origin" | "close">,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const asked = read(request, Buffer.concat(chunks).toString());
  const action = `${asked.scope}:${asked.action}`;
  log.push(action);
  const fault = once.shift() ?? faults.get(action) ?? faults.get("*");
  if (fault?.kind === "hang") return;
  if (fault?.kind === "cut") return void request.socket.destroy();
  const { status, type, body } =
    fault === undefined ? judged() : refusal(asked, fault.status, fault.code, fault.message);
  response.writeHead(status, { "content-type": type }).end(body);

  function judged(): Reply {
    const { scope } = asked;
    const [keyId = ""] = AWS_KEY.split(":");
    if (!request.headers.authorization?.includes(`Credential=${keyId}/`))
      return refusal(asked, 403, UNKNOWN[scope], "The security token is invalid.");
    if (!denied.has(action)) return answer(asked, world);
    return refusal(asked, scope === "ecs" ? 400 : 403, DENIED[scope], deniedText(action));
  }
}

const UNKNOWN = {
  ecs: "UnrecognizedClientException",
  ec2: "AuthFailure",
  autoscaling: "InvalidClientTokenId",
} as const;
const DENIED = {
  ecs: "AccessDeniedException",
  ec2: "UnauthorizedOperation",
  autoscaling: "AccessDenied",
} as const;

function deniedText(action: string): string {
  return `User: arn:aws:iam::111122223333:user/studio is not authorized to perform: ${action}`;
}

function read({ headers }: IncomingMessage, text: string): Asked {
  const target = headers["x-amz-target"];
  const service = /\/([a-z0-9]+)\/aws4_request/.exec(headers.authorization ?? "")?.[1];
  if (typeof target === "string") {
    const action = target.replace("AmazonEC2ContainerServiceV20141113.", "");
    return { scope: "ecs", action, body: JSON.parse(text) as Record<string, unknown> };
  }
  const body = Object.fromEntries(new URLSearchParams(text));
  return { scope: service === "ec2" ? "ec2" : "autoscaling", action: body.Action ?? "", body };
}

function refusal({ scope }: Asked, status: number, code: string, message = code): Reply {
  const inner = `<Code>${code}</Code><Message>${message}</Message>`;
  if (scope === "ecs") return json({ __type: code, message }, status);
  const error = `<Error><Type>Sender</Type>${inner}</Error>`;
  return scope === "ec2"
    ? xml(`<Response><Errors>${error}</Errors><RequestID>r</RequestID></Response>`, status)
    : xml(`<ErrorResponse>${error}</ErrorResponse>`, status);
}

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

function json(body: unknown, status = 200): Reply {
  return { status, type: "application/x-amz-json-1.1", body: JSON.stringify(body) };
}

function xml(body: string, status = 200): Reply {
  return { status, type: "text/xml", body };
}

function answer(asked: Asked, world: AwsWorld): Reply {
  const { seen } = world;
  const { action, body } = asked;
  const failed = asked.scope === "ecs" && unknownCluster(body);
  if (failed) return refusal(asked, 400, "ClusterNotFoundException", "Cluster not found.");
  switch (action) {
    case "DescribeServices":
      return json(services(seen, body.services as string[]));
    case "UpdateService":
      return update(asked, world);
    case "ListTasks":
      return json({
        taskArns: seen.tasks
          .filter(
            (one) =>
              one.service === body.serviceName && one.stopping === undefined && one.stopped === undefined,
          )
          .map(({ arn }) => arn),
      });
    case "DescribeTasks":
      return json(tasks(world, body.tasks as string[]));
    case "DescribeContainerInstances": {
      const [arn = ""] = body.containerInstances as string[];
      return json({
        containerInstances: [{ containerInstanceArn: arn, ec2InstanceId: arn.split("/").at(-1) }],
        failures: [],
      });
    }
    case "DescribeAutoScalingGroups":
      return xml(groups(seen, String(body["AutoScalingGroupNames.member.1"])));
    case "SetDesiredCapacity":
      return setDesired(asked, world);
    case "DescribeInstances":
      return unknownInstance(seen, body) ?? xml(instances(seen, body));
    default:
      return refusal(asked, 400, "UnknownOperationException");
  }
}

function unknownCluster(body: Record<string, unknown>): boolean {
  return body.cluster !== "nim";
}

function update(asked: Asked, world: AwsWorld): Reply {
  const { service, desiredCount } = asked.body;
  if (!world.state.services.some(({ name }) => name === service))
    return refusal(asked, 400, "ServiceNotFoundException", "Service not found.");
  world.setService(String(service), Number(desiredCount));
  return json({ service: services(world.state, [String(service)]).services[0] });
}

function setDesired(asked: Asked, world: AwsWorld): Reply {
  const name = String(asked.body.AutoScalingGroupName);
  const desired = Number(asked.body.DesiredCapacity);
  const group = world.state.groups.find((one) => one.name === name);
  if (group === undefined) return refusal(asked, 400, "ValidationError", "AutoScalingGroup name not found");
  if (desired < group.min || desired > group.max) {
    const text = `New SetDesiredCapacity value ${desired} is outside of min and max value ${group.min} and ${group.max}`;
    return refusal(asked, 400, "ValidationError", text);
  }
  world.setGroup(name, desired);
  return xml(
    "<SetDesiredCapacityResponse><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></SetDesiredCapacityResponse>",
  );
}

function services(state: AwsState, names: readonly string[]) {
  const arnOf = (name: string) => `arn:aws:ecs:us-east-1:111122223333:service/nim/${name}`;
  const found = state.services.filter(({ name }) => names.includes(name));
  const missing = names.filter((name) => !found.some((one) => one.name === name));
  return {
    services: found.map((one) => serviceOf(one, state, arnOf(one.name))),
    failures: missing.map((name) => ({ arn: arnOf(name), reason: "MISSING" })),
  };
}

function serviceOf(service: FakeService, state: AwsState, serviceArn: string) {
  const { name: serviceName, desired: desiredCount, changed, events } = service;
  const alive = state.tasks.filter((one) => one.service === serviceName && one.stopped === undefined);
  const runningCount = alive.filter(({ started }) => started !== undefined).length;
  const counts = { desiredCount, runningCount, pendingCount: alive.length - runningCount };
  const deployment = { id: "ecs-svc/1", status: "PRIMARY", ...counts, rolloutState: "COMPLETED" };
  return {
    ...{ serviceArn, serviceName, status: "ACTIVE", launchType: "EC2", schedulingStrategy: "REPLICA" },
    ...{ clusterArn: "arn:aws:ecs:us-east-1:111122223333:cluster/nim", ...counts, createdAt: 1795000000.123 },
    deployments: [{ ...deployment, createdAt: 1795000000.123, updatedAt: changed / 1000 }],
    events: events.map(({ at, text }, index) => ({ id: `e${index}`, createdAt: at / 1000, message: text })),
  };
}

function tasks({ seen }: AwsWorld, arns: readonly string[]) {
  const found = seen.tasks.filter(({ arn }) => arns.includes(arn));
  const missing = arns.filter((arn) => !found.some((one) => one.arn === arn));
  return {
    tasks: found.map((one) =>
      taskOf(
        one,
        seen.services.find(({ name }) => name === one.service),
      ),
    ),
    failures: missing.map((arn) => ({ arn, reason: "MISSING" })),
  };
}

function taskOf(task: FakeTask, service: FakeService | undefined) {
  const { arn: taskArn, instance, started, stopping, stopped, reason } = task;
  const isRunning = started !== undefined && stopping === undefined && stopped === undefined;
  const lastStatus =
    stopped !== undefined
      ? "STOPPED"
      : stopping !== undefined
        ? "DEACTIVATING"
        : started === undefined
          ? "PENDING"
          : "RUNNING";
  const bound = { bindIP: "0.0.0.0", containerPort: 8000, hostPort: service?.hostPort, protocol: "tcp" };
  const at = (key: string, ms: number | undefined) => (ms === undefined ? {} : { [key]: ms / 1000 });
  return {
    ...{ taskArn, launchType: "EC2", group: `service:${task.service}`, lastStatus },
    containerInstanceArn: `arn:aws:ecs:us-east-1:111122223333:container-instance/nim/${instance}`,
    desiredStatus: stopping === undefined && stopped === undefined ? "RUNNING" : "STOPPED",
    healthStatus: isRunning ? (service?.health ?? "UNKNOWN") : "UNKNOWN",
    containers: [{ name: "nim", lastStatus, networkBindings: isRunning ? [bound] : [] }],
    createdAt: task.created / 1000,
    ...{ ...at("startedAt", started), ...at("stoppingAt", stopping), ...at("stoppedAt", stopped) },
    ...(reason !== undefined && (stopped ?? stopping) !== undefined && { stoppedReason: reason }),
  };
}

const member = (name: string, inner: string) => `<${name}>${inner}</${name}>`;

function groups(state: AwsState, name: string): string {
  const found = state.groups.filter((one) => one.name === name);
  const inner = found.map((group) => {
    const alive = state.instances.filter((one) => one.group === group.name && one.state !== "terminated");
    const states = {
      pending: "Pending",
      running: "InService",
      "shutting-down": "Terminating",
      terminated: "",
    };
    const listed = alive.map(({ id, state: is }) =>
      member(
        "member",
        `<InstanceId>${id}</InstanceId><LifecycleState>${states[is]}</LifecycleState><HealthStatus>Healthy</HealthStatus>` +
          `<ProtectedFromScaleIn>${group.isProtected}</ProtectedFromScaleIn><AvailabilityZone>us-east-1a</AvailabilityZone>`,
      ),
    );
    const tags = group.tags.map((key) =>
      member("member", `<Key>${key}</Key><Value/><ResourceId>${name}</ResourceId>`),
    );
    return member(
      "member",
      `<AutoScalingGroupName>${group.name}</AutoScalingGroupName><MinSize>${group.min}</MinSize>` +
        `<MaxSize>${group.max}</MaxSize><DesiredCapacity>${group.desired}</DesiredCapacity>` +
        `<Instances>${listed.join("")}</Instances><Tags>${tags.join("")}</Tags><SuspendedProcesses/>` +
        `<NewInstancesProtectedFromScaleIn>${group.isProtected}</NewInstancesProtectedFromScaleIn>`,
    );
  });
  const result = `<AutoScalingGroups>${inner.join("")}</AutoScalingGroups>`;
  const wrapped = member("DescribeAutoScalingGroupsResult", result);
  return `<DescribeAutoScalingGroupsResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">${wrapped}</DescribeAutoScalingGroupsResponse>`;
}

/** EC2 refuses an id that it does not know, or not yet. */
function unknownInstance(state: AwsState, body: Record<string, unknown>): Reply | undefined {
  const asked = body["InstanceId.1"];
  if (asked === undefined || state.instances.some(({ id, isUnlisted }) => id === asked && !isUnlisted))
    return undefined;
  const code = "InvalidInstanceID.NotFound";
  return refusal({ scope: "ec2", action: "DescribeInstances", body }, 400, code, `No instance ${asked}`);
}

function instances(state: AwsState, body: Record<string, unknown>): string {
  const byGroup = body["Filter.1.Name"] === "tag:aws:autoscaling:groupName";
  const found = state.instances.filter((one) =>
    byGroup ? one.group === body["Filter.1.Value.1"] && !one.isUnlisted : one.id === body["InstanceId.1"],
  );
  const items = found.map((one) =>
    member("item", `<instancesSet>${member("item", instanceOf(one))}</instancesSet>`),
  );
  return `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet>${items.join("")}</reservationSet></DescribeInstancesResponse>`;
}

function instanceOf({ id, launched, state, ended, address, isSilent }: FakeInstance): string {
  const when = ended === undefined ? "" : new Date(ended).toISOString().slice(0, 19).replace("T", " ");
  const reason =
    ended === undefined || isSilent ? "<reason/>" : `<reason>User initiated (${when} GMT)</reason>`;
  const open = state === "running" ? `<ipAddress>${address}</ipAddress>` : "";
  return (
    `<instanceId>${id}</instanceId><instanceState><code>16</code><name>${state}</name></instanceState>${reason}` +
    `<launchTime>${new Date(launched).toISOString()}</launchTime><privateIpAddress>10.0.0.7</privateIpAddress>${open}`
  );
}
