// Puts the house together: the only file that knows all the rooms. It opens them in an order in which each
// can refuse with a clear sentence, and closes them in one in which nothing is lost.

import "./temporal.ts";
import { join } from "node:path";
import { type Admin, createAdmin } from "../admin/admin.ts";
import type { OpenAddress } from "../admin/listener.ts";
import { Metrics } from "../admin/metrics.ts";
import type { Fleet } from "../cloud/fleet.ts";
import { POLICY } from "../ledger/policy-record.ts";
import type { Instant } from "../metering/time.ts";
import { formatNote } from "../policy/parse.ts";
import { parseAddress } from "../proxy/listen-address.ts";
import { Running } from "../proxy/running.ts";
import { Alerts } from "./alerts.ts";
import { type Books, openBooks } from "./books.ts";
import { type ByHand, openByHand } from "./by-hand.ts";
import type { Certificate } from "./certificate.ts";
import { type HouseContainers, openContainers } from "./containers.ts";
import type { CredentialCheck } from "./credential-check.ts";
import { type DataFolder, openDataFolder } from "./data-folder.ts";
import { DataPlane } from "./data-plane.ts";
import { checkExposure, TRUSTS_THE_PROXY } from "./exposure.ts";
import { makeFleet } from "./fleet-log.ts";
import { giveBackMemory, whenQuiet } from "./give-back.ts";
import { tuneHeap } from "./heap.ts";
import { makeHouse } from "./house.ts";
import { InForce, parseModeSwitch } from "./in-force.ts";
import { AccessLog, type Logger, makeLog } from "./log.ts";
import { makeNotifier } from "./notify.ts";
import type { Daemon, DaemonOptions, Started } from "./options.ts";
import { PeriodTurns } from "./period-turns.ts";
import { PolicyFile } from "./policy-file.ts";
import { PolicyParser } from "./policy-parser.ts";
import { makeParse, type ReadPolicy, readText, type Surroundings } from "./policy-text.ts";
import type { PriceDesk } from "./price-desk.ts";
import { openPrices } from "./price-room.ts";
import { Reload } from "./reload.ts";
import { ReloadRecord } from "./reload-record.ts";
import { SPENDING, Spending } from "./spending.ts";
import { openTechops } from "./techops-room.ts";
import { authenticator, Tokens } from "./tokens.ts";

export type { Daemon, DaemonOptions, Started } from "./options.ts";

/** Refuses in sentences, never by throwing, for whatever an operator can put right. */
export async function startDaemon(options: DaemonOptions): Promise<Started> {
  tuneHeap();
  const listen = parseAddress(options.listen);
  const admin = parseAddress(options.admin);
  if (listen === undefined) return refused(`--listen ${options.listen} is no address: write HOST:PORT`);
  if (admin === undefined) return refused(`--admin ${options.admin} is no address: write HOST:PORT`);
  if (isSame(listen, admin)) {
    return refused(`--listen and --admin are both ${options.admin}: give one of them another port`);
  }
  const log = makeLog(options.logLevel ?? "info", options.log);
  const exposure = checkExposure(options, [listen, admin], log);
  if (exposure.kind === "refused") return refused(exposure.why);
  const { certificate } = exposure;
  const own = [listen, admin].flatMap(({ hosts, port }) => hosts.map((host) => ({ host, port })));
  const surroundings: Surroundings = { path: options.policyPath, listen: own, data: options.dataPath };
  const found = readText(options.policyPath);
  const read = found.kind === "problems" ? found : makeParse(surroundings)(found.text);
  if (read.kind === "problems") {
    return refused(...read.problems.map((problem) => formatNote(options.policyPath, problem)));
  }
  const opened = openDataFolder(options.dataPath);
  if (opened.kind === "refused") return refused(opened.why);
  if (opened.folder.wasOpen)
    log.warn(`others could read the data folder ${options.dataPath}: now they cannot`);
  if (options.behindProxy === true && read.read.policy.identity === "trusted") log.warn(TRUSTS_THE_PROXY);
  const metrics = new Metrics();
  let books: Books;
  try {
    books = await openBooks(opened.folder.path, read.read.policy, metrics, log);
  } catch (error) {
    opened.folder.lock.release();
    return refused(`the ledger in ${options.dataPath} cannot be opened: ${messageOf(error)}`);
  }
  const parser = new PolicyParser(surroundings);
  const { folder } = opened;
  const parts: Parts = { options, parser, folder, books, metrics, log, read: read.read, certificate };
  return openRooms(parts, admin);
}

