// One artist's request through the whole house: what goes in, what comes back, and that its cost is one number
// wherever it is told.

import { createHash, randomBytes } from "node:crypto";
import test from "ava";
import { COMFYUI_BODY } from "../../src/demo/artist.ts";
import { startNim } from "../../src/demo/nim.ts";
import { exportLines } from "../../src/ledger/export.ts";
import { openLedgerToRead } from "../../src/ledger/sqlite-open.ts";
import { cost, formatUsd, hourlyRate } from "../../src/metering/money.ts";
import { durationUs } from "../../src/metering/time.ts";
import { startGateway } from "../support/gateway.ts";
import { ask, eventually } from "../support/gateway-client.ts";
import { usd } from "../support/policies.ts";
import { rawClient } from "../support/sockets.ts";

const POLICY = (url: string) => `version: 1
mode: lowest_price
upstreams:
  flux-aws: { provider: aws, url: "${url}", price: { rate: aws/us-east-1/g5.xlarge } }
models:
  flux-dev: { upstreams: [flux-aws], estimate: 12s }
budgets:
  - { id: studio-day, limit_usd: 20, period: daily, on_limit: block }
`;
/** Of a g5.xlarge, in the shipped price list. */
const RATE = hourlyRate(usd("1.006"));

/** Exactly what ComfyUI's NIM node puts on the wire. */
const NODE_REQUEST = (port: string) =>
  [
    "POST /v1/infer HTTP/1.1",
    `Host: localhost:${port}`,
    "User-Agent: python-requests/2.34.2",
    "Accept-Encoding: gzip, deflate",
    "Accept: */*",
    "Connection: keep-alive",
    "Content-Length: 139",
    "Content-Type: application/json",
    "",
    COMFYUI_BODY,
  ].join("\r\n");

test("A56: the ComfyUI node's bytes reach the upstream, and its reply comes back byte for byte", async (t) => {
  const nim = await startNim({ scale: 0.02 });
  const gateway = await startGateway(POLICY(nim.url));
  t.teardown(() => Promise.all([gateway.stop(), nim.close()]));
  const { port } = new URL(gateway.url);
  const text = NODE_REQUEST(port);
  t.is(Buffer.byteLength(COMFYUI_BODY), 139);

  const direct = await ask(`${nim.url}/v1/infer`, { body: COMFYUI_BODY });
  const raw = await rawClient(Number(port), text);
  const through = await raw.until(isWhole);
  raw.socket.destroy();

  const [head = "", body = ""] = through.split("\r\n\r\n", 2);
  t.true(head.startsWith("HTTP/1.1 200 OK\r\n"), head);
  t.true(Buffer.from(body, "latin1").equals(direct.body), "the body is not the simulator's");
  t.regex(head, /^x-budgetguard-upstream: flux-aws\r$/im);
  const [, arrived] = nim.requests;
  t.is(arrived?.body.toString("utf8"), COMFYUI_BODY);
  t.is(arrived?.headers["user-agent"], "python-requests/2.34.2");
});

test("A21: a request's cost is elapsed x rate, the same in explain, usage, spend, the export and /metrics", async (t) => {
  const nim = await startNim({ scale: 0.05 });
  const gateway = await startGateway(POLICY(nim.url));
  t.teardown(() => Promise.all([gateway.stop(), nim.close()]));

  const reply = await ask(`${gateway.url}/v1/infer`, { body: COMFYUI_BODY });
  const id = String(reply.headers["x-budgetguard-request"]);
  const record = await gateway.client.request(id);
  const lines = exported(gateway.folder.dataPath).filter(({ request }) => request === id);
  const settled = lines.filter(({ kind }) => kind === "settled");

  const elapsed = settled.reduce((sum, { elapsed_us }) => sum + Number(elapsed_us), 0);
  t.true(elapsed > 50_000, `the simulator works at least 50 ms, the ledger says ${elapsed} us`);
  const due = formatUsd(cost(RATE, durationUs(elapsed)));
  t.is(
    formatUsd(settled.reduce((sum, { amount_usd }) => (sum + usd(String(amount_usd))) as never, usd("0"))),
    due,
  );
  t.is(record.charged_usd, due);
  t.is(record.elapsed_us, elapsed);
  t.is((await gateway.client.usage()).amount_usd, due);
  t.is((await gateway.client.spend({ by: "model" })).rows[0]?.amount_usd, due);
  t.is((await gateway.client.status()).budgets[0]?.settled, due);
  t.is((await gateway.client.status()).budgets[0]?.held, "0.00");
  const metrics = await gateway.client.metrics();
  const counted = /^budgetguard_cost_usd_total\{[^}]*kind="request"[^}]*\} (\S+)$/m.exec(metrics)?.[1];
  t.is(counted, String(Number(due)));
  const line = await eventually("the access log is written", () => gateway.accessLines()[0]);
  t.like(line, { request: id, charged_usd: due, outcome: "relayed", status: 200 });
  t.is(record.budgets_after[0]?.settled, due);
  t.true(record.explanation.candidates.length === 1);
});

test("the largest picture that the node sends arrives whole", async (t) => {
  const nim = await startNim({ scale: 0.01 });
  const gateway = await startGateway(POLICY(nim.url));
  t.teardown(() => Promise.all([gateway.stop(), nim.close()]));
  const image = `data:image/png;base64,${randomBytes(7_350_000).toString("base64")}`;
  const body = JSON.stringify({ ...JSON.parse(COMFYUI_BODY), mode: "canny", image });
  const reply = await ask(`${gateway.url}/v1/infer`, { body });
  t.is(reply.status, 200);
  const [arrived] = nim.requests;
  t.is(arrived?.bytes, Buffer.byteLength(body));
  t.is(arrived?.sha256, createHash("sha256").update(body).digest("hex"));
});

function exported(folder: string): Record<string, unknown>[] {
  const database = openLedgerToRead(folder);
  try {
    return [...exportLines(database, "jsonl")].map((line) => JSON.parse(line));
  } finally {
    database.close();
  }
}

/** As long as the reply's head announces. */
function isWhole(received: string): boolean {
  const length = Number(/^content-length: (\d+)\r$/im.exec(received)?.[1]);
  return received.length >= received.indexOf("\r\n\r\n") + 4 + length;
}
