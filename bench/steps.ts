// npm run bench -- --steps: what each step of the gateway's own work costs for one request, alone and in one
// process, with the same policy as the scenes and a ledger whose disk answers at once. It opens no socket.

import { NOTHING_KNOWN } from "../src/policy/expect.ts";
import "../src/daemon/temporal.ts";
import { closeSync, openSync, writeSync } from "node:fs";
import { Metrics } from "../src/admin/metrics.ts";
import { systemClock } from "../src/daemon/clock.ts";
import { AccessLog } from "../src/daemon/log.ts";
import { makeParse } from "../src/daemon/policy-text.ts";
import type { NanoUsd } from "../src/metering/money.ts";
import type { DurationUs } from "../src/metering/time.ts";
import { decide, type Question } from "../src/policy/decide.ts";
import type { Policy } from "../src/policy/policy.ts";
import type { Task } from "../src/policy/task.ts";
import { readFacts } from "../src/proxy/body-facts.ts";
import { checkDoor } from "../src/proxy/door.ts";
import { replyHead, requestHeaders } from "../src/proxy/headers.ts";
import { identify, readHead } from "../src/proxy/identify.ts";
import { newTaskId } from "../src/proxy/task-id.ts";
import { openAccounts } from "./accounts.ts";
import { median } from "./figures.ts";
import { policyText } from "./policy.ts";
import { infer, MODEL } from "./traffic.ts";

export interface Measured {
  readonly step: string;
  readonly ns: number;
}

interface Step {
  readonly name: string;
  run(): unknown;
}

const BATCHES = 9;
/** The kernel brings a thread's CPU time up to date at its ticks, of up to 4 ms: a batch is many of them. */
const BATCH_MS = 100;
/** Between two looks at the clock, which costs too. */
const CALLS_AT_ONCE = 100;
const PORT = 7070;
const ASK = infer(140, 200);
const BODY = Buffer.from(ASK.body);
const REQUEST_HEADERS = [
  ...["Host", `127.0.0.1:${PORT}`, "Content-Type", "application/json", "Content-Length", "140"],
  ...["Accept", "*/*", "User-Agent", "bench", "X-BudgetGuard-User", "alice"],
];
const REPLY_HEADERS = ["Content-Type", "application/json", "Content-Length", "200", "Date", "today"];

/** Medians of nine batches that take so long, after one that is thrown away. */
export async function measureSteps(batchMs: number = BATCH_MS): Promise<readonly Measured[]> {
  const log = openSync("/dev/null", "w");
  const { steps, accounts } = await makeSteps(readPolicy(), (text) => void writeSync(log, text));
  const measured: Measured[] = [];
  for (const step of steps) {
    const batches: number[] = [];
    for (let batch = 0; batch <= BATCHES; batch += 1) {
      const ns = await timed(step, batchMs);
      if (batch > 0) batches.push(ns);
      // What a second of serving leaves behind is put away, as it would be.
      await accounts.heartbeat();
    }
    measured.push({ step: step.name, ns: median(batches) });
  }
  closeSync(log);
  return measured;
}

export function stepsText(measured: readonly Measured[]): string {
  const ns = (name: string) => measured.find(({ step }) => step === name)?.ns ?? Number.NaN;
  const told = ns(METRICS) + ns(LINE);
  const all = measured.reduce((sum, each) => sum + each.ns, 0);
  return [
    `ns of CPU for one request, median of ${BATCHES} batches, Node ${process.version}`,
    ...measured.map(({ step, ns: each }) => `${step.padEnd(58)}${each.toFixed(0).padStart(9)}`),
    `${"all of these".padEnd(58)}${all.toFixed(0).padStart(9)}`,
    `metrics and access line are ${(told / ns(DECIDE)).toFixed(2)} of the policy decision (must: no more than 1)`,
  ].join("\n");
}

const DECIDE = "decide: rank, 20 rules, 5 budgets judged, explanation";
const METRICS = "metrics: observe";
const LINE = "access line, written in batches";

