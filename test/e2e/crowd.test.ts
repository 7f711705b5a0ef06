// Five hundred clients against one budget, on an upstream that is slow: some leave, the policy changes under them,
// and the gateway is a process of its own. Where the budget cuts, the limit is exact; where it lets work finish,
// `explain` lists every excess. What is checked is what clients, the admin API, the ledger on disk and the process
// itself show.

import { readdirSync } from "node:fs";
import test, { type ExecutionContext } from "ava";
import { type Nim, startNim } from "../../src/demo/nim.ts";
import { add, formatUsd } from "../../src/metering/money.ts";
import type { RequestSummary } from "../../src/sdk/client.ts";
import { type Random, seeded } from "../sim/random.ts";
import { cli } from "../support/cli.ts";
import { allRequests, overLimit, watchBudget } from "../support/gateway-budget.ts";
import { askImage, eventually, jsonOf, type Reply } from "../support/gateway-client.ts";
import { type GatewayFolder, makeFolder } from "../support/gateway-folder.ts";
import { type GatewayProcess, spawnGateway } from "../support/gateway-process.ts";
import { usd } from "../support/policies.ts";

const CLIENTS = 500;
const PATIENCE_MS = 60_000;
const SEED = Number(process.env.SEED ?? 1);

/** One second alone costs 0.001 USD at each of `pods`. `how` is what the budget does, besides its limit. */
const policyOf = ({ url }: Nim, pods: readonly string[], limit: string, how: string) => `version: 1
timezone: UTC
mode: lowest_price
lowest_price: { explore: false }
limits: { waiting: 128 }
upstreams:
${pods.map((pod) => `  ${pod}, url: "${url}", price: { usd_per_hour: 3.6 }, timeouts: { connect: 60s } }`).join("\n")}
models:
  flux-dev: { upstreams: [${pods.map((pod) => pod.split(":")[0]).join(", ")}], estimate: 3s }
budgets:
  - { id: studio, limit_usd: ${limit}, period: yearly, ${how} }
`;

/** One that all share. */
const SHARED = ["pod: { provider: other"];
/** Each for one request at a time, so that nobody's second is cheaper than it was held at. */
const SINGLE = Array.from({ length: 8 }, (_, index) => `pod-${index}: { provider: other, concurrency: 1`);

interface Sent {
  readonly id: string;
  readonly reply: Reply;
  readonly hasLeft: boolean;
}

interface Scene {
  readonly nim: Nim;
  readonly folder: GatewayFolder;
  readonly gateway: GatewayProcess;
  /** Files and sockets that the gateway has open with nobody there; undefined where the system does not tell. */
  readonly openBefore: number | undefined;
}

/** `scale` 20: a hundred steps take 4 s; 8: 10 s. */
async function begin(t: ExecutionContext, scale: number, policy: (nim: Nim) => string): Promise<Scene> {
  const nim = await startNim({ scale });
  const folder = makeFolder(policy(nim));
  const gateway = await spawnGateway(folder);
  t.teardown(async () => {
    gateway.signal("SIGKILL");
    await gateway.ended;
    await nim.close();
    folder.remove();
  });
  t.is((await askImage(gateway.url, { headers: { "X-Request-Id": "warm-up" } })).status, 200);
  return { nim, folder, gateway, openBefore: openFiles(gateway.pid) };
}

/** Every seventh leaves within four seconds; every third is done before its first hold ends, the others are slow. */
function send({ gateway }: Scene, random: Random): Promise<Sent[]> {
  const asked = Array.from({ length: CLIENTS }, async (_, index): Promise<Sent> => {
    const leaving = new AbortController();
    const id = `client-${index}`;
    const timer = index % 7 === 0 && setTimeout(() => leaving.abort(), random.whole(50, 4000));
    const steps = index % 3 === 0 ? 1 : random.whole(20, 100);
    const reply = await askImage(gateway.url, {
      steps,
      headers: { "X-Request-Id": id },
      signal: leaving.signal,
    });
    if (timer !== false) clearTimeout(timer);
    return { id, reply, hasLeft: leaving.signal.aborted };
  });
  return Promise.all(asked);
}

test.serial("with cut, 500 clients, some of whom leave, and a reload: the limit is exact", async (t) => {
  t.log(`SEED=${SEED}`);
  const policy = (nim: Nim, limit: string) =>
    policyOf(nim, SHARED, limit, "on_limit: queue, max_wait: 6s, overrun: cut");
  const scene = await begin(t, 8, (nim) => policy(nim, "0.05"));
  const watch = watchBudget(scene.gateway.client);
  const crowd = send(scene, seeded(SEED));
  const isWaited = async () => (await scene.gateway.client.status()).waiting > 20;
  await eventually("some wait for money", isWaited, PATIENCE_MS);
  scene.folder.save(policy(scene.nim, "0.07"));
  const sent = await crowd;

  await checkEnd(t, scene, sent);
  const seen = await watch.end();
  t.deepEqual(overLimit(seen), []);
  t.true(
    ["0.05", "0.07"].every((limit) => seen.some((one) => one.limit === limit && usd(one.held) > 0n)),
    "nobody looked at both limits while money was held",
  );
  const { accounts } = await scene.gateway.client.explainBudget("studio");
  t.like(accounts[0], { over: "0.00", causes: [] });
  const cut = sent.filter(({ reply }) => codeOf(reply) === "budget_cut" || isBroken(reply));
  // How many are cut is the machine's pace; that a hold which cannot grow is cut is limit.test.ts's.
  t.log(`${cut.length} were cut`);
  await checkLedger(t, scene);
});

