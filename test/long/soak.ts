// npm run soak [-- --minutes 10]: artists ask without end while the gateway is killed and its policy rewritten
// every few seconds, always at the edge of the budget. Ends with 1 where a limit was passed, a complete reply
// is missing in the ledger, a hold is left, or the sums do not agree.

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Nim, startNim } from "../../src/demo/nim.ts";
import { add, formatUsd } from "../../src/metering/money.ts";
import type { BudgetStatus } from "../../src/sdk/status.ts";
import { freePort } from "../support/free-port.ts";
import { allRequests, overLimit, watchBudget } from "../support/gateway-budget.ts";
import { askImage, type Reply } from "../support/gateway-client.ts";
import { makeFolder } from "../support/gateway-folder.ts";
import { type GatewayProcess, spawnGateway } from "../support/gateway-process.ts";
import { usd } from "../support/policies.ts";

const ARTISTS = 16;
const BETWEEN_KILLS_MS = 3000;
const BETWEEN_SAVES_MS = 700;

const { values } = parseArgs({ options: { minutes: { type: "string", default: "10" } } });
const minutes = Number(values.minutes);
if (!(minutes > 0)) throw new Error(`--minutes is more than 0, not ${values.minutes}`);
const until = performance.now() + minutes * 60_000;

/** The limit grows with the time, so that there is always something to refuse and something to relay. */
const POLICY = ({ url }: Nim, save: number) => `version: 1
mode: manual
upstreams:
  here: { provider: local, url: "${url}", price: { usd_per_hour: ${36 + (save % 3)} } }
  there: { provider: other, url: "${url}", price: { usd_per_request: 0.01 } }
models:
  flux-dev: { upstreams: [here, there], manual: ${save % 2 === 0 ? "there" : "here"}, estimate: 1s }
budgets:
  - id: studio
    limit_usd: ${(0.3 + save * 0.1).toFixed(2)}
    period: yearly
    on_limit: block
    overrun: cut
`;

interface Seen {
  readonly relayed: Set<string>;
  readonly tally: Map<string, number>;
  readonly over: BudgetStatus[];
}

const seen: Seen = { relayed: new Set(), tally: new Map(), over: [] };
const nim = await startNim({ scale: 20 });
const folder = makeFolder(POLICY(nim, 0));
try {
  const listen = `localhost:${await freePort()}`;
  const artists = Array.from({ length: ARTISTS }, (_, index) => artist(`http://${listen}`, index));
  let saves = 0;
  for (let life = 1; performance.now() < until; life += 1) saves = await live(life, listen, saves);
  await Promise.all(artists);
  const last = await spawnGateway(folder);
  const problems = await lookBack(last);
  last.signal("SIGTERM");
  await last.ended;
  const said = [...seen.tally].sort().map(([what, times]) => `${what} ${times}`);
  console.log(`clients saw: ${said.join(", ")}`);
  for (const problem of problems) console.log(`WRONG: ${problem}`);
  if (problems.length > 0) process.exitCode = 1;
} finally {
  await nim.close();
  folder.remove();
}

/** One daemon, from its start to its `kill -9`. Returns how often the policy has been saved by then. */
async function live(life: number, listen: string, saved: number): Promise<number> {
  const gateway = await spawnGateway(folder, { listen });
  const watch = watchBudget(gateway.client);
  const end = performance.now() + BETWEEN_KILLS_MS;
  let saves = saved;
  while (performance.now() < end) {
    await sleep(BETWEEN_SAVES_MS);
    saves += 1;
    folder.save(POLICY(nim, saves));
  }
  const { valid } = (await gateway.client.status()).policy;
  const memory = residentMb(gateway.pid);
  gateway.signal("SIGKILL");
  await gateway.ended;
  const balances = await watch.end();
  seen.over.push(...overLimit(balances));
  if (!valid || balances.length === 0) throw new Error("the soak's own policy or watch does not work");
  const { settled, limit } = balances.at(-1) as BudgetStatus;
  console.log(`life ${life}: ${memory} MB, ${settled} of ${limit} USD, ${seen.relayed.size} replies so far`);
  return saves;
}

async function artist(url: string, index: number): Promise<void> {
  for (let turn = 0; performance.now() < until; turn += 1) {
    const leaves = (turn + index) % 7 === 0;
    const signal = AbortSignal.timeout(leaves ? 150 : 60_000);
    const reply = await askImage(url, { steps: stepsOf(turn * 13 + index * 7), signal });
    const what = nameOf(reply);
    seen.tally.set(what, (seen.tally.get(what) ?? 0) + 1);
    if (what === "200") seen.relayed.add(String(reply.headers["x-budgetguard-request"]));
    await sleep(20);
  }
}

/** Mostly quick work; some that runs for so long that the budget is spent meanwhile. */
function stepsOf(number: number): number {
  return number % 11 === 0 ? 100 : 1 + (number % 8);
}

function nameOf({ status, isWhole }: Reply): string {
  if (status === 0) return "nothing";
  return isWhole ? String(status) : `cut ${status}`;
}

/** What the ledger says of all of it, once everybody has gone. */
async function lookBack({ client }: GatewayProcess): Promise<string[]> {
  const problems: string[] = [];
  const records = await allRequests(client);
  const known = new Set(records.filter(({ outcome }) => outcome === "relayed").map(({ id }) => id));
  const missing = [...seen.relayed].filter((id) => !known.has(id));
  const sum = formatUsd(add(...records.map(({ charged_usd }) => usd(charged_usd ?? "0"))));
  const spend = await client.spend({ period: "yearly", by: "upstream" });
  const byUpstream = formatUsd(add(...spend.rows.map(({ amount_usd }) => usd(amount_usd))));
  const [budget] = (await client.status()).budgets;
  const outcomes = [...Map.groupBy(records, ({ outcome }) => outcome)];
  console.log(`the ledger has: ${outcomes.map(([name, those]) => `${name} ${those.length}`).join(", ")}`);
  console.log(`charged ${sum} USD; by upstream ${byUpstream}; the budget says ${budget?.settled}`);
  if (missing.length > 0) problems.push(`${missing.length} complete replies are not in the ledger`);
  if (seen.over.length > 0) problems.push(`over the limit: ${JSON.stringify(seen.over[0])}`);
  if (budget?.held !== "0.00") problems.push(`${budget?.held} USD is still held`);
  if (sum !== byUpstream || sum !== budget?.settled) problems.push("the sums do not agree");
  if (seen.relayed.size === 0 || !seen.tally.has("402")) problems.push("nothing was relayed or refused");
  return problems;
}

function residentMb(pid: number): number {
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
  return Math.round(Number(kib) / 1024);
}
