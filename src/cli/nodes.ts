// `budgetguard nodes list|start|stop`: the containers that the gateway watches, and orders to them.

import type { ContainerStatus, MachineStatus } from "../sdk/containers.ts";
import { addConnectionOptions, ask, type ConnectionOptions, show } from "./connection.ts";
import type { DefineCommand } from "./define-command.ts";
import { EXIT } from "./exit-code.ts";
import { elapsed, lasted, moment } from "./moment.ts";
import { type Cell, type Column, table } from "./table.ts";
import type { Style, Terminal } from "./terminal.ts";

export const defineNodes: DefineCommand = (command, terminal, end) => {
  command.addHelpText("after", "\nExample:\n  $ budgetguard nodes list");
  const list = command.command("list").description("what each container does, and since when it costs");
  addConnectionOptions(list)
    .addHelpText("after", "\nExample:\n  $ budgetguard nodes list")
    .action(async (options: ConnectionOptions) =>
      end(
        await ask(terminal, options, "read", async (client) => {
          const { policy, at } = await client.status();
          const found = await client.containers();
          show(terminal, options, found, ({ items }) =>
            listText(items, { at, zone: policy.timezone, terminal }),
          );
          return EXIT.ok;
        }),
      ),
    );
  for (const order of ["start", "stop"] as const) {
    const one = command.command(order).description(DESCRIPTION[order]);
    addConnectionOptions(one)
      .argument("<upstream>", "whose container")
      .addHelpText("after", `\nExample:\n  $ budgetguard nodes ${order} flux-local`)
      .action(async (upstream: string, options: ConnectionOptions) =>
        end(
          await ask(terminal, options, "write", async (client) => {
            const found = await client.orderContainer(order, upstream);
            show(terminal, options, found, orderedText);
            return EXIT.ok;
          }),
        ),
      );
  }
};

const DESCRIPTION = {
  start: "start a container; needs the admin token or an operator's",
  stop: "stop a container once nothing runs there; needs the admin token or an operator's",
} as const;

const COLUMNS: readonly Column[] = [
  { title: "upstream", wraps: true },
  { title: "state" },
  { title: "live since", wraps: true },
  { title: "price", wraps: true },
  { title: "idle usd/h", align: "point" },
  { title: "in flight", align: "right" },
  { title: "waiting", align: "right" },
  { title: "start-up", align: "right" },
  { title: "busy", align: "right" },
];

const STYLE: Record<ContainerStatus["state"], Style> = {
  ...{ unknown: "dim", off: "dim", starting: "yellow", ready: "green" },
  ...{ draining: "yellow", stopping: "yellow", failed: "red" },
};

interface Told {
  readonly at: string;
  readonly zone: string;
  readonly terminal: Terminal;
}

function listText(items: readonly ContainerStatus[], { at, zone, terminal }: Told): string {
  if (items.length === 0)
    return "no container is watched: give an upstream a `container` in the policy (docs/containers.md)";
  const rows = items.map((one): readonly Cell[] => [
    one.upstream,
    { text: one.state, style: STYLE[one.state] },
    one.live_since === null ? "-" : `${moment(one.live_since, zone)} (${lasted(since(one.live_since, at))})`,
    one.price,
    one.idle_usd_per_hour,
    String(one.in_flight),
    String(one.waiting),
    `${one.starts_seen === 0 ? "about " : ""}${elapsed(one.start_up_us)}`,
    one.busy_share === null ? "-" : `${Math.round(one.busy_share * 100)} %`,
  ]);
  const whys = items.flatMap(({ upstream, why, seen_at }) => {
    if (why === null) return [];
    const age = seen_at === null ? "never seen" : `last seen ${lasted(since(seen_at, at))} ago`;
    return [`${upstream}: ${why} (${age})`];
  });
  const machines = new Map(
    items.flatMap(({ machine }) => (machine === null ? [] : [[machine.name, machine]])),
  );
  const hosts = [...machines.values()].flatMap((machine) => machineLines(machine, { at, zone, terminal }));
  const doubts = items.flatMap(({ upstream, idle_warning: doubt }) =>
    doubt === null ? [] : [`${upstream}: ${doubt}`],
  );
  const notes = items.flatMap(({ upstream, note }) => (note === null ? [] : [`${upstream}: ${note}`]));
  return [table(terminal.out, COLUMNS, rows), ...whys, ...notes, ...hosts, ...doubts].join("\n");
}

/** "machine gpu-pool: ready, i-0a1 since … (2 h), needed: flux-aws is ready" */
function machineLines(machine: MachineStatus, { at, zone }: Told): readonly string[] {
  const { name, state, instances, needed_by: needs, why, scaled_by_others: rival } = machine;
  const each = instances.map(
    ({ id, since: from }) => `${id} since ${moment(from, zone)} (${lasted(since(from, at))})`,
  );
  const costs =
    instances.length > 1 ? ` (${instances.length} instances: it costs ${instances.length} times)` : "";
  const needed =
    instances.length === 0 ? "" : `, ${needs.length === 0 ? "nobody needs it" : needs.join(", ")}`;
  return [
    `machine ${name}: ${[state, ...each].join(", ")}${costs}${needed}`,
    ...(why === null ? [] : [`machine ${name}: ${why}`]),
    ...(rival === null ? [] : [`machine ${name}: ${rival}`]),
  ];
}

function since(instant: string, at: string): number {
  return Math.max(0, Math.round((Date.parse(at) - Date.parse(instant)) * 1000));
}

function orderedText({ upstream, state, in_flight, machine }: ContainerStatus): string {
  if (state === "draining") return `${upstream} is stopped once the ${in_flight} requests that run there end`;
  const isStopping = state === "stopping" || state === "off";
  if (machine === null || !isStopping) return `${upstream} is ${state}`;
  const others = machine.needed_by.filter((who) => !who.startsWith(`${upstream} `));
  const then = others.length === 0 ? "is turned off when it has stopped" : `stays: ${others.join(", ")}`;
  return `${upstream} is ${state}; its machine ${machine.name} ${then}`;
}
