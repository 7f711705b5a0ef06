// The ledger's disk fails while requests run: nothing new is sent, nothing looks complete that is not written
// down, and when the disk is back all of it is there.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test from "ava";
import { type Nim, startNim } from "../../src/demo/nim.ts";
import { startGateway } from "../support/gateway.ts";
import { askImage, eventually, jsonOf, type Reply } from "../support/gateway-client.ts";
import { makeFolder } from "../support/gateway-folder.ts";
import { spawnGateway } from "../support/gateway-process.ts";
import { run } from "../support/program.ts";
import { passOver } from "../support/real.ts";

const POLICY = ({ url }: Nim) => `version: 1
mode: lowest_price
upstreams:
  flux-pod: { provider: other, url: "${url}", price: { usd_per_request: 0.01 } }
models:
  flux-dev: { upstreams: [flux-pod] }
budgets:
  - { id: studio-day, limit_usd: 20, period: daily, on_limit: block }
`;

const SLOW = { "X-Nim-Fault": '{"kind":"slow_head","ms":500}' };

function isUnavailable(reply: Reply): boolean {
  return reply.status === 503 && (jsonOf(reply).error as { code?: string }).code === "ledger_unavailable";
}

test("while the ledger cannot be written nobody gets a complete reply, and afterwards all is in it", async (t) => {
  const nim = await startNim({ scale: 1 });
  const gateway = await startGateway(POLICY(nim));
  t.teardown(() => Promise.all([gateway.stop(), nim.close()]));
  const before = await askImage(gateway.url);
  t.is(before.status, 200);

  const underWay = askImage(gateway.url, { headers: SLOW });
  await eventually("it is under way", () => nim.inFlight() === 1);
  // Whoever else holds SQLite's one write lock makes every commit fail, as a full disk does.
  const other = new DatabaseSync(join(gateway.folder.dataPath, "ledger.db"), { timeout: 5000 });
  other.exec("BEGIN IMMEDIATE");
  const refused = await askImage(gateway.url);
  const broken = await underWay;
  const sent = nim.requests.length;
  t.true(isUnavailable(refused), `${refused.status} ${refused.reason}`);
  t.is(refused.headers["retry-after"], "5");
  t.false(broken.isWhole, "a reply looks complete that is not written down");
  t.false((await gateway.client.readiness()).ready);
  t.is(sent, 2, "something was sent that is not held");
  t.regex(await gateway.client.metrics(), /^budgetguard_ledger_errors_total [1-9]/m);
  other.exec("ROLLBACK");
  other.close();

  await eventually("it serves again", async () => (await askImage(gateway.url)).status === 200);
  await eventually("it is ready", async () => (await gateway.client.readiness()).ready);
  const { items } = await gateway.client.requests();
  t.true(items.every(({ outcome, charged_usd }) => outcome === "relayed" && charged_usd === "0.01"));
  t.is(items.length, nim.requests.length);
  const [budget] = (await gateway.client.status()).budgets;
  t.is(budget?.settled, `0.0${items.length}`);
  t.is(budget?.held, "0.00");
});

test("a disk that is full refuses with 503, and serves again once there is room", async (t) => {
  const nim = await startNim({ scale: 1 });
  const folder = makeFolder(POLICY(nim));
  mkdirSync(folder.dataPath, { mode: 0o700 });
  const mounted = await run("mount", ["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", folder.dataPath]);
  t.teardown(async () => {
    await run("umount", [folder.dataPath]);
    await nim.close();
    folder.remove();
  });
  if (mounted.code !== 0)
    return passOver(t, "a small disk needs the right to mount one: run the tests as root");
  const gateway = await spawnGateway(folder);
  t.teardown(async () => {
    gateway.signal("SIGTERM");
    await gateway.ended;
  });

  let whole = 0;
  // Near the end smaller writes still fit: until it refuses, each reply is whole and recorded, or broken off.
  await eventually("the disk is full", async () => {
    const reply = await askImage(gateway.url);
    if (reply.status === 200 && reply.isWhole) whole++;
    return isUnavailable(reply);
  });
  await run("mount", ["-o", "remount,size=16m", folder.dataPath]);
  await eventually("it serves again", async () => (await askImage(gateway.url)).status === 200);
  await eventually("it is ready", async () => (await gateway.client.readiness()).ready);
  const { requests } = await gateway.client.usage();
  t.true(requests > whole);
  t.is(requests, nim.requests.length, "something was sent that the ledger does not know");
  t.is((await gateway.client.status()).budgets[0]?.held, "0.00");
});
