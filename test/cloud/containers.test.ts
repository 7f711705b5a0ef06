// The containers of a policy as it changes: who is watched, who is told of, and who may be ordered about.

import test from "ava";
import type { Adapter, Sighting } from "../../src/cloud/adapter.ts";
import { Containers, type ContainersParts } from "../../src/cloud/containers.ts";
import { hourlyRate } from "../../src/metering/money.ts";
import type { Instant } from "../../src/metering/time.ts";
import type { Upstream } from "../../src/policy/policy.ts";
import { perHour, policy, TEN, upstream, ZERO } from "../support/policies.ts";

const docker = (name: string) => ({ kind: "docker", name, socket: "/run/docker.sock" }) as const;
const nim = (id: string, name = id, over: Partial<Upstream> = {}) =>
  upstream(id, { container: docker(name), hasContainer: true, price: perHour("3.6"), ...over });

class Engine {
  readonly says = new Map<string, Sighting>();
  readonly orders: string[] = [];
  readonly told: string[] = [];
  readonly containers: Containers;
  looks: (() => void)[] = [];
  /** Whether a stop is answered. */
  answers = true;

  constructor() {
    const parts: ContainersParts = {
      adapterFor: (one) => (one.kind === "docker" ? this.#adapter(one.name) : undefined),
      hosts: {
        ...{ hostFor: () => undefined, waiting: () => 0, changed: () => undefined },
        watchedUntil: undefined,
        lived: () => undefined,
        ...{ kept: () => undefined, keep: () => undefined },
        seen: ({ machine, only }, { id, since }) =>
          this.told.push(`${machine} ${id} since ${(since - TEN) / 1e6} of ${only}`),
        only: (machine, upstreams, ids) => this.told.push(`only ${ids} on ${machine} of ${upstreams}`),
      },
      callsPerMinute: () => 60,
      dryRun: () => undefined,
      would: () => undefined,
      running: () => 0,
      isServing: async () => true,
      seen: ({ id }, up) => this.told.push(`${id} ${up.id}`),
      off: (id) => this.told.push(`off ${id}`),
      only: (id, container) => this.told.push(`only ${container} of ${id}`),
      bug: (error) => this.told.push(String(error)),
      changed: () => undefined,
      now: () => TEN as Instant,
      after: (_delay, call) => {
        this.looks.push(call);
        return () => undefined;
      },
      random: () => 0.5,
    };
    this.containers = new Containers(parts);
  }

  #adapter(name: string): Adapter {
    const id = `c-${name}`;
    return {
      observe: async () => this.says.get(name) ?? { kind: "off", id, stopped: undefined, why: undefined },
      start: async () => void this.orders.push(`start ${name}`),
      stop: async () => {
        this.orders.push(`stop ${name}`);
        if (!this.answers) await new Promise(() => undefined);
      },
    };
  }

  up(name: string, after = 0): void {
    const own = { id: `c-${name}`, since: (TEN + after * 1e6) as Instant, url: "http://127.0.0.1:8000" };
    this.says.set(name, { kind: "up", ...own, isHealthy: undefined, isStopping: false });
  }

  /** Everybody looks, at its own time. */
  async look(): Promise<void> {
    await settled();
    for (const call of this.looks.splice(0)) call();
    await settled();
    this.told.splice(0, this.told.length, ...new Set(this.told));
  }
}

const settled = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));

test("who is in the policy is watched, told of and ordered about; who has no container is not", async (t) => {
  const engine = new Engine();
  engine.up("a");
  engine.containers.follow(policy({ upstreams: [nim("a"), nim("b"), upstream("plain")] }));
  await engine.look();
  t.deepEqual(
    engine.containers.list().map(({ upstream: { id }, view }) => [id, view.state.kind]),
    [
      ["a", "ready"],
      ["b", "off"],
    ],
  );
  t.is(engine.containers.find("plain"), undefined);
  t.is(await engine.containers.order("start", "plain"), undefined);
  t.deepEqual(await engine.containers.order("start", "b"), { kind: "ordered" });
  t.deepEqual(engine.orders, ["start b"]);
});

test("one that leaves the policy while it starts is told of when it comes", async (t) => {
  const engine = new Engine();
  engine.containers.follow(policy({ upstreams: [nim("a")] }));
  await engine.look();
  await engine.containers.order("start", "a");
  engine.containers.follow(policy({ upstreams: [upstream("plain")] }));
  engine.up("a");
  await engine.look();
  t.true(engine.told.includes("a c-a"), engine.told.join(", "));
});

test("one that leaves the policy is told of until it is off, and takes no orders", async (t) => {
  const engine = new Engine();
  engine.up("a");
  engine.containers.follow(policy({ upstreams: [nim("a")] }));
  await engine.look();
  engine.containers.follow(policy({ upstreams: [upstream("plain")] }));
  t.deepEqual(engine.containers.list(), []);
  t.is(await engine.containers.order("stop", "a"), undefined);
  engine.told.length = 0;
  await engine.look();
  t.deepEqual(engine.told, ["a c-a"]);
  engine.says.clear();
  engine.told.length = 0;
  await engine.look();
  t.deepEqual(engine.told, ["off c-a"]);
  engine.told.length = 0;
  await engine.look();
  t.deepEqual(engine.told, [], "nobody looks any more");
});