function isSame(one: AdminAddress, other: AdminAddress): boolean {
  return one.port !== 0 && one.port === other.port && one.hosts.some((host) => other.hosts.includes(host));
}

interface Parts {
  readonly options: DaemonOptions;
  readonly parser: PolicyParser;
  readonly folder: DataFolder;
  readonly books: Books;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly read: ReadPolicy;
  readonly certificate: Certificate | undefined;
}

async function openRooms(parts: Parts, at: AdminAddress): Promise<Started> {
  const { options, books, log, read } = parts;
  const now = () => books.clock.now();
  const stored = parseModeSwitch(books.stored.switches.get("mode"));
  const inForce = new InForce(read, stored, now());
  const rooms: Rooms = {
    ...parts,
    inForce,
    now,
    tokens: new Tokens(books.stored.tokens),
    fleet: makeFleet(log),
  };
  const accessLog = new AccessLog(options.accessLog);
  const running = new Running();
  const { listen, version } = options;
  const plane = new DataPlane({ ...rooms, running, accessLog, listen, version });
  const life: Life = { isStopping: false, reload: nothing, reprice: nothing };
  const { techops, credentials } = openTechops({ policy: () => inForce.policy, log, now });
  const { reader, accounts } = books;
  const nodes = openContainers({ ...rooms, ledger: accounts.containers, reader, plane, techops });
  const spending = openSpending(rooms, plane, running, nodes);
  const alerts = await Alerts.open({ ...rooms, policy: () => inForce.policy });
  const turns = new PeriodTurns({ log, now, policy: () => inForce.policy });
  books.hooks.onBeat = () => turns.look();
  const where = { path: options.policyPath, reload: () => life.reload() };
  const prices = openPrices({ ...rooms, alerts, techops, reprice: () => life.reprice() });
  const byHand = openByHand({ ...rooms, ...where, plane, alerts });
  await techops.watch();
  const served = { plane, running, spending, alerts, byHand, nodes, prices, credentials };
  const admin = openAdmin(rooms, served, life);
  const stopLooking = whenQuiet(running, giveBackMemory);
  const close = async (graceMs: number) => {
    life.isStopping = true;
    stopLooking();
    await plane.close(graceMs);
    await admin.close();
    parts.certificate?.close();
    for (const room of [nodes, techops, byHand.edits, prices, parts.parser, alerts, books])
      await room.close();
    accessLog.flush();
    parts.folder.lock.release();
  };
  nodes.containers.follow(inForce.policy);
  const problems = await plane.open();
  const listening = await admin.listen(at.hosts.map((host) => ({ host, port: at.port })));
  if (problems.length > 0 || listening.kind === "failed") {
    await close(0);
    return refused(...problems, ...(listening.kind === "failed" ? [listening.text] : []));
  }
  const endSwitch = () => books.store.setSwitch("mode", "", "policy file", now());
  if (stored !== undefined && inForce.modeSwitch === undefined) await endSwitch();
  const reload = openReload(rooms, { plane, alerts, nodes, prices }, endSwitch);
  const file = new PolicyFile(options.policyPath, read, parts.parser, reload, now);
  Object.assign(life, { reload: () => file.reload(), reprice: () => file.reprice() });
  parts.certificate?.watch();
  await file.watch();
  reload.welcome(read.policy);
  const url = urlOf(listening.addresses[0]);
  return { kind: "started", daemon: makeDaemon(rooms, { plane, file, byHand }, url, close) };
}

const nothing = async () => undefined;

/** What changes once the rooms are open. */
interface Life {
  isStopping: boolean;
  reload: () => Promise<void>;
  reprice: () => Promise<void>;
}

