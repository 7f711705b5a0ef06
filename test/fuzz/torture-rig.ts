// A running gateway, and an upstream that answers what is right with what it saw and obeys the script of a
// case where the request names one. It keeps all that reaches it; `verify` says what came to be broken.

import { createHash } from "node:crypto";
import { createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { add, formatUsd } from "../../src/metering/money.ts";
import { ask, eventually, jsonOf } from "../support/gateway-client.ts";
import { makeFolder } from "../support/gateway-folder.ts";
import { type GatewayProcess, spawnGateway } from "../support/gateway-process.ts";
import { usd } from "../support/policies.ts";
import { listen, portOf } from "../support/sockets.ts";
import { judgeRequests, type Message } from "../support/strict-http.ts";

/** What an upstream does instead of answering: bytes, piece by piece, and how it ends. */
export interface Script {
  readonly pieces: readonly Buffer[];
  readonly ending: "fin" | "reset" | "stay";
}

export interface TortureRig {
  readonly port: number;
  readonly gateway: GatewayProcess;
  /** The digests of the requests that reached the upstream since this was last called. */
  reached(): string[];
  /** A request whose path says `script=ID` gets this. Resolves once it has been played. */
  play(id: string, script: Script): Promise<void>;
  /** Throws where an ordinary request does not work. */
  serves(): Promise<void>;
  /** Throws where the gateway died, logged a mistake, or lost count of money. */
  verify(): Promise<void>;
  stop(): Promise<void>;
}

export interface RigTimes {
  /** In milliseconds: how long the upstream may take to begin, and rest in a reply. */
  readonly firstByte: number;
  readonly idle: number;
}

const POLICY = (url: string, { firstByte, idle }: RigTimes) => `version: 1
mode: lowest_price
upstreams:
  nim: { provider: other, url: "${url}", price: { usd_per_hour: 3.6 }, 
         timeouts: { connect: 5s, first_byte: ${firstByte}ms, idle: ${idle}ms, total: ${firstByte + 4 * idle}ms } }
models:
  flux: { upstreams: [nim], estimate: 3s }
budgets:
  - { id: all, limit_usd: 1000, period: infinite, on_limit: block }
`;

export async function tortureRig(times: RigTimes): Promise<TortureRig> {
  const scripts = new Map<string, { script: Script; played: () => void }>();
  const faults: string[] = [];
  let reached: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    socket.setNoDelay(true);
    let bytes = Buffer.alloc(0);
    let answered = 0;
    socket.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      const { whole, rest } = judgeRequests({ bytes });
      if (rest === "broken") faults.push(`the upstream was sent ${JSON.stringify(bytes.toString("latin1"))}`);
      for (const message of whole.slice(answered)) {
        answered++;
        reached.push(digestOf(message));
        const id = /[?&]script=(\w+)/.exec(message.start)?.[1] ?? "";
        const found = scripts.get(id);
        if (found === undefined) socket.write(echoOf(message));
        else void perform(socket, found.script).then(found.played);
      }
    });
  });
  await listen(server);
  const folder = makeFolder(POLICY(`http://127.0.0.1:${portOf(server)}`, times));
  const gateway = await spawnGateway(folder);
  const ended = { yet: false };
  void gateway.ended.then(() => {
    ended.yet = true;
  });
  return {
    port: Number(new URL(gateway.url).port),
    gateway,
    reached() {
      const all = reached;
      reached = [];
      return all;
    },
    play: (id, script) => new Promise((played) => scripts.set(id, { script, played })),
    async serves() {
      const body = `{"after":${Date.now()}}`;
      const send = () => ask(`${gateway.url}/v1/infer`, { body });
      let reply = await send();
      // Where the timeouts are short a busy machine alone can be late.
      if (reply.status === 504) reply = await send();
      if (!reply.isWhole || jsonOf(reply).saw !== digest("POST", "/v1/infer", Buffer.from(body)))
        throw new Error(`an ordinary request got ${reply.status} ${reply.reason}`);
    },
    async verify() {
      if (faults.length > 0) throw new Error(faults[0]);
      if (ended.yet) throw new Error(`the gateway died: ${JSON.stringify(await gateway.ended)}`);
      const mistake = gateway.logged().find(({ level }) => Number(level) >= 50);
      if (mistake !== undefined) throw new Error(`the gateway logged ${JSON.stringify(mistake)}`);
      await eventually("nothing is held any more, and the charges add up", () => isConserved(gateway));
    },
    async stop() {
      gateway.signal("SIGTERM");
      const { code, stderr } = await gateway.ended;
      for (const socket of sockets) socket.destroy();
      server.close();
      folder.remove();
      // Below the banner there may be no warning of Node and no trace of an error.
      if (code !== 0 || /Warning|Error|DEP\d/.test(stderr))
        throw new Error(`the gateway ended with ${code}: ${stderr}`);
    },
  };
}

async function perform(socket: Socket, { pieces, ending }: Script): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return;
    socket.write(piece);
    await new Promise(setImmediate);
  }
  if (ending === "fin") socket.end();
  // A reset may overtake what is still under way, and the case would be another one.
  if (ending === "reset") await sleep(20);
  if (ending === "reset") socket.resetAndDestroy();
}

async function isConserved({ client }: GatewayProcess): Promise<boolean> {
  const [budget] = (await client.status()).budgets;
  const charges: string[] = [];
  for (let before: string | undefined; ; ) {
    const { items, next } = await client.requests({ limit: 100, ...(before && { before }) });
    charges.push(...items.map(({ charged_usd }) => charged_usd ?? "0"));
    if (items.some(({ outcome }) => outcome === "running")) return false;
    if (next === null) break;
    before = next;
  }
  const sum = charges.reduce((all, each) => add(all, usd(each)), usd("0"));
  return budget?.held === "0.00" && budget.settled === formatUsd(sum);
}

function echoOf(message: Message): string {
  const body = JSON.stringify({ saw: digestOf(message) });
  return `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

/** What makes a request the one that it is; the authority of an absolute target is not for an upstream. */
export function digestOf({ start, body }: Message): string {
  const [method = "", target = ""] = start.split(/ +/);
  return digest(method, target.replace(/^http:\/\/[^/]*/i, ""), body);
}

function digest(method: string, target: string, body: Buffer): string {
  return createHash("sha256").update(`${method} ${target}\n`).update(body).digest("hex");
}
