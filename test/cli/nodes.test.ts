// `budgetguard nodes`: what people see of containers, and what becomes of their orders.

import test from "ava";
import type { ContainerRow } from "../../src/admin/container-row.ts";
import { hourlyRate } from "../../src/metering/money.ts";
import { type Instant, instantUs, seconds } from "../../src/metering/time.ts";
import { NOW } from "../admin/house-of-functions.ts";
import { asAdmin, daemon } from "./admin-daemon.ts";

const before = (minutes: number) => instantUs(NOW - minutes * 60_000_000) as Instant;

const up: ContainerRow = {
  ...{ upstream: "flux-local", provider: "local", state: "ready", url: "http://127.0.0.1:8000" },
  ...{ price: "0.50 USD/h, from the policy", idleRate: hourlyRate(40_000_000n), inFlight: 2 },
  ...{ liveSince: before(135), seenAt: before(0), why: undefined, waiting: 3 },
  ...{ startUp: seconds(95), starts: 4, busyShare: 0.256, note: undefined },
  ...{ idleSince: undefined, stopsAt: undefined },
};
const lost: ContainerRow = {
  ...{ ...up, upstream: "sdxl", state: "failed", liveSince: undefined, inFlight: 0, seenAt: before(7) },
  ...{ why: "container sdxl: no GPU is free", waiting: 0, starts: 0, busyShare: undefined },
};

test("A27: the list says what each does, since when it costs, and why one does not", async (t) => {
  const { run } = await daemon(t, { containers: () => [up, lost] });
  const { code, stdout } = await run("nodes list");
  t.is(code, 0);
  t.is(
    stdout.replace(/ +\n/g, "\n"),
    `upstream    state   live since                                      price                        idle usd/h  in flight  waiting    start-up  busy
flux-local  ready   2026-11-22 09:00:00 Europe/Berlin (2 h 15 min)  0.50 USD/h, from the policy        0.04          2        3        95 s  26 %
sdxl        failed  -                                               0.50 USD/h, from the policy        0.04          0        0  about 95 s     -
sdxl: container sdxl: no GPU is free (last seen 7 min ago)
`,
  );
  const { items } = JSON.parse((await run("nodes list --json")).stdout) as { items: object[] };
  t.like(items[0], {
    upstream: "flux-local",
    state: "ready",
    live_since: "2026-11-22T08:00:00.000001Z",
    in_flight: 2,
  });
  t.like(items[1], { live_since: null, why: "container sdxl: no GPU is free" });
});

const pooled: ContainerRow = {
  ...{ ...up, upstream: "flux-aws", provider: "aws" },
  idleDoubt: "0.04 USD/h while unused is 25 times less than it costs",
  machine: {
    ...{ name: "gpu-pool", state: "ready", wanted: 2, seenAt: before(0), why: undefined },
    instances: [
      { id: "i-1", since: before(60), isStopping: false },
      { id: "i-2", since: before(30), isStopping: false },
    ],
    needs: ["sdxl is ready"],
    scaledByOthers: "its MinSize is 1: set it to 0",
  },
};

test("a machine is told of once: each instance, what it costs, who keeps it, and who else scales it", async (t) => {
  const { run } = await daemon(t, {
    containers: () => [pooled, { ...pooled, upstream: "sdxl", idleDoubt: undefined }],
  });
  const { stdout } = await run("nodes list");
  t.is(stdout.match(/^machine gpu-pool: ready/gm)?.length, 1);
  t.regex(stdout, /^machine gpu-pool: ready, i-1 since [^,]*\(1 h 0 min\), i-2 since [^,]*\(30 min\)/m);
  t.regex(stdout, /\(2 instances: it costs 2 times\), sdxl is ready$/m);
  t.regex(stdout, /^machine gpu-pool: its MinSize is 1: set it to 0$/m);
  t.regex(stdout, /^flux-aws: 0\.04 USD\/h while unused is 25 times less/m);
  const { items } = JSON.parse((await run("nodes list --json")).stdout) as { items: object[] };
  t.like(items[0], {
    idle_warning: pooled.idleDoubt,
    machine: { name: "gpu-pool", wanted: 2, needed_by: ["sdxl is ready"], why: null },
  });
});

test("a stop says what becomes of the machine", async (t) => {
  let row: ContainerRow = { ...pooled, state: "stopping" };
  const orderContainer = async () => ({ kind: "ordered" as const });
  const { run } = await daemon(t, { containers: () => [row], orderContainer });
  const stop = async () => (await run("nodes stop flux-aws", asAdmin)).stdout;
  t.is(await stop(), "flux-aws is stopping; its machine gpu-pool stays: sdxl is ready\n");
  row = { ...row, machine: row.machine && { ...row.machine, needs: ["flux-aws is stopping"] } };
  t.is(await stop(), "flux-aws is stopping; its machine gpu-pool is turned off when it has stopped\n");
});

test("A08: an order that no credentials are there for says so, with its own code", async (t) => {
  const why = "no credentials of AWS were found: write providers.aws.credentials";
  const { run } = await daemon(t, {
    containers: () => [pooled],
    orderContainer: async () => ({ kind: "refused", why, trouble: "unauthenticated" }),
  });
  const refused = await run("nodes start flux-aws", asAdmin);
  t.is(refused.code, 1);
  t.regex(refused.stderr, /no credentials of AWS were found/);
});

test("without any it says how to have one", async (t) => {
  const { run } = await daemon(t, { containers: () => [] });
  t.regex((await run("nodes list")).stdout, /^no container is watched: give an upstream a `container`/);
});

test("an order needs an operator, is passed on, and says what becomes of it", async (t) => {
  const orders: string[] = [];
  const orderContainer = async (command: string, upstream: string) => {
    orders.push(`${command} ${upstream}`);
    return { kind: "ordered" as const };
  };
  let row = up;
  const { run } = await daemon(t, { containers: () => [row], orderContainer });
  t.is((await run("nodes stop flux-local")).code, 1);
  t.deepEqual(orders, []);
  row = { ...up, state: "draining" };
  t.deepEqual(await run("nodes stop flux-local", asAdmin), {
    code: 0,
    stdout: "flux-local is stopped once the 2 requests that run there end\n",
    stderr: "",
  });
  row = { ...up, state: "starting" };
  const operator = { environment: { BUDGETGUARD_TOKEN: "operator-token" } };
  t.is((await run("nodes start flux-local", operator)).stdout, "flux-local is starting\n");
  t.deepEqual(orders, ["stop flux-local", "start flux-local"]);
});

test("an order that cannot be is refused with what is so, or with the names that there are", async (t) => {
  const { run } = await daemon(t, {
    containers: () => [up, lost],
    orderContainer: async (_command, upstream) =>
      upstream === "flux-local" ? { kind: "refused", why: "it is ready: nothing to start" } : undefined,
  });
  const refused = await run("nodes start flux-local", asAdmin);
  t.is(refused.code, 1);
  t.regex(refused.stderr, /it is ready: nothing to start/);
  const unknown = await run("nodes start flux", asAdmin);
  t.is(unknown.code, 1);
  t.regex(unknown.stderr, /no container of this upstream is watched; those that are: flux-local, sdxl/);
});
