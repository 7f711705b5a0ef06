// The demo ends in order whenever it is told to, fails when a step does not do what it says, and finds ports
// and a folder, or says which it could not find.

import { once } from "node:events";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { dirname } from "node:path";
import test, { type ExecutionContext } from "ava";
import { type Answer, artistAsks } from "../../src/demo/artist.ts";
import { type DemoOptions, runDemo } from "../../src/demo/run.ts";
import type { Tell } from "../../src/demo/tell.ts";
import { spawned, startCli } from "../support/cli.ts";

const NEVER = new Promise<void>(() => {});
const ANYWHERE = { listen: "localhost:0", admin: "localhost:0" };

/** Keeps what the demo tells, and removes its folder with the test. */
function listening(t: ExecutionContext, heard: Partial<Tell> = {}) {
  const told = { gateway: "", policy: "", steps: 0, failure: "" };
  t.teardown(() => told.policy !== "" && rmSync(dirname(told.policy), { recursive: true, force: true }));
  const tell: Tell = {
    opening: (gateway, policy) => void Object.assign(told, { gateway, policy }),
    step: (number) => void Object.assign(told, { steps: number }),
    image: () => {},
    refusal: () => {},
    reloaded: () => {},
    serving: () => {},
    ended: () => {},
    failed: (error) => void Object.assign(told, { failure: String(error) }),
    ...heard,
  };
  const run = (options: Partial<DemoOptions> = {}) =>
    runDemo({ once: true, tell, stopped: NEVER, ...ANYWHERE, ...options });
  return { told, run };
}

for (const [moment, pattern] of [
  ["while it serves", /Serving until Ctrl-C\./],
  ["in the middle of the story", /1\. An artist/],
] as const) {
  test(`one Ctrl-C, which arrives twice, ends it in order ${moment}`, async (t) => {
    const demo = startCli(t, ["demo"]);
    const [, folder = ""] = await demo.said(/policy +(\S+)\/policy\.yaml/);
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    await demo.said(pattern);
    demo.child.kill("SIGINT");
    // Blocks: a busy machine must not make two keystrokes of it.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    demo.child.kill("SIGINT");
    t.is(await demo.ended, 0, demo.text());
    t.regex(demo.text(), /\nThe gateway has ended\.\n {3}files +\/\S+budgetguard-demo-/);
    const kept = readdirSync(folder).filter((name) => !/^(?:policy\.yaml|\w+\.png)$/.test(name));
    t.deepEqual(kept, [], "pictures and policy stay, the ledger goes");
  });
}

type Change = (answer: Answer, asked: number) => Partial<Answer>;
const broken: readonly (readonly [string, Change, RegExp, number])[] = [
  ["an error", () => ({ status: 500, reason: "Broken" }), /the gateway answered 500 Broken/, 1],
  ["another upstream", () => ({ upstream: "flux-aws" }), /flux-aws served it, and not flux-local/, 1],
  ["no picture", () => ({ body: '{"artifacts":[]}' }), /what came back is no PNG/, 1],
  ["the old route", (_, asked) => (asked === 2 ? { upstream: "flux-local" } : {}), /and not flux-aws/, 2],
  ["no refusal", (_, asked) => (asked === 3 ? { status: 200 } : {}), /answered 200 and not 402/, 3],
  ["a refusal to repeat", (_, asked) => (asked === 3 ? { retry: "" } : {}), /x-should-retry: false/, 3],
];
for (const [what, change, failure, step] of broken) {
  test(`a step that gets ${what} fails the demo`, async (t) => {
    const { told, run } = listening(t);
    let asked = 0;
    const artist = async (gateway: string) => {
      const answer = await artistAsks(gateway);
      asked += 1;
      return { ...answer, ...change(answer, asked) };
    };
    t.is(await run({ artist }), 1);
    t.regex(told.failure, failure);
    t.is(told.steps, step);
    t.false(existsSync(`${dirname(told.policy)}/data`));
  });
}

test("where the usual ports are taken it takes free ones", async (t) => {
  const ports = await Promise.all(
    [0, 1].map(async () => {
      const server = createServer().listen(0, "127.0.0.1");
      t.teardown(() => server.close());
      await once(server, "listening");
      return (server.address() as AddressInfo).port;
    }),
  );
  const [listen, admin] = ports.map((port) => `localhost:${port}`);
  const opened = Promise.withResolvers<void>();
  const { told, run } = listening(t);
  const stopped = opened.promise;
  const artist = (gateway: string) => {
    opened.resolve();
    return artistAsks(gateway);
  };
  t.is(await run({ stopped, artist, listen: listen ?? "", admin: admin ?? "" }), 0, told.failure);
  t.regex(told.gateway, /^http:\/\/127\.0\.0\.1:\d+$/);
  t.false(ports.some((port) => told.gateway.endsWith(`:${port}`)));
});

test("a temporary folder that cannot be written is a sentence, and 1", async (t) => {
  const { code, stdout, stderr } = await spawned(["demo", "--once"], { TMPDIR: "/proc/nowhere" });
  t.deepEqual([code, stdout], [1, ""]);
  t.regex(stderr, /^\nThe demo failed: cannot write to \/proc\/nowhere: set TMPDIR to .*\n$/);
});
