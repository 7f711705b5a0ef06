// Every way in which a request can end has a name, and the API, the access log and the ledger tell it by that.

import test from "ava";
import { startNim } from "../../src/demo/nim.ts";
import { cli } from "../support/cli.ts";
import { startGateway } from "../support/gateway.ts";
import { ask, eventually, imageBody, jsonOf } from "../support/gateway-client.ts";

test("an ending is told by its name, and a failover is a reservation of its own", async (t) => {
  const nim = await startNim({ scale: 0 });
  const price = "price: { usd_per_hour: 3.6 }";
  const gateway = await startGateway(`version: 1
mode: lowest_price
upstreams:
  up: { provider: other, url: "${nim.url}", ${price} }
  down: { provider: aws, url: "http://127.0.0.1:1", price: { usd_per_hour: 1 } }
models:
  flux: { upstreams: [up], estimate: 3s }
  both: { upstreams: [down, up], estimate: 3s }
  none: { upstreams: [down], estimate: 3s }
budgets:
  - { id: all, limit_usd: 20, period: daily, on_limit: block }
  - { id: poor, when: { user: poor }, limit_usd: 0.000001, period: daily, on_limit: block }
  - { id: cut, when: { user: cut }, limit_usd: 0.0055, period: daily, on_limit: block, overrun: cut }
`);
  t.teardown(() => Promise.all([gateway.stop(), nim.close()]));
  const send = (id: string, model: string, fault = "", user = "", signal?: AbortSignal) =>
    ask(`${gateway.url}/m/${model}/v1/infer`, {
      body: imageBody(),
      headers: {
        "X-Request-Id": id,
        ...(fault !== "" && { "X-Nim-Fault": fault }),
        ...(user !== "" && { "X-BudgetGuard-User": user }),
      },
      ...(signal && { signal }),
    });
  const leaving = new AbortController();
  const aborted = send("aborted", "flux", "hang", "", leaving.signal);
  // However slow the machine is: it leaves once its request is there.
  await eventually("the upstream has it", () => Promise.resolve(nim.inFlight() > 0));
  leaving.abort();
  const asked = {
    aborted,
    relayed: send("relayed", "flux"),
    failed: send("failed", "flux", "garbage"),
    truncated: send("truncated", "flux", "bad_chunk"),
    cut: send("cut", "flux", "hang", "cut"),
    refused: send("refused", "flux", "", "poor"),
    no_upstream: send("no_upstream", "none"),
    failover: send("failover", "both"),
  };
  await Promise.all(Object.values(asked));
  t.is((await asked.cut).status, 402);
  const words =
    /budget cut has no money for more time, and its overrun is cut; what was used is charged: ask/;
  t.regex((await asked.cut).reason, words);
  t.like(jsonOf(await asked.cut).budgetguard, { upstream: "up", budget: "cut" });
  const items = await eventually("all have ended", async () => {
    const page = await gateway.client.requests({ limit: 100 });
    return page.items.every(({ outcome }) => outcome !== "running") && page.items;
  });
  const told = Object.fromEntries(items.map((item) => [item.client_request_id, item.outcome]));
  const expected = Object.fromEntries(Object.keys(asked).map((name) => [name, name]));
  t.deepEqual(told, { ...expected, failover: "relayed" });
  const { budgets_after: after } = await gateway.client.request("cut");
  t.deepEqual(
    after.map(({ budget, cut }) => [budget, cut]),
    [
      ["all", false],
      ["cut", true],
    ],
  );
  t.regex(
    (await cli(["explain", "cut", "--admin", gateway.daemon.admin])).stdout,
    /\nIt ended as cut at up \(other\), after .* s: budget cut had no money for more time\.\n/,
  );
  const lines = await eventually("the access log is written", () => {
    // On a slow machine the log may have a word of its own between them.
    const all = gateway.accessLines().filter((line) => line.client_request_id !== undefined);
    return all.length === Object.keys(asked).length && all;
  });
  for (const line of lines) t.is(line.outcome, told[String(line.client_request_id)]);

  const { stdout } = await cli(["ledger", "export", "--data", gateway.folder.dataPath]);
  const entries = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const kinds = entries
    .filter((entry) => entry.client_request_id === "failover")
    .map(({ kind, upstream }) => `${kind} ${upstream}`);
  t.deepEqual(kinds, ["reserved down", "released down", "reserved up", "settled up"]);
});
