// The policy file is saved while requests run: the next ones go elsewhere, none is dropped, and a file that
// cannot be used changes nothing but what is told about it.

import { once } from "node:events";
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { type Nim, startNim } from "../../src/demo/nim.ts";
import { freePort } from "../support/free-port.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { ask, askImage, eventually } from "../support/gateway-client.ts";
import { type GatewayFolder, makeFolder } from "../support/gateway-folder.ts";

type Which = "flux-one" | "flux-two";

const POLICY = (nim: Nim, chosen: Which, port?: number) => `version: 1
mode: manual
upstreams:
  flux-one: { provider: other, url: "${nim.url}", price: { usd_per_request: 0.01 } }
  flux-two: { provider: other, url: "${nim.url}", price: { usd_per_request: 0.02 } }
models:
  flux-dev: { ${port === undefined ? "" : `port: ${port}, `}upstreams: [flux-one, flux-two], manual: ${chosen} }
`;

async function begin(t: ExecutionContext, prepare?: (folder: GatewayFolder) => void) {
  const nim = await startNim({ scale: 1 });
  const folder = makeFolder(POLICY(nim, "flux-one"));
  prepare?.(folder);
  const gateway = await startGateway(undefined, { folder });
  t.teardown(async () => {
    await gateway.stop();
    await nim.close();
    folder.remove();
  });
  return { nim, folder, gateway };
}

function linked({ path, policyPath }: GatewayFolder): void {
  renameSync(policyPath, join(path, "v1.yaml"));
  symlinkSync("v1.yaml", policyPath);
}

const WAYS: Record<
  string,
  { prepare?: (at: GatewayFolder) => void; save: (at: GatewayFolder, text: string) => void }
> = {
  "written in place": { save: ({ policyPath }, text) => writeFileSync(policyPath, text) },
  "replaced by renaming": {
    save: ({ policyPath }, text) => {
      writeFileSync(`${policyPath}.new`, text);
      renameSync(`${policyPath}.new`, policyPath);
    },
  },
  "deleted and made anew": {
    save: ({ policyPath }, text) => {
      unlinkSync(policyPath);
      writeFileSync(policyPath, text);
    },
  },
  "written in place behind a symbolic link": {
    prepare: linked,
    save: ({ path }, text) => writeFileSync(join(path, "v1.yaml"), text),
  },
  "renamed behind a symbolic link": {
    prepare: linked,
    save: ({ path }, text) => {
      writeFileSync(join(path, "v1.new"), text);
      renameSync(join(path, "v1.new"), join(path, "v1.yaml"));
    },
  },
  "a symbolic link that is swapped": {
    prepare: linked,
    save: ({ path, policyPath }, text) => {
      const name = `v${process.hrtime.bigint()}.yaml`;
      writeFileSync(join(path, name), text);
      symlinkSync(name, join(path, "next"));
      renameSync(join(path, "next"), policyPath);
    },
  },
};

for (const [way, { prepare, save }] of Object.entries(WAYS)) {
  test(`a policy ${way} under load turns the routing and drops no request`, async (t) => {
    const { nim, folder, gateway } = await begin(t, prepare);
    const load = underLoad(gateway);
    for (const chosen of ["flux-two", "flux-one", "flux-two"] as const) {
      const saved = performance.now();
      save(folder, POLICY(nim, chosen));
      await load.until(chosen);
      t.log(`${chosen} after ${Math.round(performance.now() - saved)} ms`);
    }
    const statuses = await load.end();
    t.deepEqual(
      statuses.filter((status) => status !== 200),
      [],
    );
    t.is((await gateway.client.usage()).requests, statuses.length);
  });
}

test("a folder that is swapped behind a symbolic link, as Kubernetes does, turns the routing", async (t) => {
  const versions = (folder: GatewayFolder, name: string, text: string) => {
    mkdirSync(join(folder.path, name));
    writeFileSync(join(folder.path, name, "policy.yaml"), text);
    symlinkSync(name, join(folder.path, "data-next"));
    renameSync(join(folder.path, "data-next"), join(folder.path, "..data"));
  };
  const { nim, folder, gateway } = await begin(t, (at) => {
    const text = readFileSync(at.policyPath, "utf8");
    rmSync(at.policyPath);
    versions(at, "..v1", text);
    symlinkSync("..data/policy.yaml", at.policyPath);
  });
  for (const [index, chosen] of (["flux-two", "flux-one", "flux-two"] as const).entries()) {
    versions(folder, `..v${index + 2}`, POLICY(nim, chosen));
    await eventually(`requests go to ${chosen}`, async () => (await upstreamOf(gateway)) === chosen);
  }
  t.pass();
});