async function makeSteps(policy: Policy, write: (text: string) => void) {
  const at = systemClock.wall();
  const head = {
    method: "POST",
    url: ASK.path,
    path: ASK.path,
    httpVersion: "1.1",
    rawHeaders: REQUEST_HEADERS,
  };
  const rules = { ports: [PORT], hosts: [], origins: [], body: policy.limits.body };
  const look = () =>
    readFacts({ bytes: BODY, isWhole: true, contentType: "application/json", contentEncoding: undefined });
  const facts = look();
  const name = () => {
    const known = readHead(head, policy, { modelPort: undefined }, () => undefined);
    if (known.kind !== "known") throw new Error(`the bench's request was answered: ${known.kind}`);
    return identify(known, { facts, length: BODY.length }, policy, { newId: newTaskId, at });
  };
  const identified = name();
  if (identified.kind !== "task") throw new Error(`the bench's request is no task: ${identified.kind}`);
  const { task } = identified;
  const question = questionOf(policy, task);
  const { accounts, holdAndSettle } = await makeAccounts(policy, question);
  const { observe, line } = makeTellers(task, write);
  const headerRules = { auth: undefined, requestId: task.id, contentLength: 140, readsReply: false };
  const added = [["X-BudgetGuard-Request", task.id]] as const;
  const steps: readonly Step[] = [
    { name: "door: method, Host, Origin, sizes", run: () => checkDoor(head, rules) },
    { name: "body: facts of 140 bytes of JSON", run: look },
    { name: "identify: headers, path, model, labels", run: name },
    { name: DECIDE, run: () => decide(question, accounts.view()) },
    { name: "hold and charge: accounts and entries, no disk", run: holdAndSettle },
    {
      name: "headers: both ways",
      run: () => [requestHeaders(REQUEST_HEADERS, headerRules), replyHead(REPLY_HEADERS, 200, added)],
    },
    { name: METRICS, run: observe },
    { name: LINE, run: line },
  ];
  return { steps, accounts };
}

/** The decision is made once, so that only what follows it is timed. */
async function makeAccounts(policy: Policy, question: Question) {
  const accounts = await openAccounts(policy);
  const decision = decide(question, accounts.view());
  const holdAndSettle = async () => {
    const admission = await accounts.admit(question.task, () => decision);
    if (admission.kind !== "admitted") throw new Error(`the bench's request was not admitted`);
    admission.reservation.begin();
    admission.reservation.stop();
    await admission.reservation.settle({ outcome: "relayed", status: 200, tokens: undefined });
  };
  return { accounts, holdAndSettle };
}

function makeTellers(task: Task, write: (text: string) => void) {
  const metrics = new Metrics();
  const accessLog = new AccessLog(write);
  const charged = 12_345n as NanoUsd;
  const [duration, overhead] = [1_234 as DurationUs, 567 as DurationUs];
  const which = { model: task.model, provider: "other", upstream: "up", outcome: "relayed" } as const;
  const tokens = { input: 0, output: 0 };
  const observe = () => metrics.observe({ ...which, succeeded: true, images: 1, tokens, duration, overhead });
  const line = () =>
    accessLog.line({
      ...which,
      ...{ at: systemClock.wall(), request: task.id, clientRequestId: task.clientRequestId },
      ...{ method: "POST", path: "/v1/infer", status: 200, user: "alice", workflow: undefined },
      ...{ charged, reason: undefined, duration },
    });
  return { observe, line };
}

function questionOf(policy: Policy, task: Task): Question {
  const model = policy.models.get(MODEL);
  if (model === undefined) throw new Error("the bench's policy has no model of its own");
  const candidates = model.upstreams.flatMap((id) => {
    const upstream = policy.upstreams.get(id);
    return upstream === undefined ? [] : [{ upstream, inFlight: 0 }];
  });
  return { policy, model, task, candidates, unreachable: [], known: NOTHING_KNOWN };
}

function readPolicy(): Policy {
  const parse = makeParse({ path: "bench.yaml", listen: [{ host: "127.0.0.1", port: PORT }] });
  const read = parse(policyText("http://127.0.0.1:9", "priced"));
  if (read.kind === "problems")
    throw new Error(`the bench's policy is wrong: ${JSON.stringify(read.problems)}`);
  return read.read.policy;
}

/** In CPU time of this thread: what else the machine does is not the step's. */
async function timed({ run }: Step, batchMs: number): Promise<number> {
  const end = performance.now() + batchMs;
  const before = process.threadCpuUsage();
  let calls = 0;
  for (; performance.now() < end; calls += CALLS_AT_ONCE) {
    for (let call = 0; call < CALLS_AT_ONCE; call += 1) {
      const result = run();
      if (result instanceof Promise) await result;
    }
  }
  const { user, system } = process.threadCpuUsage(before);
  return ((user + system) * 1000) / calls;
}
