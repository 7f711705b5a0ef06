// The containers that the gateway watches, and the two orders that can be given to them.

import { createRoute } from "@hono/zod-openapi";
import { z } from "zod";
import { formatUsd } from "../metering/money.ts";
import { formatInstant } from "../metering/time.ts";
import * as sdk from "../sdk/containers.ts";
import type { ContainerRow, MachineRow } from "./container-row.ts";
import type { House } from "./house.ts";
import { refuse } from "./problem.ts";
import { type Api, mayNeedToken, needsToken, ok, problems, type Room, reads, takesBody } from "./route.ts";

const params = z.object({ id: z.string().min(1).max(40) });

export function addContainerRoutes(api: Api, { house, safety }: Room): void {
  const list = createRoute({
    method: "get",
    path: "/api/v1/containers",
    operationId: "listContainers",
    tags: ["containers"],
    security: mayNeedToken,
    summary: "The containers that the policy names and the gateway can watch",
    middleware: reads(safety, "everybody"),
    responses: { 200: ok(sdk.ContainerList, "All of them, in the policy's order."), ...problems },
  });
  api.openapi(list, (c) => {
    house.glance();
    return c.json({ items: house.containers().map(containerWire) }, 200);
  });

  for (const command of ["start", "stop"] as const) {
    const order = createRoute({
      method: "post",
      path: `/api/v1/containers/{id}/${command}`,
      operationId: `${command}Container`,
      tags: ["containers"],
      summary: SUMMARY[command],
      security: needsToken,
      middleware: takesBody(safety, "operate", "everybody"),
      request: { params },
      responses: {
        200: ok(sdk.ContainerStatus, "Its provider has taken the order, or is slow to: the state says."),
        ...problems,
      },
    });
    api.openapi(order, async (c) => {
      const { id: upstream } = c.req.valid("param");
      const done = await house.orderContainer(command, upstream);
      if (done === undefined) return refuse(c, 404, { code: "not_found", detail: noContainer(house) });
      const found = house.containers().find((one) => one.upstream === upstream);
      if (done.kind === "ordered" && found !== undefined) return c.json(containerWire(found), 200);
      const detail = done.kind === "refused" ? done.why : "the policy has just dropped it";
      if (done.kind === "refused" && done.trouble === "unauthenticated")
        return refuse(c, 503, { code: "credentials_missing", detail });
      return refuse(c, 409, { code: "conflict", detail });
    });
  }
}

const SUMMARY = {
  start: "Start an upstream's container",
  stop: "Stop an upstream's container, once nothing runs there",
} as const;

function noContainer(house: House): string {
  const names = house.containers().map(({ upstream }) => upstream);
  const known = names.length === 0 ? "none" : names.join(", ");
  return `no container of this upstream is watched; those that are: ${known}`;
}

function containerWire(row: ContainerRow): sdk.ContainerStatus {
  return {
    upstream: row.upstream,
    provider: row.provider,
    state: row.state,
    live_since: row.liveSince === undefined ? null : formatInstant(row.liveSince),
    url: row.url ?? null,
    price: row.price,
    idle_usd_per_hour: formatUsd(row.idleRate),
    in_flight: row.inFlight,
    waiting: row.waiting,
    start_up_us: row.startUp,
    starts_seen: row.starts,
    busy_share: row.busyShare ?? null,
    idle_since: row.idleSince === undefined ? null : formatInstant(row.idleSince),
    stops_at: row.stopsAt === undefined ? null : formatInstant(row.stopsAt),
    note: row.note ?? null,
    seen_at: row.seenAt === undefined ? null : formatInstant(row.seenAt),
    why: row.why ?? null,
    idle_warning: row.idleDoubt ?? null,
    machine: row.machine === undefined ? null : machineWire(row.machine),
  };
}

function machineWire(row: MachineRow): sdk.MachineStatus {
  return {
    name: row.name,
    state: row.state,
    instances: row.instances.map(({ id, since, isStopping }) => ({
      id,
      since: formatInstant(since),
      stopping: isStopping,
    })),
    wanted: row.wanted ?? null,
    needed_by: [...row.needs],
    seen_at: row.seenAt === undefined ? null : formatInstant(row.seenAt),
    why: row.why ?? null,
    scaled_by_others: row.scaledByOthers ?? null,
  };
}
