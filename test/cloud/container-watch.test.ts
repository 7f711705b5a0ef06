// A watched container, with a provider that the test plays and a clock that only it moves.

import { setImmediate as turn } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { type Adapter, type Sighting, Trouble } from "../../src/cloud/adapter.ts";
import type { ContainerState } from "../../src/cloud/container-state.ts";
import { ContainerWatch } from "../../src/cloud/container-watch.ts";
import { type DurationUs, type Instant, MINUTE, SECOND, seconds } from "../../src/metering/time.ts";
import { TEN, upstream } from "../support/policies.ts";

type Up = Extract<Sighting, { kind: "up" }>;

const up = (over: Partial<Up> = {}): Up => ({
  ...{ kind: "up", id: "c-1", since: (TEN - MINUTE) as Instant, isHealthy: undefined },
  ...{ url: "http://127.0.0.1:8000", isStopping: false },
  ...over,
});
const off = (over: object = {}): Sighting => ({
  ...{ kind: "off", id: "c-1", stopped: undefined, why: undefined },
  ...over,
});

/** Says what it is told to say; orders wait until the test lets them go. */
class Provider implements Adapter {
  says: Sighting | Trouble = off();
  refuses: Trouble | undefined;
  looks = 0;
  readonly orders: string[] = [];
  call: () => void = () => undefined;
  #held: PromiseWithResolvers<void> | undefined;

  hold(): PromiseWithResolvers<void> {
    this.#held = Promise.withResolvers<void>();
    return this.#held;
  }

  async observe(): Promise<Sighting> {
    this.looks += 1;
    await this.#held?.promise;
    if (this.says instanceof Trouble) throw this.says;
    return this.says;
  }

  async start(): Promise<void> {
    this.orders.push("start");
    if (this.refuses !== undefined) throw this.refuses;
  }

  async stop(): Promise<void> {
    this.orders.push("stop");
    if (this.refuses !== undefined) throw this.refuses;
  }

  watch(changed: () => void): () => void {
    this.call = changed;
    return () => (this.call = () => undefined);
  }
}

class Rig {
  readonly provider = new Provider();
  readonly watch: ContainerWatch;
  readonly told: string[] = [];
  readonly states: string[] = [];
  /** What its view says at each change. */
  readonly whys: (string | undefined)[] = [];
  readonly bugs: unknown[] = [];
  serves: boolean | undefined = true;
  running = 0;
  now = TEN as Instant;
  /** When it wants to look again, in seconds; the test calls it. */
  wait: number | undefined;
  #call: () => void = () => undefined;

  constructor(t: ExecutionContext) {
    const lifecycle = {
      ...({ wake: "never", stopAfterIdle: "never", keepWarm: undefined } as const),
      ...{ startupEstimate: MINUTE, startupTimeout: seconds(600) },
    };
    this.watch = new ContainerWatch({
      adapter: this.provider,
      upstream: () => upstream("nim", { lifecycle }),
      running: () => this.running,
      isServing: async () => this.serves,
      seen: ({ id, since }, phase) => this.told.push(`${id} ${phase} since ${(since - TEN) / SECOND}`),
      off: (id, stopped) => this.told.push(`${id} off at ${(stopped - TEN) / SECOND}`),
      only: (id) => this.told.push(`only ${id}`),
      bug: (error) => this.bugs.push(error),
      changed: ({ kind }: ContainerState) => {
        this.states.push(kind);
        this.whys.push(this.watch.view().why);
      },
      now: () => this.now,
      after: (delay: DurationUs, call: () => void) => {
        this.wait = delay / SECOND;
        this.#call = call;
        return () => (this.wait = undefined);
      },
      random: () => 0.5,
    });
    t.teardown(() => this.watch.end());
  }

  get state(): string {
    return this.watch.view().state.kind;
  }

  async begin(says: Sighting | Trouble): Promise<void> {
    this.provider.says = says;
    this.watch.begin();
    await this.watch.look();
  }

  /** So much later, at its own time. */
  async later(time: number, says = this.provider.says): Promise<void> {
    this.provider.says = says;
    this.now = (this.now + time) as Instant;
    this.#call();
    await turn();
  }
}

