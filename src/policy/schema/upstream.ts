// Upstreams and the machines that several of them may share.

import type { z } from "zod";
import { seconds } from "../../metering/time.ts";
import { PROVIDERS, type Timeouts } from "../policy.ts";
import { urlOrDiscovered } from "./addresses.ts";
import { count, usd } from "./amounts.ts";
import { mapping } from "./collections.ts";
import { container, lifecycle, machineGroups } from "./container.ts";
import { callRate, duration } from "./measures.ts";
import { price } from "./price.ts";
import { auth } from "./secret.ts";
import { choice, id, text } from "./words.ts";

/** What bills: these keys sit on a machine, or on the upstream that is its own. */
const billing = {
  price: price()
    .optional()
    .describe("Exactly one of rate, usd_per_hour, usd_per_request, usd_per_image, usd_per_million_tokens."),
  idle_usd_per_hour: usd()
    .optional()
    .describe(
      "What it costs while up and unused. Default: its price; if that is not per hour, 0.04 (an estimate).",
    ),
  min_billed: duration("zero")
    .optional()
    .describe("The least that the provider bills each time it runs, such as 60s. Default: 0s."),
};

export const machine = mapping({ ...machineGroups, ...billing }).transform((given, context) => {
  const { asg, aks_pool, gke_pool, docker_host, ...rest } = given;
  const groups = [asg, aks_pool, gke_pool, docker_host].filter((each) => each !== undefined);
  if (groups.length > 1) {
    const message = `is ${groups.map((each) => each.kind).join(" and ")} at once: write at most one of them`;
    context.issues.push({ code: "custom", input: given, message });
  }
  return { ...rest, group: groups[0] };
});
export type MachineEntry = z.output<typeof machine>;

export const DEFAULT_TIMEOUTS: Timeouts = {
  connect: seconds(5),
  firstByte: seconds(600),
  idle: seconds(120),
  total: seconds(3600),
};

const timeouts = mapping({
  connect: duration().optional().describe("Until the connection stands. Default: 5s."),
  first_byte: duration()
    .optional()
    .describe("From the request's last byte to the reply's first. Default: 10m."),
  idle: duration().optional().describe("Between two pieces of the reply. Default: 2m."),
  total: duration()
    .optional()
    .describe(
      "From the first byte sent to the last received; waiting and start-up do not count. Default: 1h.",
    ),
}).transform(
  (given): Timeouts => ({
    connect: given.connect ?? DEFAULT_TIMEOUTS.connect,
    firstByte: given.first_byte ?? DEFAULT_TIMEOUTS.firstByte,
    idle: given.idle ?? DEFAULT_TIMEOUTS.idle,
    total: given.total ?? DEFAULT_TIMEOUTS.total,
  }),
);

export const upstream = mapping({
  provider: choice(PROVIDERS).describe("Who runs it, and who is paid."),
  url: urlOrDiscovered()
    .optional()
    .describe("Address of the NIM. discovered, or nothing: read after each start of its container."),
  model: text(200).optional().describe("The name by which the upstream knows the model, if it differs."),
  gpu_tier: text(40)
    .transform((tier) => tier.toLowerCase())
    .optional()
    .describe("GPU class, such as t4, a10g or a100; with a cloud provider it also finds the default price."),
  concurrency: count(1, 10_000)
    .optional()
    .describe(
      "Requests at once; more go elsewhere or wait. Default: 1 for a container with a price, else no bound.",
    ),
  rate_limit: callRate()
    .optional()
    .describe("Requests in any such time: 40/min; more go elsewhere or wait. Default: no bound."),
  auth: auth()
    .optional()
    .describe("What the gateway shows to the upstream. Secrets are referred to, never written."),
  machine: id()
    .optional()
    .describe(
      "The machine (under machines) that it runs and bills on; then the price belongs to the machine.",
    ),
  ...billing,
  rank_usd_per_request: usd()
    .optional()
    .describe(
      "What lowest_price takes a request's price to be instead of its own, such as for a hosted trial.",
    ),
  container: container().optional().describe("What the gateway starts, stops and sees idle."),
  lifecycle: lifecycle.optional().describe("When the container is started and stopped."),
  timeouts: timeouts.optional().describe("How long each step may take."),
});
export type UpstreamEntry = z.output<typeof upstream>;
