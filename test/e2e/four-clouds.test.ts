// One policy with a container at each of Docker, ECS, AKS and GKE, and the gateway as a process of its own, by
// the clouds' own clients: woken once for fifty, served, charged with the start, off after idling, and the
// ledger to the nano-dollar; the same where the gateway is killed in the middle of everything.

import test, { type ExecutionContext } from "ava";
import { verify } from "../../src/ledger/verify.ts";
import type { ContainerStatus } from "../../src/sdk/containers.ts";
import { cli } from "../support/cli.ts";
import { type FourClouds, fourClouds, type Orders, type Site } from "../support/clouds/four-clouds.ts";
import { ask, eventually, imageBody, type Reply } from "../support/gateway-client.ts";
import { type GatewayProcess, spawnGateway } from "../support/gateway-process.ts";
import { onDisk, rows } from "../support/ledger.ts";

const lifecycle = (idle: string) => `{ wake: on_request, stop_after_idle: ${idle}, startup_estimate: 5s }`;
const STAYS = lifecycle("30m");
/** For half an hour: the gateway's own clock is this machine's. */
const STOPS = lifecycle("2s");
const CROWD = 50;
/** A machine waits 20 s for whoever comes back. */
const PATIENCE_MS = 150_000;
/** In nano-dollars an hour. */
const PRICES = { docker: 770_000_000n, ecs: 1_006_000_000n, aks: 526_000_000n, gke: 3_600_000_000n } as const;
/** In microseconds. */
const LEAST = { docker: 0n, ecs: 120_000_000n, aks: 0n, gke: 60_000_000n } as const;

test("woken once for fifty, served, charged with the start, off after idling: to the nano-dollar", async (t) => {
  t.timeout(400_000);
  const clouds = await fourClouds(t, STAYS);
  const { sites } = clouds;
  const gateway = await lives(t, clouds);
  await all(gateway, clouds, "off");
  const asked = crowds(gateway, clouds);
  await ordered(clouds, "start", 1);
  await nodes(gateway, "all fifty wait", (one) => one.waiting === CROWD && one.state === "starting");
  for (const site of sites) site.boot();
  await nodes(gateway, "each machine costs", costs);
  for (const site of sites) site.serve();
  for (const [name, replies] of await asked) {
    t.deepEqual([...new Set(replies.map(({ status }) => status))], [200], name);
    t.true(
      replies.every(({ headers }) => Number(headers["x-budgetguard-waited-seconds"]) > 0),
      name,
    );
  }
  await all(gateway, clouds, "ready");
  for (const { name, nim, orders } of sites) {
    t.is(nim.requests.length, CROWD, name);
    t.like(orders(), { start: 1, stop: 0 }, name);
  }
  clouds.save(STOPS);
  await ordered(clouds, "stop", 1);
  await nodes(gateway, "each stops", ({ state }) => state === "stopping");
  await end(t, gateway, clouds);
  for (const site of sites) {
    t.deepEqual(site.orders(), onceEach(site), site.name);
    const kinds = kindsOf(clouds, site);
    t.true(kinds.startup > 0n && kinds.settled > 0n && kinds.idle > 0n, JSON.stringify(kinds, text));
    const waited = `SELECT count(DISTINCT request) AS n FROM entries WHERE kind = 'startup' AND upstream = '${site.name}' AND amount > 0`;
    t.is(
      rows(clouds.folder.dataPath, waited)[0]?.n as bigint,
      BigInt(CROWD),
      `${site.name}: all share the start`,
    );
  }
});

