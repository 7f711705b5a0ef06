// Many hostile cases against one gateway of its own, each followed by an ordinary request; then the books.

import fc from "fast-check";
import { attack, clientCase } from "./hostile-client.ts";
import { answerBadly, upstreamCase } from "./hostile-upstream.ts";
import { type TortureRig, tortureRig } from "./torture-rig.ts";

export interface Amount {
  readonly seed: number;
  readonly cases: number;
}

/** A hostile upstream is waited for; a good one behind a hostile client answers at once. */
const TIMES = { client: { firstByte: 20_000, idle: 20_000 }, upstream: { firstByte: 700, idle: 300 } };
/** Making a failing case smaller is worth no more than this. */
const MOST_MS = 60_000;

/** Rejects with the seed, the smallest case that was found, and what went wrong in it. */
export async function torture(side: "client" | "upstream", { seed, cases }: Amount): Promise<void> {
  const rig = await tortureRig(TIMES[side]);
  try {
    const limits = { seed, numRuns: cases, interruptAfterTimeLimit: MOST_MS };
    if (side === "client") {
      const property = fc.asyncProperty(clientCase, (given) => followed(rig, attack(rig, given)));
      await fc.assert(property, limits);
    } else {
      const property = fc.asyncProperty(upstreamCase, (given) => followed(rig, answerBadly(rig, given)));
      await fc.assert(property, limits);
    }
    await rig.verify();
  } finally {
    await rig.stop();
  }
}

async function followed(rig: TortureRig, done: Promise<void>): Promise<void> {
  await done;
  await rig.serves();
}