test("a renamed upstream's container is watched once, by its new name", async (t) => {
  const engine = new Engine();
  engine.up("a");
  engine.containers.follow(policy({ upstreams: [nim("old", "a")] }));
  await engine.look();
  engine.containers.follow(policy({ upstreams: [nim("new", "a")] }));
  engine.told.length = 0;
  await engine.look();
  await engine.look();
  t.deepEqual(engine.told, ["only c-a of new", "new c-a"]);
});

test("an upstream that names another container ends nothing of the one that still runs", async (t) => {
  const engine = new Engine();
  engine.up("a");
  engine.up("b");
  engine.containers.follow(policy({ upstreams: [nim("nim", "a")] }));
  await engine.look();
  engine.containers.follow(policy({ upstreams: [nim("nim", "b")] }));
  engine.told.length = 0;
  await engine.look();
  t.deepEqual(engine.told.toSorted(), ["nim c-a", "nim c-b"]);
});

test("to stop all is to stop what costs money, and only that", async (t) => {
  const engine = new Engine();
  for (const name of ["paid", "idle", "free"]) engine.up(name);
  const free = { price: perHour("0"), idleRate: ZERO as never };
  const idle = { price: perHour("0"), idleRate: hourlyRate(1n) };
  engine.containers.follow(
    policy({ upstreams: [nim("paid"), nim("idle", "idle", idle), nim("free", "free", free), nim("off")] }),
  );
  await engine.look();
  t.deepEqual(await engine.containers.stopAll(), ["paid", "idle"]);
  t.deepEqual(engine.orders, ["stop paid", "stop idle"]);
});

test("whoever orders a stop that its engine is slow to answer is told that it is under way", async (t) => {
  const engine = new Engine();
  engine.up("a");
  engine.answers = false;
  engine.containers.follow(policy({ upstreams: [nim("a")] }));
  await engine.look();
  const told = [engine.containers.orderSoon("stop", "a"), engine.containers.stopAll()] as const;
  await engine.look();
  t.deepEqual(await told[0], { kind: "ordered" });
  t.deepEqual(engine.orders, ["stop a"]);
  t.is(engine.containers.find("a")?.view.state.kind, "stopping");
  await told[1];
});

const host = (upstreams: readonly Upstream[]) => {
  const group = { kind: "docker_host", socket: "/run/docker.sock" } as const;
  const price = { price: perHour("3.6"), idleRate: hourlyRate(1n), minBilled: 0 };
  return policy({ upstreams, machines: new Map([["gpu", { id: "gpu", ...price, group } as never]]) });
};
const GPU = "docker host /run/docker.sock";

test("two containers on one Docker host cost once, since the first of them, until the last one ends", async (t) => {
  const engine = new Engine();
  engine.up("a");
  engine.containers.follow(host([nim("a", "a", { machine: "gpu" }), nim("b", "b", { machine: "gpu" })]));
  await engine.look();
  engine.told.length = 0;
  engine.up("b", 60);
  await engine.look();
  await engine.look();
  t.deepEqual(
    engine.told,
    [`only ${GPU} on gpu of a,b`, `gpu ${GPU} since 0 of undefined`].toSorted(
      (one, other) => engine.told.indexOf(one) - engine.told.indexOf(other),
    ),
  );
  // The first one ends: the machine is up since then all the same.
  engine.says.delete("a");
  engine.told.length = 0;
  await engine.look();
  await engine.look();
  t.true(engine.told.includes(`gpu ${GPU} since 0 of undefined`));
  t.false(
    engine.told.some((text) => /since 60|^off|^[ab] /.test(text)),
    engine.told.join("\n"),
  );
  t.deepEqual(engine.containers.find("b")?.machine?.needs, ["b is ready"]);
  engine.says.delete("b");
  engine.told.length = 0;
  await engine.look();
  await engine.look();
  t.true(engine.told.includes(`off ${GPU}`));
  t.is(engine.containers.find("b")?.machine?.view.state, "off");
});

test("a container that gets a machine while it runs is its own until then, and the machine's from then on", async (t) => {
  const engine = new Engine();
  engine.up("a", -60);
  engine.containers.follow(policy({ upstreams: [nim("a")] }));
  await engine.look();
  engine.told.length = 0;
  engine.containers.follow(host([nim("a", "a", { machine: "gpu" })]));
  await engine.look();
  t.true(engine.told.includes("only undefined of a"));
  t.true(engine.told.includes(`gpu ${GPU} since 0 of a`), engine.told.join("\n"));
  t.false(engine.told.includes("a c-a"));
  engine.told.length = 0;
  engine.containers.follow(policy({ upstreams: [nim("a")] }));
  await engine.look();
  t.true(engine.told.includes(`off ${GPU}`), engine.told.join("\n"));
  t.true(engine.told.includes("a c-a"));
});
