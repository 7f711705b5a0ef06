// npm run bench -- --decision: what a decision with its reservation costs as policies grow. Policies are built
// in memory and the disk answers at once, so that what is measured is the looking, judging and holding alone.

import { NOTHING_KNOWN } from "../src/policy/expect.ts";
import "../src/daemon/temporal.ts";
import { makeParse } from "../src/daemon/policy-text.ts";
import { EPOCH, later, SECOND } from "../src/metering/time.ts";
import { decide } from "../src/policy/decide.ts";
import type { Budget, Policy, Scope } from "../src/policy/policy.ts";
import type { Task, Work } from "../src/policy/task.ts";
import { openAccounts } from "./accounts.ts";
import { median } from "./figures.ts";

export interface Size {
  readonly budgets: number;
  readonly upstreams: number;
  /** How many of them serve the model that is asked for. */
  readonly serving: number;
  /** Balances that a `per: user` budget has by then. */
  readonly balances: number;
}

export interface DecisionCost extends Size {
  /** Budgets that cover each request. */
  readonly covering: number;
  readonly p50: number;
  readonly p99: number;
}

/** The first is the one of the target. */
export const SIZES: readonly Size[] = [
  { budgets: 1_000, upstreams: 200, serving: 8, balances: 1_000 },
  { budgets: 10, upstreams: 200, serving: 8, balances: 10 },
  { budgets: 100, upstreams: 200, serving: 8, balances: 100 },
  { budgets: 10_000, upstreams: 200, serving: 8, balances: 10_000 },
  { budgets: 1_000, upstreams: 200, serving: 8, balances: 100_000 },
  { budgets: 1_000, upstreams: 200, serving: 1, balances: 1_000 },
  { budgets: 1_000, upstreams: 200, serving: 50, balances: 1_000 },
  { budgets: 1_000, upstreams: 200, serving: 200, balances: 1_000 },
];
export const TARGET_US = 50;

const ROUNDS = 5;
const MODEL = "asked";

/** In microseconds: medians over rounds in which all sizes take turns, after one that is thrown away. */
export async function measureDecisions(
  sizes: readonly Size[] = SIZES,
  calls = 2_000,
): Promise<readonly DecisionCost[]> {
  const rigs = await Promise.all(sizes.map(openRig));
  const rounds: { p50: number; p99: number }[][] = sizes.map(() => []);
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [index, rig] of rigs.entries()) {
      const found = await timed(rig, calls);
      if (round > 0) rounds[index]?.push(found);
    }
  }
  return sizes.map((size, index) => ({
    ...size,
    covering: rigs[index]?.covering ?? 0,
    p50: median(rounds[index]?.map(({ p50 }) => p50) ?? []),
    p99: median(rounds[index]?.map(({ p99 }) => p99) ?? []),
  }));
}

export function decisionsText(costs: readonly DecisionCost[]): string {
  const columns = ["budgets", "covering", "balances", "upstreams", "serving", "p50 us", "p99 us"];
  const row = (cells: readonly string[]) => cells.map((cell) => cell.padStart(10)).join("");
  const [target] = costs;
  return [
    `a decision with its reservation, medians of ${ROUNDS} rounds, Node ${process.version}`,
    row(columns),
    ...costs.map((cost) =>
      row([
        ...[cost.budgets, cost.covering, cost.balances, cost.upstreams, cost.serving].map(String),
        ...[cost.p50, cost.p99].map((us) => us.toFixed(1)),
      ]),
    ),
    `must: ${TARGET_US} us at p50 in the first row: ${target !== undefined && target.p50 <= TARGET_US ? "yes" : "no"}`,
  ].join("\n");
}

interface Rig {
  readonly covering: number;
  /** Decides and holds; the returned call gives it back. */
  run(call: number): Promise<() => Promise<void>>;
}

async function openRig({ budgets, upstreams, serving, balances }: Size): Promise<Rig> {
  const policy = policyOf(budgets, upstreams, serving);
  const accounts = await openAccounts(policy);
  const model = policy.models.get(MODEL);
  if (model === undefined) throw new Error("the bench's policy lacks its own model");
  const candidates = model.upstreams.flatMap((id) => policy.upstreams.get(id) ?? []);
  const admit = async (call: number) => {
    const task = taskOf(call, balances);
    // As the fleet does, the candidates are made for each decision.
    const admission = await accounts.admit(task, (view) =>
      decide(
        {
          ...{ policy, model, task, unreachable: [], known: NOTHING_KNOWN },
          candidates: candidates.map((upstream) => ({ upstream, inFlight: 0 })),
        },
        view,
      ),
    );
    if (admission.kind !== "admitted")
      throw new Error(`the bench's request was not admitted: ${admission.kind}`);
    return admission;
  };
  // So that every balance is there.
  let covering = 0;
  for (let call = 0; call < balances; call += 1) {
    const { reservation, decision } = await admit(call);
    covering = decision.claims.length;
    reservation.begin();
    reservation.stop();
    await reservation.settle({ outcome: "relayed", status: 200, tokens: undefined });
  }
  return {
    covering,
    run: async (call) => {
      const { reservation } = await admit(call);
      return () => reservation.release("over");
    },
  };
}

