// A port of loopback for a server that is not there yet, comes back, or never comes. Until this process ends it is
// nobody else's: the system gives none of this range by itself, to a connection that leaves or to a server that
// asks for any, and whoever asks here for another one sees that it is claimed.

import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

/** Linux hands out ports from 32768 on, macOS and the standard from 49152 on. */
const RANGE = [20_000, 32_000] as const;
const MOST_TRIES = 100;

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const port = randomInt(...RANGE);
    if ((await isClaimed(port)) && (await isFree(port, "127.0.0.1")) && (await isFree(port, "::1")))
      return port;
  }
  throw new Error(`no port of ${MOST_TRIES} between ${RANGE.join(" and ")} is free`);
}

/** By UDP, whose ports are others: only one socket of the whole machine has it, and it goes with its process. */
async function isClaimed(port: number): Promise<boolean> {
  const claim = createSocket("udp4").unref();
  claim.bind({ port, address: "127.0.0.1", exclusive: true });
  try {
    await once(claim, "listening");
    return true;
  } catch {
    claim.close();
    return false;
  }
}

async function isFree(port: number, host: string): Promise<boolean> {
  const server = createServer().listen({ port, host });
  try {
    await once(server, "listening");
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "EADDRINUSE";
  }
  server.close();
  await once(server, "close");
  return true;
}
