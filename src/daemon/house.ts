// The house as the admin surface sees it: made of the policy in force, the accounts, the ledger's reader
// and the running requests. It decides nothing of its own.

import { createHash, randomBytes } from "node:crypto";
import type {
  EstimateAsked,
  House,
  ModeSwitch,
  RequestsAsked,
  SpendAsked,
  SpendFound,
  Sums,
  TokenMade,
} from "../admin/house.ts";
import type { Containers } from "../cloud/containers.ts";
import type { Fleet } from "../cloud/fleet.ts";
import type { LocalAccounts } from "../ledger/accounts.ts";
import type { LedgerClock } from "../ledger/clock.ts";
import type { LedgerReader } from "../ledger/reader.ts";
import type { SqliteStore } from "../ledger/sqlite.ts";
import { ZERO_USD } from "../metering/money.ts";
import { type Period, periodOf } from "../metering/period.ts";
import { durationUs, type Instant, later } from "../metering/time.ts";
import { decide } from "../policy/decide.ts";
import { fallbackFor } from "../policy/degrade.ts";
import { describePrice } from "../policy/explain.ts";
import type { Learning } from "../policy/learning.ts";
import type { Budget, Mode, Model, Role } from "../policy/policy.ts";
import type { Labels, Task } from "../policy/task.ts";
import type { Running } from "../proxy/running.ts";
import { newTaskId } from "../proxy/task-id.ts";
import type { Alerts } from "./alerts.ts";
import { billedMachines } from "./billed-machines.ts";
import { budgetStates } from "./budget-states.ts";
import type { ByHand } from "./by-hand.ts";
import { containerRows, type RowParts } from "./container-rows.ts";
import type { CredentialCheck } from "./credential-check.ts";
import type { DataPlane } from "./data-plane.ts";
import { explainBudget } from "./explain-budget.ts";
import type { InForce } from "./in-force.ts";
import type { LeaseCheck } from "./lease-check.ts";
import { acceptClock, clockState } from "./ledger-time.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Listening } from "./options.ts";
import type { PolicyParser } from "./policy-parser.ts";
import type { PriceDesk } from "./price-desk.ts";
import { requestRecord, requestRow } from "./records.ts";
import { SPENDING, type Spending, turnOf } from "./spending.ts";
import type { Tokens } from "./tokens.ts";

export interface HouseParts {
  readonly version: string;
  readonly policyPath: string;
  readonly parser: PolicyParser;
  readonly startedAt: Instant;
  readonly inForce: InForce;
  readonly accounts: LocalAccounts;
  readonly clock: LedgerClock;
  readonly store: SqliteStore;
  readonly reader: LedgerReader;
  readonly learning: Learning;
  readonly fleet: Fleet;
  readonly containers: Pick<Containers, "list" | "glance">;
  readonly lifecycle: RowParts["lifecycle"] & Pick<Lifecycle, "order">;
  readonly leases: Pick<LeaseCheck, "found">;
  readonly running: Running;
  readonly plane: Pick<DataPlane, "waiting" | "placeOf" | "turn">;
  readonly tokens: Tokens;
  readonly spending: Spending;
  readonly alerts: Pick<Alerts, "list" | "acknowledge">;
  readonly credentials: Pick<CredentialCheck, "state" | "check">;
  readonly prices: Pick<PriceDesk, "book" | "update">;
  readonly byHand: Pick<ByHand, "edits" | "allocations">;
  listeners(): readonly Listening[];
  now(): Instant;
  /** True while the daemon stops. */
  isStopping(): boolean;
}

