// What the Docker adapter makes of an engine's answers, and of those that it does not give: shapes from Docker's
// own description of its API, 1.40.

import { getEventListeners } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { Trouble } from "../../src/cloud/adapter.ts";
import { DockerContainer } from "../../src/cloud/docker.ts";
import { DockerEngine } from "../../src/cloud/docker-engine.ts";
import { type FakeEngine, fakeEngine } from "../support/fake-engine.ts";
import { eventually } from "../support/gateway-client.ts";

const SIGNAL = new AbortController().signal;
const LOOK = "GET /v1.40/containers/nim/json";
const START = "POST /v1.40/containers/nim/start";
const SINCE = Date.UTC(2026, 10, 22, 1) * 1000 + 461_876;

function inspected(state: object, ports: object = {}) {
  return {
    Id: "8dfafdbc3a40",
    State: {
      ...{
        Status: "running",
        StartedAt: "2026-11-22T01:00:00.461876391Z",
        FinishedAt: "0001-01-01T00:00:00Z",
      },
      ...{ ExitCode: 0, Error: "", OOMKilled: false },
      ...state,
    },
    NetworkSettings: { Ports: ports },
  };
}

interface Rig {
  readonly engine: FakeEngine;
  readonly nim: DockerContainer;
  readonly waits: number[];
}

async function rigOf(t: ExecutionContext): Promise<Rig> {
  const engine = await fakeEngine(t);
  const own = new DockerEngine(engine.socket);
  t.teardown(() => own.close());
  const waits: number[] = [];
  const after = (delay: number, call: () => void) => {
    waits.push(delay / 1_000_000);
    const timer = setTimeout(call, 1);
    return () => clearTimeout(timer);
  };
  return { engine, waits, nim: new DockerContainer({ engine: own, name: "nim", after }) };
}

const UP = {
  kind: "up",
  id: "8dfafdbc3a40",
  since: SINCE,
  url: undefined,
  isHealthy: undefined,
  isStopping: false,
};
const OFF = { kind: "off", id: "8dfafdbc3a40", stopped: undefined, why: undefined };
const ENDED = "2026-11-22T02:00:00+00:00";
const STOPPED = Date.UTC(2026, 10, 22, 2) * 1000;

const looks = [
  ["runs", {}, UP],
  ["runs and is said to be starting", { Health: { Status: "starting" } }, { ...UP, isHealthy: false }],
  ["is healthy", { Health: { Status: "healthy" } }, { ...UP, isHealthy: true }],
  ["is unhealthy", { Health: { Status: "unhealthy" } }, { ...UP, isHealthy: false }],
  ["has no health check", { Health: { Status: "none" } }, UP],
  ["is healthy by podman's word", { Healthcheck: { Status: "healthy" } }, { ...UP, isHealthy: true }],
  ["is paused: it costs, and answers nobody", { Status: "paused" }, { ...UP, isHealthy: false }],
  ["is restarting", { Status: "restarting" }, { ...UP, isHealthy: false }],
  ["is being removed", { Status: "removing" }, { ...UP, isHealthy: false, isStopping: true }],
  ["was never started", { Status: "created" }, OFF],
  ["was stopped", { Status: "exited", ExitCode: 143, FinishedAt: ENDED }, { ...OFF, stopped: STOPPED }],
  [
    "was killed for want of memory",
    { Status: "exited", ExitCode: 137, OOMKilled: true, FinishedAt: ENDED },
    { ...OFF, stopped: STOPPED, why: "it was killed for want of memory" },
  ],
  [
    "ended by itself",
    { Status: "exited", ExitCode: 3, FinishedAt: ENDED },
    { ...OFF, stopped: STOPPED, why: "it ended by itself with code 3" },
  ],
  ["could not start", { Status: "created", Error: "no such device" }, { ...OFF, why: "no such device" }],
] as const;

for (const [what, state, seen] of looks) {
  test(`a container that ${what}`, async (t) => {
    const { engine, nim } = await rigOf(t);
    engine.answers[LOOK] = [200, inspected(state)];
    t.deepEqual(await nim.observe(SIGNAL), seen as never);
  });
}

