// A container of a real podman that nobody starts by hand: a request finds it off, has it started, is served
// and charged with its start; unused, it is stopped again, and the ledger has cost what its lease has.

import test from "ava";
import { verify } from "../../src/ledger/verify.ts";
import { startGateway } from "../support/gateway.ts";
import { ask, eventually } from "../support/gateway-client.ts";
import { onDisk, rows } from "../support/ledger.ts";
import { type Podman, startPodman } from "../support/podman.ts";
import { needs } from "../support/real.ts";

/** A microsecond costs a nano-dollar, used or not. */
const policy = ({ url, socket, container }: Podman) => `version: 1
mode: lowest_price
upstreams:
  nim:
    provider: other
    url: "${url}"
    price: { usd_per_hour: 3.6 }
    concurrency: 5
    container: { docker: { name: ${container}, socket: "${socket}" } }
    lifecycle: { wake: on_request, stop_after_idle: 2s, startup_estimate: 5s }
models:
  flux-dev: { upstreams: [nim], estimate: 4s }
budgets:
  - { id: day, limit_usd: 20, period: daily, on_limit: block }
`;

test(
  "cold, woken once for five, served, idle, off: to the nano-dollar",
  needs("podman", async (t, program) => {
    const podman = await startPodman(t, program);
    const gateway = await startGateway(policy(podman));
    t.teardown(() => gateway.stop());
    const { client } = gateway;
    const node = async () => (await client.containers()).items[0];
    const is = (state: string) => eventually(`it is ${state}`, async () => (await node())?.state === state);
    await is("off");
    t.is(
      (await ask(`${gateway.url}/m/flux-dev/v1/health/ready`, { method: "GET" })).status,
      200,
      "a request would start it",
    );

    const infer = () => ask(`${gateway.url}/m/flux-dev/v1/infer`, { method: "POST", body: '{"prompt":"a"}' });
    const replies = await Promise.all([infer(), infer(), infer(), infer(), infer()]);
    // busybox serves files only: it answers, and is charged for the time.
    t.deepEqual(
      replies.map(({ status }) => status),
      [501, 501, 501, 501, 501],
    );
    t.true(replies.every(({ headers }) => Number(headers["x-budgetguard-waited-seconds"]) > 0));
    t.like(await node(), { state: "ready", starts_seen: 1 });
    const note = await eventually("it is idle", async () => (await node())?.note);
    t.regex(
      note ?? "",
      /^idle for .* at 3\.60 USD\/h; stops (in|now).*; starting again costs about 0\.\d+ USD/,
    );

    await is("off");
    const data = gateway.folder.dataPath;
    const [lease, others] = await eventually("its lease is over", () => {
      const all = rows(data, "SELECT state, is_over FROM containers");
      return all[0]?.is_over === 1n && all;
    });
    t.is(others, undefined, "it was started once");
    const { start, t: end } = JSON.parse(String(lease?.state)).state as { start: number; t: number };
    const posted = rows(
      data,
      `SELECT kind, sum(amount) AS sum FROM entries
       WHERE kind IN ('settled', 'startup', 'idle', 'adjusted') GROUP BY kind`,
    );
    // Where it stopped a moment before the last heartbeat, that moment is taken back.
    const kinds = posted.map(({ kind }) => kind).filter((kind) => kind !== "adjusted");
    t.deepEqual(kinds.toSorted(), ["idle", "settled", "startup"]);
    t.is(
      posted.reduce((sum, one) => sum + (one.sum as bigint), 0n),
      BigInt(end - start),
    );
    t.true(onDisk(data, verify).ok);
  }),
);
