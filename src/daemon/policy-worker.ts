// Parses policy texts in a thread of its own, one after another: a large one takes a second, and the relay
// must not stand still for that.

import "./temporal.ts";
import { parentPort, workerData } from "node:worker_threads";
import { makeParse, type Surroundings } from "./policy-text.ts";

const port = parentPort;
if (port === null) throw new Error("policy-worker.ts runs only as a worker thread");
const parse = makeParse(workerData as Surroundings);

/** Nothing is the sign to end. */
port.on("message", (text: string | undefined) => {
  if (text === undefined) port.close();
  else port.postMessage(parse(text));
});