test("a broken policy leaves the last good one in force and says so; the next good one heals it", async (t) => {
  const { nim, folder, gateway } = await begin(t);
  folder.save(`${POLICY(nim, "flux-two")}nonsense: 1\n`);
  await eventually("the problem is told", async () => !(await gateway.client.status()).policy.valid);
  t.is(await upstreamOf(gateway), "flux-one");
  t.regex(await gateway.client.metrics(), /^budgetguard_policy_valid 0$/m);
  const { problems, text } = await gateway.client.policy();
  t.like(problems[0], { line: 8, column: 1 });
  t.is(text, POLICY(nim, "flux-one"));

  rmSync(folder.policyPath);
  await eventually("a missing file is told too", async () =>
    /no such file/.test((await gateway.client.policy()).problems[0]?.text ?? ""),
  );
  t.is(await upstreamOf(gateway), "flux-one");

  folder.save(POLICY(nim, "flux-two"));
  await eventually("it is healed", async () => (await upstreamOf(gateway)) === "flux-two");
  t.regex(await gateway.client.metrics(), /^budgetguard_policy_valid 1$/m);
  t.true((await gateway.client.status()).policy.valid);
});

test("going back to the very text that is in force heals a broken policy", async (t) => {
  const { nim, folder, gateway } = await begin(t);
  folder.save("version: 2\n");
  await eventually("the problem is told", async () => !(await gateway.client.status()).policy.valid);
  folder.save(POLICY(nim, "flux-one"));
  await eventually("it is valid again", async () => (await gateway.client.status()).policy.valid);
  t.pass();
});

test("a model's port opens when the policy names it, and closes once its last request has ended", async (t) => {
  const { nim, folder, gateway } = await begin(t);
  const port = await freePort();
  const own = `http://127.0.0.1:${port}`;
  folder.save(POLICY(nim, "flux-one", port));
  await eventually("the port is open", async () => (await askImage(own)).status === 200);
  const ready = await ask(`${own}/v1/health/ready`, { method: "GET" });
  t.is(ready.status, 200);
  t.true((await gateway.client.status()).listeners.some(({ model }) => model === "flux-dev"));

  const slow = askImage(own, { steps: 100, headers: { "X-Nim-Fault": '{"kind":"slow_head","ms":5000}' } });
  await eventually("it is under way", () => nim.inFlight() > 0);
  folder.save(POLICY(nim, "flux-one"));
  await eventually("the port takes nothing new", async () => (await askImage(own)).status === 0);
  t.is(nim.inFlight(), 1, "the request under way was broken off");
  const reply = await slow;
  t.true(reply.status === 200 && reply.isWhole);
  t.false((await gateway.client.status()).listeners.some(({ model }) => model === "flux-dev"));
});

const opensLater = test.macro(
  async (t, heal: (nim: Nim, port: number, gateway: Gateway) => Promise<void> | void) => {
    const { nim, folder, gateway } = await begin(t);
    const port = await freePort();
    const taken = createServer().listen(port, "127.0.0.1");
    await once(taken, "listening");
    folder.save(POLICY(nim, "flux-two", port));
    const told = async () => (await gateway.client.policy()).problems[0]?.text;
    t.regex(await eventually("it is told", told), new RegExp(`127\\.0\\.0\\.1:${port} is taken`));
    t.is(await upstreamOf(gateway), "flux-two", "the policy is in force all the same");
    taken.close();
    await once(taken, "close");
    await heal(nim, port, gateway);
    await eventually("it is valid", async () => (await gateway.client.status()).policy.valid);
    t.is((await askImage(`http://127.0.0.1:${port}`)).status, 200);
  },
);

test("a new model's port that was taken opens with the next policy", opensLater, (nim, port, { folder }) =>
  folder.save(POLICY(nim, "flux-one", port)),
);
// src/daemon/policy-file.ts skips a text that it knows, so its listeners are not tried again.
test(
  "a new model's port that was taken opens when the policy is read again",
  opensLater,
  async (_, _port, { daemon, client }) => {
    await daemon.reload();
    const { listeners } = await client.status();
    if (!listeners.some(({ model }) => model === "flux-dev")) throw new Error("the port is still closed");
  },
);

test("what is under way on a port that has left the policy may still end when the gateway stops", async (t) => {
  const nim = await startNim({ scale: 1 });
  const port = await freePort();
  const gateway = await startGateway(POLICY(nim, "flux-one", port));
  t.teardown(() => nim.close());
  const slow = askImage(`http://127.0.0.1:${port}`, {
    headers: { "X-Nim-Fault": '{"kind":"slow_head","ms":2000}' },
  });
  await eventually("it is under way", () => nim.inFlight() === 1);
  gateway.folder.save(POLICY(nim, "flux-one"));
  await gateway.daemon.reload();
  await gateway.stop();
  const reply = await slow;
  t.is(reply.status, 200);
  t.true(reply.isWhole);
});

/** Eight artists who never stop asking. */
function underLoad({ url }: Gateway) {
  const statuses: number[] = [];
  let last: unknown;
  let isOver = false;
  const artist = async () => {
    while (!isOver) {
      const { status, headers } = await askImage(url);
      statuses.push(status);
      last = headers["x-budgetguard-upstream"];
      await sleep(5);
    }
  };
  const artists = Array.from({ length: 8 }, artist);
  return {
    until: (upstream: string) => eventually(`requests go to ${upstream}`, () => last === upstream),
    /** However slow the machine: enough requests that one which was dropped would be among them. */
    end: async () => {
      await eventually("20 requests have ended", () => statuses.length > 20);
      isOver = true;
      await Promise.all(artists);
      return statuses;
    },
  };
}

async function upstreamOf({ url }: Gateway): Promise<string> {
  return String((await askImage(url)).headers["x-budgetguard-upstream"]);
}