test("killed while it starts, while fifty wait, run, idle and stop: still once, and to the nano-dollar", async (t) => {
  t.timeout(400_000);
  const clouds = await fourClouds(t, STAYS);
  const { sites } = clouds;
  const first = await lives(t, clouds);
  await all(first, clouds, "off");
  void crowds(first, clouds);
  await ordered(clouds, "start", 1);
  await killed(t, first, clouds);

  const second = await lives(t, clouds);
  await all(second, clouds, "starting");
  void crowds(second, clouds);
  await nodes(second, "all fifty wait", ({ waiting }) => waiting === CROWD);
  for (const site of sites) site.boot();
  await nodes(second, "each machine costs", costs);
  await killed(t, second, clouds);

  const third = await lives(t, clouds);
  await all(third, clouds, "starting");
  const asked = crowds(third, clouds);
  await nodes(third, "all fifty wait", ({ waiting }) => waiting === CROWD);
  for (const site of sites) site.serve();
  for (const [name, replies] of await asked)
    t.deepEqual([...new Set(replies.map(({ status }) => status))], [200], name);
  for (const { nim } of sites) nim.fault = { kind: "slow_head", ms: 60_000 };
  void crowds(third, clouds);
  await nodes(third, "all fifty run", (one) => one.in_flight === CROWD);
  await killed(t, third, clouds);
  for (const { nim } of sites) nim.fault = undefined;

  const fourth = await lives(t, clouds);
  await all(fourth, clouds, "ready");
  await killed(t, fourth, clouds);

  clouds.save(STOPS);
  const fifth = await lives(t, clouds);
  await ordered(clouds, "stop", 1);
  await nodes(fifth, "each stops", ({ state }) => state === "stopping");
  await killed(t, fifth, clouds);

  const sixth = await lives(t, clouds);
  await end(t, sixth, clouds);
  for (const site of sites) {
    const { raise, start } = site.orders();
    t.deepEqual({ raise, start }, { raise: onceEach(site).raise, start: 1 }, site.name);
    const kinds = kindsOf(clouds, site);
    t.true(kinds.startup > 0n && kinds.settled > 0n && kinds.gap > 0n, JSON.stringify(kinds, text));
  }
});

test("nodes list, start and stop show and do it at each of the four", async (t) => {
  t.timeout(400_000);
  const clouds = await fourClouds(t, "{ wake: never }");
  const { sites } = clouds;
  const gateway = await lives(t, clouds);
  const run = async (...args: readonly string[]) => {
    const { admin, adminToken: token } = gateway;
    const environment = { BUDGETGUARD_ADMIN: new URL(admin).host, BUDGETGUARD_TOKEN: token };
    const { code, stdout, stderr } = await cli(["nodes", ...args], { environment });
    t.is(code, 0, stderr);
    return stdout;
  };
  const listed = async () => {
    const lines = (await run("list")).split("\n").map((line) => line.split(/ {2,}/));
    return sites.map(({ name }) => lines.find(([first]) => first === name)?.[1]);
  };
  const four = (state: string) => [state, state, state, state];
  const each = (order: string) => Promise.all(sites.map(({ name }) => run(order, name)));
  await all(gateway, clouds, "off");
  t.deepEqual(await listed(), four("off"));
  t.deepEqual(
    await each("start"),
    sites.map(({ name }) => `${name} is starting\n`),
  );
  t.deepEqual(await listed(), four("starting"));
  for (const site of sites) site.boot();
  await nodes(gateway, "each machine costs", costs);
  for (const site of sites) site.serve();
  await all(gateway, clouds, "ready");
  t.deepEqual(await listed(), four("ready"));
  t.regex(await run("list"), /\nmachine ecs-pool: ready, i-0\w+ since .*, ecs is ready\n/);
  for (const [at, told] of (await each("stop")).entries()) {
    const { name } = sites[at] as Site;
    t.regex(told, new RegExp(`^${name} is stopping(; its machine .* is turned off when it has stopped)?\n$`));
  }
  t.deepEqual(await listed(), four("stopping"));
  await end(t, gateway, clouds);
  t.deepEqual(await listed(), four("off"));
  for (const site of sites) t.deepEqual(site.orders(), onceEach(site), site.name);
});

function costs({ live_since: since, machine }: ContainerStatus): boolean {
  return machine === null ? since !== null : machine.instances.length === 1;
}

/** What is on disk then adds up, before anybody has put anything right. */
async function killed(t: ExecutionContext, gateway: GatewayProcess, { folder }: FourClouds): Promise<void> {
  gateway.signal("SIGKILL");
  await gateway.ended;
  t.deepEqual(findings(folder.dataPath), []);
}

async function lives(t: ExecutionContext, { folder, environment }: FourClouds): Promise<GatewayProcess> {
  const gateway = await spawnGateway(folder, { environment });
  t.teardown(() => gateway.signal("SIGKILL"));
  return gateway;
}

/** Fifty requests for each container at once. */
function crowds(
  { url }: GatewayProcess,
  { sites }: FourClouds,
): Promise<readonly (readonly [string, Reply[]])[]> {
  const infer = (name: string) => ask(`${url}/m/on-${name}/v1/infer`, { body: imageBody() });
  return Promise.all(
    sites.map(
      async ({ name }) =>
        [name, await Promise.all(Array.from({ length: CROWD }, () => infer(name)))] as const,
    ),
  );
}

