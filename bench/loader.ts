// The load, in a process of its own: it opens its connections, says "ready", and on "go" asks as its job says.
// Every reply is checked, and the first wrong one ends it: a fast failure is no speed. It knows no peer.

import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { percentile } from "./figures.ts";
import type { Job, Load, Said, Sample } from "./job.ts";
import { type Ask, EVENTS, type Expected, MARK, readEvents, requestOf } from "./traffic.ts";
import { Connection, type Message } from "./wire.ts";

/** So many are opened at once: more would overflow a peer's queue of new connections. */
const OPENED_AT_ONCE = 64;

const [job] = (await once(process, "message")) as [Job];
const request = requestOf(job.ask, job.port, job.headers);
process.on("disconnect", () => process.exit(0));

run(job.load).then(
  (sample) => say({ kind: "sample", sample }),
  (error) => say({ kind: "failed", why: error instanceof Error ? error.message : String(error) }),
);

function run(load: Load): Promise<Sample> {
  switch (load.kind) {
    case "closed":
      return closed(load);
    case "open":
      return open(load);
    case "streams":
      return streams(load);
    case "idle":
      return idle(load);
  }
}

/** Of one connection: the gateway, like others, ends one that has brought 10,000. */
const MOST_ASKED = 5000;

/** Each connection asks again as soon as it has its reply. */
async function closed({ connections, ms }: Extract<Load, { kind: "closed" }>): Promise<Sample> {
  const all = await connected(connections);
  await Promise.all(all.map(askOnce));
  await told();
  const meter = new Meter();
  const end = performance.now() + ms;
  const client = async (connection: Connection) => {
    let own = connection;
    let asked = 0;
    for (let begun = performance.now(); begun < end; begun = performance.now()) {
      meter.add(begun, await askOnce(own));
      asked += 1;
      if (asked % MOST_ASKED !== 0) continue;
      own.close();
      own = await Connection.open(job.port);
    }
  };
  await Promise.all(all.map(client));
  return meter.sample();
}

/**
 * Asks at a fixed rate, whether or not replies came. A request that finds every connection busy waits, and its
 * time runs from when it was due: a peer that stalls cannot hide who would have asked meanwhile. Time runs
 * from the tick that found it due, because how late a timer is belongs to the load and not to the peer.
 */
async function open({ connections, perSecond, ms }: Extract<Load, { kind: "open" }>): Promise<Sample> {
  const free = await connected(connections);
  await Promise.all(free.map(askOnce));
  await told();
  const meter = new Meter();
  const due: number[] = [];
  const running = new Set<Promise<void>>();
  const serve = async (connection: Connection, at: number) => {
    meter.add(at, await askOnce(connection));
    const next = due.shift();
    if (next === undefined) free.push(connection);
    else await serve(connection, next);
  };
  const wanted = Math.max(1, Math.floor((perSecond * ms) / 1000));
  const begun = performance.now();
  for (let asked = 0; asked < wanted; ) {
    const now = performance.now();
    for (; asked < wanted && begun + (asked * 1000) / perSecond <= now; asked += 1) {
      const connection = free.shift();
      if (connection === undefined) due.push(now);
      else {
        const one: Promise<void> = serve(connection, now).finally(() => running.delete(one));
        running.add(one);
        // It is awaited at the end; until then a failure is nobody's surprise.
        one.catch(() => undefined);
      }
    }
    await sleep(1);
  }
  await Promise.all(running);
  return meter.sample();
}