const at = (HostPort: string, HostIp = "0.0.0.0") => [{ HostIp, HostPort }];
const addresses = [
  ["its only port", { "5000/tcp": at("5001") }, "http://127.0.0.1:5001"],
  ["a NIM's port before others", { "22/tcp": at("2222"), "8000/tcp": at("8001") }, "http://127.0.0.1:8001"],
  ["the address that it is bound to", { "8000/tcp": at("8000", "10.0.3.7") }, "http://10.0.3.7:8000"],
  ["an IPv6 address", { "8000/tcp": at("8000", "::1") }, "http://[::1]:8000"],
  ["any IPv6 address", { "8000/tcp": at("8000", "::") }, "http://127.0.0.1:8000"],
  ["none where several could be meant", { "1/tcp": at("1"), "2/tcp": at("2") }, undefined],
  ["none where none is published", { "8000/tcp": null }, undefined],
] as const;

for (const [what, ports, url] of addresses) {
  test(`it is reached at ${what}`, async (t) => {
    const { engine, nim } = await rigOf(t);
    engine.answers[LOOK] = [200, inspected({}, ports)];
    t.is(((await nim.observe(SIGNAL)) as { url?: string }).url, url);
  });
}

const refusals = [
  [404, { message: "No such container: nim" }, "not_found", /no container nim: `docker ps -a`/],
  [
    500,
    { message: 'could not select device driver "" with capabilities: [[gpu]]' },
    "failed",
    /Container Toolkit/,
  ],
  [500, { message: "driver failed: port is already allocated" }, "failed", /publish it on another one/],
  [403, { message: "authorization denied by plugin" }, "denied", /authorization denied/],
  [502, "<html>bad gateway</html>", "failed", /bad gateway/],
  [500, undefined, "failed", /status 500/],
] as const;

for (const [status, body, kind, text] of refusals) {
  test(`an order that is refused with ${status} ${JSON.stringify(body)} says so as ${kind}`, async (t) => {
    const { engine, nim } = await rigOf(t);
    engine.answers[START] = [status, body];
    const trouble = await t.throwsAsync(nim.start(SIGNAL), { instanceOf: Trouble, message: text });
    t.is((trouble as Trouble).kind, kind);
  });
}

for (const status of [204, 304]) {
  test(`an order that is answered with ${status} is done`, async (t) => {
    const { engine, nim } = await rigOf(t);
    engine.answers[START] = [status, undefined];
    engine.answers["POST /v1.40/containers/nim/stop"] = [status, undefined];
    await nim.start(SIGNAL);
    await nim.stop(SIGNAL);
    t.deepEqual(engine.asked, [START, "POST /v1.40/containers/nim/stop?t=30"]);
  });
}

test("an engine that says something else is not believed", async (t) => {
  const { engine, nim } = await rigOf(t);
  const odd = [null, {}, [], "not JSON", { Id: "x", State: {} }, { Id: "x", State: { Status: "running" } }];
  for (const body of [...odd, inspected({ StartedAt: "soon" })]) {
    engine.answers[LOOK] = [200, body];
    await t.throwsAsync(nim.observe(SIGNAL), { instanceOf: Trouble }, JSON.stringify(body));
  }
});

test("no answer is no state: it is said who is not there, and what to do", async (t) => {
  const { engine } = await rigOf(t);
  const nobody = new DockerEngine("/nonexistent/docker.sock");
  await t.throwsAsync(nobody.ask("GET", "/_ping", 500, SIGNAL), {
    instanceOf: Trouble,
    message: /nothing listens at \/nonexistent\/docker.sock: start Docker/,
  });
  engine.answers[LOOK] = "hang";
  const slow = new DockerEngine(engine.socket);
  t.teardown(() => slow.close());
  const late = await t.throwsAsync(slow.ask("GET", "/containers/nim/json", 50, SIGNAL), {
    instanceOf: Trouble,
  });
  t.like(late, {
    kind: "timeout",
    message: `the Docker Engine at ${engine.socket} did not answer for 0.05 s`,
  });
});

