// The machines that bill, beside the containers that run on them.

import { createRoute } from "@hono/zod-openapi";
import type { HourlyRate, NanoUsd } from "../metering/money.ts";
import { formatUsd } from "../metering/money.ts";
import { formatInstant, type Instant } from "../metering/time.ts";
import type { CONTAINER_STATES, MACHINE_STATES } from "../sdk/containers.ts";
import * as sdk from "../sdk/machines.ts";
import { type Api, mayNeedToken, ok, problems, type Room, reads } from "./route.ts";

export interface BilledMachine {
  readonly name: string;
  readonly provider: string;
  readonly state: (typeof MACHINE_STATES)[number];
  readonly price: string;
  readonly idleRate: HourlyRate;
  /** Where its idle price is below what the price list knows, in words. */
  readonly idleDoubt: string | undefined;
  readonly runs: readonly {
    readonly upstream: string;
    readonly state: (typeof CONTAINER_STATES)[number];
    readonly inFlight: number;
  }[];
  readonly needs: readonly string[];
  readonly leases: readonly {
    readonly id: string;
    readonly since: Instant;
    readonly cost: NanoUsd;
    readonly isWatched: boolean;
  }[];
}

export function addMachineRoutes(api: Api, { house, safety }: Room): void {
  const list = createRoute({
    method: "get",
    path: "/api/v1/machines",
    operationId: "listMachines",
    tags: ["containers"],
    security: mayNeedToken,
    summary: "The machines under the containers: what runs there, and what each lease has cost",
    middleware: reads(safety, "everybody"),
    responses: {
      200: ok(sdk.MachineList, "All of them, in the policy's order; then those that left it while they run."),
      ...problems,
    },
  });
  api.openapi(list, (c) => {
    house.glance();
    return c.json({ items: house.machines().map(machineWire) }, 200);
  });
}

function machineWire({ idleRate, idleDoubt, runs, needs, leases, ...row }: BilledMachine): sdk.Machine {
  return {
    ...row,
    idle_usd_per_hour: formatUsd(idleRate),
    idle_warning: idleDoubt ?? null,
    runs: runs.map(({ upstream, state, inFlight }) => ({ upstream, state, in_flight: inFlight })),
    needed_by: [...needs],
    leases: leases.map(({ id, since, cost, isWatched }) => {
      return { id, since: formatInstant(since), cost_usd: formatUsd(cost), watched: isWatched };
    }),
  };
}