test.serial("with finish, 500 clients and a limit that is lowered: explain lists every excess", async (t) => {
  t.log(`SEED=${SEED}`);
  const policy = (nim: Nim, limit: string) =>
    policyOf(nim, SINGLE, limit, "on_limit: block, overrun: finish");
  const scene = await begin(t, 50, (nim) => policy(nim, "0.06"));
  const crowd = send(scene, seeded(SEED));
  const isHeld = async () => {
    const [studio] = (await scene.gateway.client.status()).budgets;
    return usd(studio?.held ?? "0") > usd("0.03");
  };
  await eventually("most pods are busy", isHeld, PATIENCE_MS);
  scene.folder.save(policy(scene.nim, "0.02"));
  const sent = await crowd;

  await checkEnd(t, scene, sent);
  t.false(
    sent.some(({ reply }) => codeOf(reply) === "budget_cut"),
    "finish cuts nobody",
  );
  const { balances, accounts } = await scene.gateway.client.explainBudget("studio");
  const [balance, account] = [balances[0], accounts[0]];
  const over = usd(account?.over ?? "0");
  t.is(formatUsd(add(usd(balance?.limit ?? "0"), over)), balance?.settled ?? "", "the excess is all of it");
  t.true(over > 0n, "nothing went over: the test proves nothing");
  const causes = account?.causes ?? [];
  t.log(causes.map(({ cause, at_most, count }) => `${cause}: ${at_most} (${count})`).join(", "));
  t.deepEqual(causes.map(({ cause }) => cause).sort(), ["finish_overrun", "limit_lowered"]);
  const listed = add(...causes.map(({ at_most }) => usd(at_most)));
  t.true(listed >= over, `${formatUsd(listed)} are listed of ${formatUsd(over)}`);
  await checkLedger(t, scene);
});

/** What holds however it went: who had what, what is held, and what is still open. */
async function checkEnd(t: ExecutionContext, { gateway, nim, openBefore }: Scene, sent: readonly Sent[]) {
  const { client } = gateway;
  const atRest = async () => {
    const status = await client.status();
    return status.in_flight === 0 && status.waiting === 0 && status;
  };
  const status = await eventually("nobody is under way", atRest, PATIENCE_MS);
  t.is(status.budgets[0]?.held, "0.00");
  t.is(nim.inFlight(), 0);
  const records = await allRequests(client);
  const byClient = new Map(records.map((one) => [one.client_request_id, one]));
  t.is(byClient.size, records.length, "nobody is recorded twice");
  t.log(tally(sent.map((one) => byClient.get(one.id)?.outcome ?? "unknown to the ledger")));
  const odd = sent.filter((one) => !isAsRecorded(one, byClient.get(one.id)));
  t.deepEqual(
    odd.map(({ id, reply, hasLeft }) => ({ id, hasLeft, ...reply, headers: {}, record: byClient.get(id) })),
    [],
  );
  const charged = add(...records.map(({ charged_usd }) => usd(charged_usd ?? "0")));
  t.is(status.budgets[0]?.settled, formatUsd(charged));
  t.is((await client.usage({ period: "yearly" })).amount_usd, formatUsd(charged));
  if (openBefore === undefined) return;
  // Connections to the upstream are kept for the next request, until it closes them.
  await nim.close();
  const isClosed = () => (openFiles(gateway.pid) ?? 0) <= openBefore + 2;
  await eventually(`no more open than ${openBefore + 2}`, isClosed, PATIENCE_MS);
}

/** A reply is what the ledger says of it, and only what is whole there looks whole here. */
function isAsRecorded({ reply, hasLeft }: Sent, record: RequestSummary | undefined): boolean {
  const isServed = reply.status === 200 && reply.isWhole;
  if (isServed) return record?.outcome === "relayed" && Array.isArray(jsonOf(reply).artifacts);
  if (hasLeft) return record === undefined || record.outcome !== "running";
  if (record?.outcome === "refused") return reply.isWhole && codeOf(reply) === "budget_exceeded";
  if (record?.outcome === "unsent") return reply.status === 503 && "retry-after" in reply.headers;
  if (record?.outcome === "cut") return codeOf(reply) === "budget_cut" || isBroken(reply);
  return false;
}

function codeOf({ status, body }: Reply): unknown {
  if (status !== 402) return undefined;
  return (JSON.parse(body.toString("utf8")) as { error: { code: string } }).error.code;
}

function isBroken({ status, isWhole }: Reply): boolean {
  return status === 200 && !isWhole;
}

/** The ledger adds up: by its own recount, and by ours over what it exports. */
async function checkLedger(t: ExecutionContext, { gateway, folder }: Scene): Promise<void> {
  const [studio] = (await gateway.client.status()).budgets;
  gateway.signal("SIGTERM");
  t.is((await gateway.ended).code, 0);
  const verified = await cli(["ledger", "verify", "--data", folder.dataPath]);
  t.is(verified.code, 0, verified.stdout);
  const exported = await cli(["ledger", "export", "--data", folder.dataPath]);
  const entries = exported.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { kind: string; amount_usd: string });
  const posted = entries.filter(({ kind }) => kind === "settled");
  t.is(formatUsd(add(...posted.map(({ amount_usd }) => usd(amount_usd)))), studio?.settled ?? "");
}

function openFiles(pid: number): number | undefined {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return undefined;
  }
}

function tally(words: readonly string[]): string {
  return [...Map.groupBy(words, (word) => word)].map(([word, those]) => `${those.length} ${word}`).join(", ");
}
