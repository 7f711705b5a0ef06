// Containers for Prometheus: what each is doing, for how long each was paid for and unused, and whether what
// was posted of them is what their leases cost.

import { SECOND } from "../metering/time.ts";
import { CONTAINER_STATES } from "../sdk/containers.ts";
import type { ContainerHouse } from "./container-row.ts";
import type { Counts } from "./counts.ts";
import { dollars } from "./dollars.ts";
import type { Page } from "./page.ts";

type Readings = Pick<ContainerHouse, "containers" | "leaseImbalance">;

export function writeContainers(page: Page, { series }: Counts, readings: Readings): void {
  page.gauge(
    "budgetguard_container_state",
    "1 for the state that the container is in, as its provider last said " +
      `(${CONTAINER_STATES.join(", ")}), else 0.`,
    readings.containers().flatMap(({ upstream, state }) =>
      CONTAINER_STATES.map((one) => ({
        labels: { upstream, state: one },
        value: one === state ? 1 : 0,
      })),
    ),
  );
  const idle = [...series.values()].filter(({ costs }) => costs.has("idle"));
  page.counter(
    "budgetguard_container_idle_seconds_total",
    "For how long containers were up and paid for while nobody used them. upstream is none where several " +
      "upstreams share the machine.",
    idle.map((one) => ({
      labels: { provider: one.labels.provider, upstream: one.labels.upstream },
      value: one.idle / SECOND,
    })),
  );
  const imbalance = readings.leaseImbalance();
  page.gauge(
    "budgetguard_lease_imbalance_usd",
    "By how much the entries of containers were off what their leases cost, in US dollars, when they " +
      "were last recounted, once an hour. Other than 0 it is a mistake: `budgetguard ledger verify` says " +
      "where. Absent before the first time.",
    imbalance === undefined ? [] : [{ labels: {}, value: dollars(imbalance) }],
  );
}