export function makeHouse(parts: HouseParts): House {
  const { inForce, reader } = parts;
  return {
    status: () => status(parts),
    ready: () => ready(parts),
    policy: () => ({
      path: parts.policyPath,
      policy: inForce.file.policy,
      text: inForce.file.text,
      loadedAt: inForce.loadedAt,
      problems: inForce.problems,
    }),
    check: async (text) => {
      const read = await parts.parser.parse(text);
      if (read.kind === "problems") return { problems: read.problems, notes: [] };
      return { problems: [], notes: read.read.policy.notes };
    },
    mode: () => modeOf(inForce),
    setMode: (mode) => setMode(parts, mode),
    explainBudget: (budget) => explained(parts, budget),
    clock: () => clockState(parts),
    acceptClock: (by) => acceptClock(parts, by),
    credentials: () => parts.credentials.state(),
    checkCredentials: () => parts.credentials.check(),
    stopped: () => parts.spending.stopped,
    spendingTurns: async (limit) => (await reader.turns(SPENDING, limit)).map(turnOf),
    stopSpending: (asked) => parts.spending.stop(asked),
    resumeSpending: (by) => parts.spending.resume(by),
    spend: (query) => spend(parts, query),
    requests: (query) => requests(reader, query),
    request: async (id) => {
      const found = await reader.record(id);
      return found === undefined ? undefined : requestRecord(found, parts.plane.placeOf(found.id));
    },
    estimate: async (asked) => estimate(parts, asked),
    estimateErrors: () => parts.learning.errors(parts.now()),
    cancel: (id) => parts.running.cancel(id, "by an operator"),
    alerts: (query) => parts.alerts.list(query),
    acknowledgeAlert: (id, by) => parts.alerts.acknowledge(id, by),
    containers: () => containerRows(parts),
    machines: () => billedMachines(parts),
    glance: () => parts.containers.glance(),
    leaseImbalance: () => parts.leases.found,
    orderContainer: (command, id) => parts.lifecycle.order(command, id),
    prices: () => parts.prices.book(),
    updatePrices: (sources) => parts.prices.update(sources),
    createToken: (id, role) => createToken(parts, id, role),
  };
}

function status(parts: HouseParts) {
  const { inForce, fleet, plane } = parts;
  const { policy } = inForce;
  const at = parts.now();
  return {
    version: parts.version,
    at,
    startedAt: parts.startedAt,
    inFlight: parts.running.size,
    waiting: plane.waiting(),
    isFolding: parts.accounts.folding.isUnderWay,
    listeners: parts.listeners(),
    budgets: budgetStates(policy, parts.accounts.book, at, parts.accounts.folding.gaps),
    upstreams: [...policy.upstreams.values()].map((upstream) => {
      const { state, inFlight, ejectedFor, hindrance } = fleet.view(upstream);
      return {
        id: upstream.id,
        provider: upstream.provider,
        models: [...policy.models.values()]
          .filter((model) => model.upstreams.includes(upstream.id))
          .map(({ id }) => id),
        price: describePrice(upstream.price),
        state,
        inFlight,
        concurrency: upstream.concurrency,
        waiting: plane.waiting(upstream.id),
        ejectedUntil: ejectedFor === undefined ? undefined : later(at, ejectedFor),
        hindrance,
      };
    }),
  };
}

function ready({ accounts, isStopping }: HouseParts) {
  if (isStopping()) return { ready: false, why: "the gateway is stopping" } as const;
  if (accounts.outbox.kept > 0)
    return { ready: false, why: "the ledger cannot be written: see the log" } as const;
  return { ready: true } as const;
}

function explained(parts: HouseParts, budget: Budget) {
  const { inForce, accounts, reader, now } = parts;
  const { policy } = inForce;
  const at = now();
  const states = budgetStates(policy, accounts.book, at).filter((one) => one.budget.id === budget.id);
  const ask = (model: Model, labels: Labels) => decided(parts, model, { ...ONE_IMAGE, labels });
  const { edits, allocations } = parts.byHand;
  const hand = { raises: edits.raises, allocations: allocations.list() };
  return explainBudget({ policy, reader, at, states, ...hand, decide: ask }, budget);
}

const ONE_IMAGE = {
  ...{ images: 1, width: undefined, height: undefined, steps: undefined, maxTokens: undefined },
  ...{ provider: undefined, gpuTier: undefined },
};