test("A30: one that runs is found, whoever started it, and told to the ledger since its provider's start", async (t) => {
  const rig = new Rig(t);
  await rig.begin(up());
  t.is(rig.state, "ready");
  t.deepEqual(rig.told.slice(0, 2), ["only c-1", "c-1 ready since -60"]);
  t.like(rig.watch.view(), { liveSince: TEN - MINUTE, url: "http://127.0.0.1:8000", seenAt: TEN });
  t.is(rig.wait, 60);
});

test("A73: one that runs and does not serve is starting, is looked at often, and serves for good once it did", async (t) => {
  const rig = new Rig(t);
  rig.serves = false;
  await rig.begin(up());
  t.is(rig.state, "starting");
  t.is(rig.wait, 2);
  rig.serves = true;
  await rig.later(2 * SECOND);
  t.is(rig.state, "ready");
  rig.serves = false;
  await rig.later(MINUTE);
  t.is(rig.state, "ready");
  t.deepEqual([...new Set(rig.told)], ["only c-1", "c-1 starting since -60", "c-1 ready since -60"]);
  // Another life must show anew that it serves.
  await rig.later(MINUTE, up({ since: (TEN + MINUTE) as Instant }));
  t.is(rig.state, "starting");
  t.is(rig.told.at(-1), "c-1 starting since 60");
});

test("its provider's word that it is not healthy is believed, and that it is where nobody can ask", async (t) => {
  const sick = new Rig(t);
  await sick.begin(up({ isHealthy: false }));
  t.is(sick.state, "starting");
  const well = new Rig(t);
  well.serves = undefined;
  await well.begin(up({ isHealthy: true }));
  t.is(well.state, "ready");
});

test("no answer is not off: the last known state stays, with its age, and is asked for less and less", async (t) => {
  const rig = new Rig(t);
  await rig.begin(up());
  const told = rig.told.length;
  const waits = [];
  for (let misses = 0; misses < 6; misses += 1) {
    await rig.later(MINUTE, new Trouble("unreachable", "nothing listens there"));
    waits.push(rig.wait);
  }
  t.is(rig.state, "ready");
  t.is(rig.told.length, told);
  t.like(rig.watch.view(), { seenAt: TEN, why: "nothing listens there", liveSince: TEN - MINUTE });
  t.deepEqual(waits, [5, 10, 20, 40, 60, 60]);
  await rig.later(MINUTE, up());
  t.like(rig.watch.view(), { seenAt: rig.now, why: undefined });
  t.is(rig.wait, 60);
});

test("one that its provider does not know is gone, and costs no more", async (t) => {
  const rig = new Rig(t);
  await rig.begin(up());
  await rig.later(MINUTE, new Trouble("not_found", "there is no container nim"));
  t.is(rig.state, "failed");
  t.deepEqual(rig.told.slice(-2), ["c-1 off at 60", "only undefined"]);
});

test("started and stopped by hand, it is what its provider says", async (t) => {
  const rig = new Rig(t);
  await rig.begin(off());
  t.is(rig.state, "off");
  t.deepEqual(await rig.watch.stop(), { kind: "refused", why: "it is off: nothing to stop" });
  t.deepEqual(await rig.watch.start(), { kind: "ordered" });
  t.deepEqual(await rig.watch.start(), { kind: "refused", why: "it is starting: nothing to start" });
  // The provider is slow to say so.
  await rig.watch.look();
  t.is(rig.state, "starting");
  await rig.later(2 * SECOND, up({ since: (TEN + SECOND) as Instant }));
  t.is(rig.state, "ready");
  t.deepEqual(await rig.watch.stop(), { kind: "ordered" });
  t.is(rig.state, "stopping");
  await rig.later(2 * SECOND, off({ stopped: TEN + 3 * SECOND }));
  t.is(rig.state, "off");
  t.deepEqual(rig.told.slice(-2), ["c-1 off at 3", "only undefined"]);
  t.deepEqual(rig.provider.orders, ["start", "stop"]);
  t.deepEqual(rig.states, ["off", "starting", "ready", "stopping", "off"]);
});

test("whoever runs there may end before it is stopped", async (t) => {
  const rig = new Rig(t);
  await rig.begin(up());
  rig.running = 2;
  await rig.watch.stop();
  t.is(rig.state, "draining");
  rig.running = 1;
  await rig.later(2 * SECOND);
  t.deepEqual(rig.provider.orders, []);
  rig.running = 0;
  await rig.later(2 * SECOND);
  t.is(rig.state, "stopping");
  t.deepEqual(rig.provider.orders, ["stop"]);
});