interface AdminAddress {
  readonly hosts: readonly string[];
  readonly port: number;
}

interface Rooms extends Parts {
  readonly inForce: InForce;
  readonly tokens: Tokens;
  readonly fleet: Fleet;
  now(): Instant;
}

function openSpending(
  { books, log, now }: Rooms,
  plane: DataPlane,
  running: Running,
  { containers: machines }: HouseContainers,
): Spending {
  const { accounts, store, stored } = books;
  const turn = () => plane.turn();
  const parts = { accounts, store, running, machines, log, now, turn };
  return new Spending(parts, stored.switches.get(SPENDING));
}

function openReload(
  rooms: Rooms,
  { nodes, ...told }: Pick<Served, "plane" | "alerts" | "nodes" | "prices">,
  endSwitch: () => Promise<void>,
): Reload {
  const { books, log, now } = rooms;
  const record = new ReloadRecord({ store: books.store, log, now }, books.stored.switches.get(POLICY));
  const { accounts } = books;
  const { containers } = nodes;
  const path = rooms.options.policyPath;
  return new Reload({ ...rooms, ...told, record, accounts, containers, path, endSwitch });
}

interface Served {
  readonly plane: DataPlane;
  readonly running: Running;
  readonly spending: Spending;
  readonly alerts: Alerts;
  readonly byHand: ByHand;
  readonly nodes: HouseContainers;
  readonly credentials: CredentialCheck;
  readonly prices: PriceDesk;
}

function openAdmin(rooms: Rooms, served: Served, life: Life): Admin {
  const { options, parser, books, inForce, tokens, metrics, log } = rooms;
  const house = makeHouse({
    ...rooms,
    ...served,
    version: options.version,
    startedAt: rooms.now(),
    accounts: books.accounts,
    clock: books.clock,
    store: books.store,
    reader: books.reader,
    learning: books.learning,
    policyPath: options.policyPath,
    parser,
    ...served.nodes,
    listeners: () => served.plane.listening(),
    isStopping: () => life.isStopping,
  });
  return createAdmin(house, {
    metrics,
    version: options.version,
    authenticate: authenticator(rooms.folder.adminToken, tokens, () => inForce.policy),
    tokenPath: join(rooms.folder.path, "admin-token"),
    anonymous: options.behindProxy === true ? "nobody" : "loopback",
    certificate: rooms.certificate,
    onBug: (error, where) => log.error({ err: error, where }, "the admin surface made a mistake"),
  });
}

function makeDaemon(
  { books, log, folder, inForce, options, read, certificate }: Rooms,
  { plane, file, byHand }: { plane: DataPlane; file: PolicyFile; byHand: ByHand },
  admin: string,
  close: (graceMs: number) => Promise<void>,
): Daemon {
  const notifier = makeNotifier(process.env, {
    trouble: () => (books.accounts.outbox.kept > 0 ? "the ledger cannot be written: see the log" : undefined),
    onError: (error) => log.warn({ err: error }, "systemd could not be told"),
  });
  giveBackMemory();
  log.info({ listening: plane.listening(), admin, policy: options.policyPath }, "ready");
  notifier.ready(`serving ${read.policy.models.size} models`);
  return {
    listening: plane.listening(),
    admin,
    adminToken: folder.adminToken,
    policy: () => inForce.policy,
    byHand,
    reload: () => {
      certificate?.renew();
      return file.reload();
    },
    stop: async (graceMs = DRAIN_MS) => {
      notifier.stopping();
      log.info("stopping: no new requests, those under way may end");
      await file.close();
      await close(graceMs);
      notifier.close();
    },
    died: books.died,
  };
}

function urlOf(address: OpenAddress | undefined): string {
  if (address === undefined) throw new Error("the admin surface listens nowhere");
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${address.scheme}://${host}:${address.port}`;
}

/** How long requests under way may take to end once the daemon stops; what runs longer is cut and charged. */
const DRAIN_MS = 30_000;

function refused(...lines: readonly string[]): Started {
  return { kind: "refused", lines };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
