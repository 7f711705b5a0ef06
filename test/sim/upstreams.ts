// Upstreams as a script: they answer late, break before the head, break in mid-reply, hang, or cannot be
// reached. They keep the contract of proxy/relay.ts: begin before the first byte, stop when it is over.

import { type DurationUs, SECOND } from "../../src/metering/time.ts";
import type { Ending } from "../../src/policy/admission.ts";
import type { Attempt } from "../../src/proxy/exchange.ts";
import type { Relayed } from "../../src/proxy/relayed.ts";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

type Ended = Extract<Relayed, { kind: "ended" }>;

export interface Client {
  readonly id: string;
  /** What it has seen: never "complete" without a durable settlement. */
  seen: "nothing" | "complete" | "broken";
  sent: boolean;
  /** Sent though nothing of it need be on disk yet: a power cut may lose it (MONEY §7). */
  batched: boolean;
}

/** A request at an upstream: what it stands on may have to start first, and may go away under it. */
export interface Stay {
  /** Begins the request, and calls, once it can be served. */
  serve(call: () => void): void;
  broken(call: () => void): void;
  /** The last byte was read, or its socket is gone: stops the request. */
  leave(): void;
}

/** `enter`: undefined where nobody answers. */
export function sendTo(
  world: World,
  random: Random,
  client: Client,
  isDurable: (attempt: Attempt) => boolean,
  enter: (attempt: Attempt) => Stay | undefined,
) {
  return (attempt: Attempt): Promise<Relayed> =>
    new Promise((resolve) => {
      const connect = random.whole(0, 20_000) as DurationUs;
      world.after(connect, () => {
        if (attempt.signal.aborted) return resolve(gone(attempt));
        const stay = random.chance(0.08) ? undefined : enter(attempt);
        if (stay === undefined)
          return resolve({
            kind: "unsent",
            why: "unreachable",
            replayable: true,
            cause: new Error("refused"),
          });
        client.sent = true;
        client.batched = isDurable(attempt);
        const script = { world, random, client, attempt, stay, isDurable };
        serve(script, resolve);
      });
    });
}

interface Script {
  readonly world: World;
  readonly random: Random;
  readonly client: Client;
  readonly attempt: Attempt;
  readonly stay: Stay;
  readonly isDurable: (attempt: Attempt) => boolean;
}

function serve(
  { world, random, client, attempt, stay, isDurable }: Script,
  resolve: (relayed: Relayed) => void,
): void {
  const outcome = random.pick(["relayed", "relayed", "relayed", "relayed", "failed", "truncated"] as const);
  const hangs = random.chance(0.05);
  const time = hangs ? 240 * SECOND : random.whole(1000, 40 * SECOND);
  let forget: () => void = () => undefined;
  const end = (ending: Ending["outcome"]) => {
    forget();
    attempt.signal.removeEventListener("abort", onAbort);
    stay.leave();
    resolve(ended(client, ending, () => isDurable(attempt)));
  };
  const onAbort = () => end(attempt.signal.reason === "cut" ? "cut" : "aborted");
  attempt.signal.addEventListener("abort", onAbort, { once: true });
  stay.broken(() => end("truncated"));
  stay.serve(() => {
    // Every third one is a tunnel; without a throw of the dice, so that a seed stays the run that it was.
    if (Number(client.id.slice(2)) % 3 === 0) attempt.held.bySlice();
    forget = world.after(time as DurationUs, () => end(outcome));
  });
}

function gone(attempt: Attempt): Relayed {
  const why = attempt.signal.reason === "cut" ? "cut" : "client_gone";
  return { kind: "unsent", why, replayable: false, cause: new Error(why) };
}

function ended(client: Client, outcome: Ending["outcome"], isDurable: () => boolean): Ended {
  const isWhole = outcome === "relayed";
  return {
    kind: "ended",
    ending: { outcome, status: outcome === "failed" ? undefined : 200, tokens: undefined },
    fault: isWhole ? undefined : { kind: "broken", reason: outcome },
    firstByteAfterMs: undefined,
    bytes: 0,
    headSent: outcome === "truncated",
    finish: () => {
      if (!isDurable())
        throw new Error(`the reply of ${client.id} was completed before its settlement was durable`);
      client.seen = "complete";
    },
    destroy: () => {
      client.seen = "broken";
    },
  };
}
