// npm run bench [-- --rounds 5 --seconds 3 --json]: each scene over each peer, interleaved, so that a machine
// that is slow for a while is slow for all; then medians. What counts are the ratios of one run.

import { parseArgs } from "node:util";
import { makeFolder } from "../test/support/gateway-folder.ts";
import { type Measured, measure, median, type Scene } from "./load.ts";
import { type Peer, POLICY, startNginx, startOurs, startUpstream } from "./peers.ts";

const SCENES: readonly Scene[] = [
  { name: "tiny replies, 64 connections", connections: 64, bytes: 200 },
  { name: "2 MB replies, 8 connections", connections: 8, bytes: 2_000_000 },
];

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
  },
});
const rounds = Number(values.rounds);
const ms = Number(values.seconds) * 1000;
if (!(rounds >= 1 && ms > 0)) throw new Error("--rounds is 1 or more, --seconds more than 0");

const upstream = await startUpstream();
const folder = makeFolder(POLICY(upstream.url));
const peers: Peer[] = [upstream];
try {
  const nginx = await startNginx(folder, upstream.url);
  if (nginx !== undefined) peers.push(nginx);
  peers.push(await startOurs(folder));
  const results = [];
  for (const scene of SCENES) results.push({ scene: scene.name, peers: await play(scene) });
  if (values.json) console.log(JSON.stringify({ rounds, seconds: ms / 1000, results }));
  else for (const { scene, peers: rows } of results) print(scene, rows);
} finally {
  for (const peer of peers.reverse()) await peer.close();
  folder.remove();
}

/** By peer. */
async function play(scene: Scene): Promise<Record<string, Measured>> {
  const all = peers.map((peer) => ({ peer, measured: [] as Measured[] }));
  for (let round = 0; round < rounds; round += 1) {
    for (const { peer, measured } of all) measured.push(await measure(peer.url, peer.pids, scene, ms));
  }
  return Object.fromEntries(all.map(({ peer, measured }) => [peer.name, middle(measured)]));
}

function middle(measured: readonly Measured[]): Measured {
  return {
    perSecond: median(measured.map(({ perSecond }) => perSecond)),
    p50Ms: median(measured.map(({ p50Ms }) => p50Ms)),
    cpuUs: median(measured.map(({ cpuUs }) => cpuUs)),
  };
}

function print(scene: string, rows: Record<string, Measured>): void {
  console.log(`\n${scene}`);
  console.log(
    `${"".padEnd(14)}${["requests/s", "x nginx", "p50 ms", "CPU us/req", "x nginx"].map(cell).join("")}`,
  );
  for (const [name, { perSecond, p50Ms, cpuUs }] of Object.entries(rows)) {
    const { nginx } = rows;
    const ratios = nginx ? [perSecond / nginx.perSecond, cpuUs / nginx.cpuUs] : [Number.NaN, Number.NaN];
    const [speed = "", cpu = ""] = ratios.map((ratio) => (Number.isNaN(ratio) ? "-" : ratio.toFixed(2)));
    const cells = [perSecond.toFixed(0), speed, p50Ms.toFixed(2), cpuUs.toFixed(0), cpu];
    console.log(`${name.padEnd(14)}${cells.map(cell).join("")}`);
  }
}

function cell(text: string): string {
  return text.padStart(12);
}