function modeOf(inForce: InForce): ModeSwitch {
  return {
    inForce: inForce.policy.mode,
    policyMode: inForce.file.policy.mode,
    switchedAt: inForce.modeSwitch?.at,
  };
}

/** Durable before it counts: a restart must not undo what an operator was told. */
async function setMode({ inForce, store, plane, now }: HouseParts, mode: Mode): Promise<ModeSwitch> {
  const at = now();
  const fileMode = inForce.file.policy.mode;
  const value = mode === fileMode ? "" : JSON.stringify({ mode, fileMode, at });
  await store.setSwitch("mode", value, "admin", at);
  inForce.switchMode(mode, at);
  plane.turn();
  return modeOf(inForce);
}

async function spend({ inForce, reader, now }: HouseParts, query: SpendAsked): Promise<SpendFound> {
  const { timezone } = inForce.policy;
  const period = currentPeriod(query.period, timezone, now());
  const asked = { from: period.start, to: period.end, where: query.where };
  const [totals, rows] = await Promise.all([
    reader.sums({ ...asked, by: "total" }),
    query.by === "total" ? [] : reader.sums({ ...asked, by: query.by }),
  ]);
  const total = totals[0] ?? NOTHING;
  return { period, timezone, total, rows: query.by === "total" ? [{ ...total, value: "total" }] : rows };
}

const NOTHING: Sums = {
  ...{ requests: 0, images: 0, elapsed: durationUs(0), amount: ZERO_USD },
  tokens: { input: 0, output: 0 },
};

function currentPeriod(kind: SpendAsked["period"], timezone: string, at: Instant): Period {
  return periodOf(kind === "today" ? "daily" : kind, timezone, 1, at);
}

async function requests(reader: LedgerReader, query: RequestsAsked) {
  const found = await reader.records({ limit: query.limit, before: query.before, where: query.where });
  return { rows: found.slice(0, query.limit).map(requestRow), more: found.length > query.limit };
}

function estimate(parts: HouseParts, asked: EstimateAsked) {
  const { models } = parts.inForce.policy;
  const model = models.get(asked.model);
  if (model === undefined) return { kind: "unknown_model", models: [...models.keys()] } as const;
  return decided(parts, model, asked);
}

/** On live balances, holding nothing. */
function decided(
  { inForce, fleet, accounts, learning, now }: HouseParts,
  model: Model,
  asked: Omit<EstimateAsked, "model">,
) {
  const { policy } = inForce;
  const task: Task = {
    id: newTaskId(),
    clientRequestId: undefined,
    at: now(),
    model: model.id,
    labels: asked.labels,
    provider: asked.provider,
    gpuTier: asked.gpuTier,
    work: {
      images: asked.images,
      width: asked.width,
      height: asked.height,
      steps: asked.steps,
      maxTokens: asked.maxTokens,
      bytes: undefined,
      stream: false,
      picture: { kind: "unseen" },
    },
  };
  const candidatesOf = (of: Model) => fleet.candidates(policy, of);
  const fallback = fallbackFor(policy, model, candidatesOf);
  const candidates = candidatesOf(model);
  return decide(
    { policy, model, task, candidates, fallback, unreachable: [], known: learning },
    accounts.view(),
  );
}

async function createToken(
  { inForce, store, tokens, now }: HouseParts,
  id: string,
  role: Role,
): Promise<TokenMade> {
  if (inForce.policy.clients.has(id) || tokens.has(id)) return { kind: "taken" };
  const token = `bg-${randomBytes(24).toString("hex")}`;
  const sha256 = createHash("sha256").update(token).digest("hex");
  const at = now();
  // Taken before it is written: a second call with the same id finds it, and nobody knows the token yet.
  tokens.add(sha256, { id, role });
  try {
    await store.addToken(sha256, id, role, at);
  } catch (error) {
    tokens.remove(sha256);
    throw error;
  }
  return { kind: "created", token, at };
}