async function nodes(
  { client }: GatewayProcess,
  what: string,
  isSo: (one: ContainerStatus) => boolean,
): Promise<readonly ContainerStatus[]> {
  let items: readonly ContainerStatus[] = [];
  const look = async () => {
    ({ items } = await client.containers());
    return items.length === 4 && items.every(isSo);
  };
  await eventually(what, look, PATIENCE_MS).catch((error) => {
    throw new Error(`${error}: ${JSON.stringify(items.filter((one) => !isSo(one)))}`);
  });
  return items;
}

function all(gateway: GatewayProcess, _: FourClouds, state: ContainerStatus["state"]) {
  return nodes(gateway, `all are ${state}`, (one) => one.state === state);
}

async function ordered({ sites }: FourClouds, order: keyof Orders, times: number): Promise<void> {
  const concerned = sites.filter((site) => onceEach(site)[order] > 0);
  await eventually(
    `${order} has come to each provider`,
    () => concerned.every(({ orders }) => orders()[order] >= times),
    PATIENCE_MS,
  );
}

/** Docker's host is nobody's to turn off. */
function onceEach({ name }: Site): Orders {
  const own = name === "docker" ? 0 : 1;
  return { raise: own, start: 1, stop: 1, lower: own };
}

/** They were told to stop: their containers end, then their machines, and the ledger has what their providers bill. */
async function end(t: ExecutionContext, gateway: GatewayProcess, clouds: FourClouds): Promise<void> {
  for (const site of clouds.sites) site.halt();
  await all(gateway, clouds, "off");
  await ordered(clouds, "lower", 1);
  for (const site of clouds.sites) site.leave();
  await nodes(gateway, "each machine is off", ({ machine }) => machine === null || machine.state === "off");
  const data = clouds.folder.dataPath;
  await eventually("every lease is over", () =>
    rows(data, "SELECT is_over FROM containers").every((row) => row.is_over === 1n),
  );
  t.deepEqual(findings(data), []);
  for (const site of clouds.sites) bills(t, clouds, site);
}

function findings(data: string) {
  return onDisk(data, verify).checks.flatMap((one) => one.findings.map((each) => JSON.stringify(each, text)));
}

/** One lease, from its provider's start to its provider's end, and what it has cost: all of it, and no more. */
function bills(t: ExecutionContext, clouds: FourClouds, site: Site): void {
  const { name } = site;
  const leases = rows(clouds.folder.dataPath, "SELECT key, state FROM containers").map((row) =>
    JSON.parse(String(row.state)),
  );
  const own = leases.filter(({ machines }) => machines.includes(name === "ecs" ? "ecs-pool" : name));
  t.is(own.length, 1, `${name} has one lease`);
  const { start, t: until } = own[0].state as { start: number; t: number };
  t.is(start, site.since(), `${name} begins with its provider`);
  const { at, isExact } = site.ended();
  if (isExact) t.is(until, at, `${name} ends with its provider`);
  else t.true(until >= at && until - at < 10_000_000, `${name} ended at ${at}, its lease at ${until}`);
  const length = BigInt(until - start);
  const short = LEAST[name] > length ? LEAST[name] - length : 0n;
  const price = (time: bigint) => (PRICES[name] * time) / 3_600_000_000n;
  const kinds = kindsOf(clouds, site);
  const sum = Object.values(kinds).reduce<bigint>((so, one) => so + one, 0n);
  t.is(sum, price(length) + price(short), `${name}: ${JSON.stringify(kinds, text)}`);
  t.is(kinds.minimum, price(short), name);
}

function kindsOf({ folder }: FourClouds, { name }: Site): Record<Kind, bigint> {
  const kinds = { startup: 0n, settled: 0n, idle: 0n, gap: 0n, minimum: 0n, adjusted: 0n };
  const sql = `SELECT kind, sum(amount) AS sum FROM entries
    WHERE machine = '${name === "ecs" ? "ecs-pool" : name}' AND kind NOT IN ('reserved', 'extended', 'released') GROUP BY kind`;
  return {
    ...kinds,
    ...Object.fromEntries(rows(folder.dataPath, sql).map(({ kind, sum }) => [kind, sum as bigint])),
  };
}

type Kind = "startup" | "settled" | "idle" | "gap" | "minimum" | "adjusted";

function text(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}