test("who no longer wants to know is no trouble of the engine's", async (t) => {
  const { engine, nim } = await rigOf(t);
  engine.answers[LOOK] = "hang";
  const control = new AbortController();
  const looking = nim.observe(control.signal);
  control.abort(new Error("the gateway stops"));
  await t.throwsAsync(looking, { message: "the gateway stops" });
});

test("each event makes it look, also one that comes in two pieces", async (t) => {
  const { engine, nim } = await rigOf(t);
  let told = 0;
  t.teardown(nim.watch(() => (told += 1)));
  await eventually("it watches", () => engine.streams.size === 1);
  t.regex(decodeURIComponent(engine.asked[0] ?? ""), /"container":\["nim"\]/);
  const [stream] = engine.streams;
  stream?.write('{"Action":"start"}\n{"Act');
  await eventually("the first is told", () => told === 1);
  stream?.write('ion":"die"}\n\n');
  await eventually("the second is told", () => told === 2);
});

test("a stream that is lost is followed anew, later each time, and looked after in between", async (t) => {
  const { engine, nim, waits } = await rigOf(t);
  let told = 0;
  const end = nim.watch(() => (told += 1));
  for (let losses = 1; losses <= 4; losses += 1) {
    await eventually("it watches", () => engine.streams.size === 1);
    for (const stream of engine.streams) stream.destroy();
    await eventually("the loss is told", () => told >= losses && engine.streams.size === 1);
  }
  t.deepEqual(waits, [1, 2, 5, 15]);
  end();
  await eventually("nobody watches", () => engine.streams.size === 0);
  t.is(waits.length, 4);
});

test("many containers of one engine are watched, and each is seen and stopped all the same", async (t) => {
  const { engine } = await rigOf(t);
  const own = new DockerEngine(engine.socket);
  t.teardown(() => own.close());
  const names = Array.from({ length: 20 }, (_, count) => `nim-${count}`);
  const all = names.map((name) => new DockerContainer({ engine: own, name, after: () => () => undefined }));
  for (const name of names) {
    engine.answers[`GET /v1.40/containers/${name}/json`] = [200, inspected({})];
    engine.answers[`POST /v1.40/containers/${name}/stop`] = [204, undefined];
  }
  const ends = all.map((nim) => nim.watch(() => undefined));
  await eventually("all are watched", () => engine.streams.size === names.length);
  const seen = await Promise.all(all.map((nim) => nim.observe(SIGNAL)));
  t.true(seen.every(({ kind }) => kind === "up"));
  await Promise.all(all.map((nim) => nim.stop(SIGNAL)));
  for (const end of ends) end();
  await eventually("nobody watches", () => engine.streams.size === 0);
});

test("an engine that is away for long leaves nothing behind but the next try", async (t) => {
  const signals = new Set<AbortSignal>();
  const lines = (_path: string, signal: AbortSignal) => {
    signals.add(signal);
    throw new Error("nobody is there");
  };
  let next: (() => void) | undefined;
  const after = (_delay: number, call: () => void) => {
    next = call;
    return () => {
      next = undefined;
    };
  };
  const nim = new DockerContainer({ engine: { lines } as never, name: "nim", after });
  const end = nim.watch(() => undefined);
  for (let losses = 0; losses < 50; losses += 1) {
    await turn();
    next?.();
  }
  await turn();
  const [signal, ...others] = signals;
  t.is(others.length, 0);
  t.is(signal && getEventListeners(signal, "abort").length, 0);
  end();
  t.is(next, undefined);
});

test("a name with a slash is one name", async (t) => {
  const engine = await fakeEngine(t);
  const own = new DockerEngine(engine.socket);
  t.teardown(() => own.close());
  const odd = new DockerContainer({ engine: own, name: "../images", after: () => () => undefined });
  await t.throwsAsync(odd.observe(SIGNAL), { instanceOf: Trouble });
  t.deepEqual(engine.asked, ["GET /v1.40/containers/..%2Fimages/json"]);
});