async function timed({ run }: Rig, calls: number): Promise<{ p50: number; p99: number }> {
  const took: number[] = [];
  for (let call = 0; call < calls; call += 1) {
    // A prime, so that users come in no order.
    const before = process.hrtime.bigint();
    const release = await run(call * 7_919);
    took.push(Number(process.hrtime.bigint() - before) / 1000);
    await release();
  }
  took.sort((a, b) => a - b);
  return { p50: took[calls >> 1] ?? 0, p99: took[Math.floor(calls * 0.99)] ?? 0 };
}

const WORK: Work = {
  ...{ width: 1024, height: 1024, steps: 50, images: 1, bytes: 140, maxTokens: undefined, stream: false },
  picture: { kind: "unseen" },
};

function taskOf(call: number, users: number): Task {
  const labels = {
    ...{ user: `user-${call % users}`, workflow: `workflow-${call % 50}`, project: `project-${call % 10}` },
    ...{ session: undefined, task: undefined, node: undefined, tag: undefined },
  };
  return {
    ...{ id: `r-${call}`, clientRequestId: undefined, at: later(EPOCH, SECOND), model: MODEL, labels },
    ...{ provider: undefined, gpuTier: undefined, work: WORK },
  };
}

/** Six budgets cover each request; all others are about users and models that do not ask. */
function policyOf(budgets: number, upstreams: number, serving: number): Policy {
  const parse = makeParse({ path: "bench.yaml", listen: [{ host: "127.0.0.1", port: 7070 }] });
  const read = parse(TEXT);
  if (read.kind === "problems")
    throw new Error(`the bench's policy is wrong: ${JSON.stringify(read.problems)}`);
  const { policy } = read.read;
  const [sample] = policy.budgets;
  const upstream = policy.upstreams.get("up");
  const model = policy.models.get(MODEL);
  if (sample === undefined || upstream === undefined || model === undefined) throw new Error("no sample");
  const about = (index: number): Budget["when"] => {
    const whens: readonly (readonly [Scope, string])[][] = [
      [["user", `nobody-${index}`]],
      [["model", `other-${index}`]],
      [
        ["project", `closed-${index}`],
        ["provider", "aws"],
      ],
      [
        ["workflow", `old-${index}`],
        ["user", `user-${index}`],
      ],
    ];
    return new Map((whens[index % whens.length] ?? []).map(([scope, value]) => [scope, [value]]));
  };
  const all = new Map(
    Array.from({ length: upstreams }, (_, index) => {
      const id = `up-${index}`;
      const price = {
        ...upstream.price,
        ...(upstream.price.kind === "hour" && { rate: upstream.price.rate }),
      };
      return [id, { ...upstream, id, machine: id, price }] as const;
    }),
  );
  const others = Math.max(0, budgets - policy.budgets.length);
  return {
    ...policy,
    upstreams: all,
    models: new Map([[MODEL, { ...model, upstreams: [...all.keys()].slice(0, serving) }]]),
    budgets: [
      ...Array.from({ length: others }, (_, index) => ({
        ...sample,
        ...{ id: `other-${index}`, when: about(index) },
      })),
      ...policy.budgets,
    ],
  };
}

/** More than any run of the bench can spend. */
const TEXT = `version: 1
timezone: Europe/Berlin
mode: lowest_price
upstreams:
  up: { provider: aws, url: "http://127.0.0.1:9", gpu_tier: a10g, price: { usd_per_hour: 3.6 } }
models:
  ${MODEL}: { upstreams: [up], estimate: 12s }
budgets:
  - { id: day, limit_usd: 10000000, period: daily, on_limit: block }
  - { id: month, limit_usd: 10000000, period: monthly, on_limit: queue }
  - { id: cloud, when: { provider: aws }, limit_usd: 10000000, period: weekly, on_limit: degrade }
  - { id: model, when: { model: ${MODEL} }, limit_usd: 10000000, period: daily, on_limit: block }
  - { id: each, per: user, limit_usd: 1000000, period: daily, on_limit: block }
  - { id: images, limit_images: 100000000, period: monthly, on_limit: warn }
`;