/** One stream a connection: how long each event took from the upstream to here, and when the first one came. */
async function streams({ connections }: Extract<Load, { kind: "streams" }>): Promise<Sample> {
  const all = await connected(connections);
  await told();
  const meter = new Meter();
  const firsts: number[] = [];
  const listen = async (connection: Connection) => {
    const begun = performance.now();
    let text = "";
    let events = 0;
    const { head, bytes } = await connection.ask(request, (piece) => {
      const now = process.hrtime.bigint();
      const { sent, rest } = readEvents(text + piece.toString("latin1"));
      text = rest;
      if (events === 0 && sent.length > 0) firsts.push(performance.now() - begun);
      events += sent.length;
      for (const at of sent) meter.took(Number(now - at) / 1e6);
    });
    meter.count(bytes);
    if (!isOk(head) || events !== EVENTS) throw new Error(`${events} of ${EVENTS} events: ${head}`);
  };
  await Promise.all(all.map(listen));
  return {
    ...meter.sample(),
    firstMs: percentile(
      firsts.sort((a, b) => a - b),
      0.5,
    ),
  };
}

/** Opens them, asks once on each, waits until memory was read, and asks once more: all must still answer. */
async function idle({ connections }: Extract<Load, { kind: "idle" }>): Promise<Sample> {
  await told();
  const meter = new Meter();
  const all: Connection[] = [];
  const wave = async (members: readonly Connection[]) => {
    for (let from = 0; from < members.length; from += OPENED_AT_ONCE) {
      const some = members.slice(from, from + OPENED_AT_ONCE).filter(({ isOver }) => !isOver);
      await Promise.all(some.map(async (one) => meter.add(performance.now(), await askOnce(one))));
    }
  };
  for (let left = connections; left > 0; left -= OPENED_AT_ONCE) {
    const some = await connected(Math.min(left, OPENED_AT_ONCE));
    all.push(...some);
    await wave(some);
  }
  say({ kind: "idle" });
  await told();
  await wave(all);
  return { ...meter.sample(), lost: all.filter(({ isOver }) => isOver).length };
}

async function connected(count: number): Promise<Connection[]> {
  const all: Connection[] = [];
  while (all.length < count) {
    const some = Math.min(OPENED_AT_ONCE, count - all.length);
    all.push(...(await Promise.all(Array.from({ length: some }, () => Connection.open(job.port)))));
  }
  return all;
}

async function askOnce(connection: Connection): Promise<Message> {
  const { expected }: Ask = job.ask;
  if (expected.kind === "bytes") return checked(await connection.ask(request), expected, "");
  let text = "";
  const message = await connection.ask(request, (piece) => {
    text += piece.toString("latin1");
  });
  return checked(message, expected, text);
}

function checked(message: Message, expected: Expected, text: string): Message {
  const isRight = expected.kind === "bytes" ? message.bytes === expected.bytes : text.includes(MARK);
  if (isOk(message.head) && isRight) return message;
  const line = message.head.split("\r\n")[0];
  throw new Error(`not the reply that was asked for: ${line}, ${message.bytes} bytes ${text.slice(0, 300)}`);
}

function isOk(head: string): boolean {
  return head.startsWith("HTTP/1.1 200");
}

/** What came, from its making on. */
class Meter {
  readonly #took: number[] = [];
  readonly #begun = performance.now();
  readonly #cpu = process.cpuUsage();
  #replies = 0;
  #bytes = 0;

  add(begun: number, { bytes }: Message): void {
    this.took(performance.now() - begun);
    this.count(bytes);
  }

  took(ms: number): void {
    this.#took.push(ms);
  }

  count(bytes: number): void {
    this.#replies += 1;
    this.#bytes += bytes;
  }

  sample(): Sample {
    const seconds = (performance.now() - this.#begun) / 1000;
    const { user, system } = process.cpuUsage(this.#cpu);
    const sorted = Float64Array.from(this.#took).sort();
    return {
      replies: this.#replies,
      seconds,
      bytes: this.#bytes,
      p50Ms: percentile(sorted, 0.5),
      p99Ms: percentile(sorted, 0.99),
      firstMs: undefined,
      lost: 0,
      busy: (user + system) / 1e6 / seconds,
    };
  }
}

function say(said: Said): void {
  process.send?.(said);
}

/** The runner reads the peer's CPU at this moment. */
async function told(): Promise<void> {
  const go = Promise.withResolvers<unknown>();
  process.once("message", go.resolve);
  say({ kind: "ready" });
  await go.promise;
}
