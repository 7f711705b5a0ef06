// What `npm run bench` was asked to do: parsed wholly before anything starts, every problem in one sentence.

import { parseArgs } from "node:util";
import { PEER_NAMES, type PeerName } from "./peers.ts";
import { SCENE_NAMES, type SceneName, USUAL_SCENES } from "./scenes.ts";

export interface Options {
  readonly scenes: readonly SceneName[];
  readonly peers: readonly PeerName[];
  readonly rounds: number;
  readonly seconds: number;
  /** Of the memory scene. */
  readonly minutes: number;
  /** How long processes are left alone before the idle scene, and with its connections open, in seconds. */
  readonly settle: number;
  /** Instead of a scene's own number; the figures are then not those of the targets. */
  readonly connections: number | undefined;
  /** The folder of the peers from npm. */
  readonly modules: string;
  readonly json: boolean;
  readonly steps: boolean;
  readonly decision: boolean;
}

export type Parsed =
  | { readonly kind: "options"; readonly options: Options }
  | { readonly kind: "usage"; readonly text: string };

export const USAGE = `npm run bench -- [options]

  --scene NAME       again for more; all but memory if not said: ${SCENE_NAMES.join(" ")}
  --peer NAME        again for more; all if not said: ${PEER_NAMES.join(" ")}
  --rounds N         of each peer in each scene, interleaved (5)
  --seconds N        of each round (3)
  --minutes N        of the scene memory (0.5; 10 for the target)
  --settle N         seconds without a request in the scene idle, before and with its connections (35)
  --connections N    instead of the scene's own number, for a try
  --modules FOLDER   where http-proxy, httpxy and Portkey are installed (bench/peers)
  --json             one line of JSON instead of tables
  --steps            what each step of the gateway's own work costs, in one process, and nothing else
  --decision         what a decision with its reservation costs as policies grow, and nothing else

npm ci --prefix bench/peers --ignore-scripts   installs http-proxy, httpxy and Portkey
apt-get install nginx haproxy                  installs the others`;

export function parseOptions(args: readonly string[]): Parsed {
  const read = readArgs(args);
  if (typeof read === "string") return usage(read);
  if (read.help) return usage(undefined);
  const scenes = read.scene ?? USUAL_SCENES;
  const peers = read.peer ?? PEER_NAMES;
  const isScene = (name: string): name is SceneName => SCENE_NAMES.includes(name as SceneName);
  const isPeer = (name: string): name is PeerName => PEER_NAMES.includes(name as PeerName);
  if (!scenes.every(isScene)) return usage(`--scene is one of ${SCENE_NAMES.join(", ")}`);
  if (!peers.every(isPeer)) return usage(`--peer is one of ${PEER_NAMES.join(", ")}`);
  const [rounds, seconds, minutes] = [Number(read.rounds), Number(read.seconds), Number(read.minutes)];
  const settle = Number(read.settle);
  const connections = read.connections === undefined ? undefined : Number(read.connections);
  if (!Number.isInteger(rounds) || rounds < 1) return usage("--rounds is 1 or more");
  if (!(seconds > 0)) return usage("--seconds is more than 0");
  if (!(minutes > 0)) return usage("--minutes is more than 0");
  if (!(settle >= 0)) return usage("--settle is 0 or more");
  if (connections !== undefined && !(Number.isInteger(connections) && connections >= 1)) {
    return usage("--connections is 1 or more");
  }
  const inOrder = PEER_NAMES.filter((name) => peers.includes(name));
  const { modules, json, steps, decision } = read;
  return {
    kind: "options",
    options: {
      ...{ scenes, peers: inOrder, rounds, seconds, minutes, settle, connections },
      ...{ modules, json, steps, decision },
    },
  };
}

function readArgs(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        scene: { type: "string", multiple: true },
        peer: { type: "string", multiple: true },
        rounds: { type: "string", default: "5" },
        seconds: { type: "string", default: "3" },
        minutes: { type: "string", default: "0.5" },
        settle: { type: "string", default: "35" },
        connections: { type: "string" },
        modules: { type: "string", default: "bench/peers" },
        json: { type: "boolean", default: false },
        steps: { type: "boolean", default: false },
        decision: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    // What parseArgs throws is a sentence for whoever typed.
    return (error as Error).message;
  }
}

function usage(problem: string | undefined): Parsed {
  return { kind: "usage", text: problem === undefined ? USAGE : `${problem}\n\n${USAGE}` };
}