test("a start that is refused, ends at once, or never serves has failed, and says why", async (t) => {
  const refused = new Rig(t);
  await refused.begin(off());
  refused.provider.refuses = new Trouble("failed", "no GPU");
  t.like(await refused.watch.start(), { kind: "refused", why: "no GPU", trouble: "failed" });
  t.like(refused.watch.view(), { state: { kind: "failed" }, why: "no GPU" });

  const ended = new Rig(t);
  await ended.begin(off());
  await ended.watch.start();
  await ended.later(2 * SECOND, off({ stopped: TEN + SECOND, why: "it ended by itself with code 3" }));
  t.like(ended.watch.view(), { state: { kind: "failed" }, why: "it ended by itself with code 3" });

  const slow = new Rig(t);
  slow.serves = false;
  await slow.begin(off());
  await slow.watch.start();
  await slow.later(599 * SECOND, up({ since: TEN as Instant }));
  t.is(slow.state, "starting");
  await slow.later(2 * SECOND);
  t.is(slow.state, "failed");
  t.regex(slow.watch.view().why ?? "", /did not serve within 10 min/);
  // It costs all the same.
  t.is(slow.told.at(-1), "c-1 starting since 0");
  slow.serves = true;
  await slow.later(MINUTE);
  t.is(slow.state, "ready");
});

test("one that is told to stop and does not is said to cost on", async (t) => {
  const rig = new Rig(t);
  await rig.begin(up());
  await rig.watch.stop();
  await rig.later(4 * MINUTE);
  t.is(rig.state, "stopping");
  await rig.later(2 * MINUTE);
  t.is(rig.state, "failed");
  t.regex(rig.watch.view().why ?? "", /did not within 5 min/);
});

test("what happens during a look is looked at once more, and never by two at once", async (t) => {
  const rig = new Rig(t);
  const held = rig.provider.hold();
  rig.watch.begin();
  rig.provider.call();
  rig.provider.call();
  t.is(rig.provider.looks, 1);
  held.resolve();
  await rig.watch.look();
  t.is(rig.provider.looks, 2);
});

test("an event is looked at at once, and soon once more: it may come before what it tells of", async (t) => {
  const rig = new Rig(t);
  await rig.begin(up());
  t.is(rig.wait, 60);
  rig.provider.call();
  await rig.watch.look();
  t.is(rig.wait, 2);
  await rig.later(2 * SECOND, off({ stopped: TEN + SECOND }));
  t.is(rig.state, "off");
  t.is(rig.wait, 60);
});

test("nobody looks any more once it is let go of", async (t) => {
  const rig = new Rig(t);
  await rig.begin(up());
  const looks = rig.provider.looks;
  rig.watch.end();
  rig.provider.call();
  t.is(rig.wait, undefined);
  t.is(rig.provider.looks, looks);
});

test("a mistake of an adapter is told, changes nothing, and is no end of the looking", async (t) => {
  const rig = new Rig(t);
  await rig.begin(up());
  rig.provider.observe = async () => {
    throw new TypeError("a bug");
  };
  await rig.watch.look();
  t.regex(String(rig.bugs[0]), /a bug/);
  t.is(rig.state, "ready");
  t.is(rig.wait, 5);
});

test("one that was made anew under its name is another one, and the one before is gone", async (t) => {
  const rig = new Rig(t);
  await rig.begin(up());
  await rig.later(MINUTE, up({ id: "c-2", since: (TEN + SECOND) as Instant }));
  t.deepEqual(rig.told.slice(-2), ["only c-2", "c-2 ready since 1"]);
});

test("an order that nobody answers changes nothing: what served goes on serving", async (t) => {
  const rig = new Rig(t);
  await rig.begin(up());
  for (const kind of ["unreachable", "timeout", "denied", "throttled", "unauthenticated"] as const) {
    rig.provider.refuses = new Trouble(kind, "no answer");
    t.like(await rig.watch.stop(), { kind: "refused", why: "no answer" });
    t.is(rig.state, "ready", kind);
    t.is(rig.whys.at(-1), "no answer", "whoever is told of the change back is told why");
    await rig.watch.look();
    t.is(rig.watch.view().why, undefined, "it serves as before");
  }
});
