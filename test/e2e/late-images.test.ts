// A request whose `n` stands behind a picture of more than 64 KiB: held as one image, for nobody has looked so
// far when it is decided, and charged for all that it asks for.

import { createServer } from "node:http";
import test, { type ExecutionContext } from "ava";
import { openLedgerToRead } from "../../src/ledger/sqlite-open.ts";
import { verify } from "../../src/ledger/verify.ts";
import { startGateway } from "../support/gateway.ts";
import { ask } from "../support/gateway-client.ts";
import { listen, portOf } from "../support/sockets.ts";

async function begin(t: ExecutionContext, budget: string) {
  const server = createServer((request, response) => {
    request.resume().on("end", () => response.setHeader("Content-Type", "application/json").end("{}"));
  });
  await listen(server);
  const gateway = await startGateway(`version: 1
upstreams:
  flux: { provider: other, url: "http://127.0.0.1:${portOf(server)}", price: { usd_per_image: 0.01 } }
models: { flux-dev: { upstreams: [flux] } }
budgets:
  - { id: day, limit_usd: 0.10, on_limit: block${budget} }
  - { id: pictures, limit_images: 100, on_limit: block }
`);
  t.teardown(async () => {
    await gateway.stop();
    server.closeAllConnections();
    server.close();
  });
  const post = (contentType: string, body: string) =>
    ask(`${gateway.url}/v1/images/edits`, { headers: { "Content-Type": contentType }, body });
  const settled = async () => {
    const { budgets } = await gateway.client.status();
    return budgets.map(({ settled: one }) => one).join(" and ");
  };
  return { gateway, post, settled };
}

const PICTURE = "iVBORw0KGgo".repeat(20_000);
const part = (name: string, value: string) =>
  `--xyz\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
const BODIES: readonly (readonly [string, string, string])[] = [
  [
    "multipart form",
    "multipart/form-data; boundary=xyz",
    `${part("image", PICTURE)}${part("n", "4")}--xyz--\r\n`,
  ],
  ["urlencoded form", "application/x-www-form-urlencoded", `image=${PICTURE}&n=4`],
  ["JSON body", "application/json", `{"image": "${PICTURE}", "n": 4}`],
];

for (const [what, contentType, body] of BODIES) {
  test(`the n behind the picture of a ${what} is charged and counted`, async (t) => {
    const { post, settled } = await begin(t, "");
    t.is((await post(contentType, body)).status, 200);
    t.is(await settled(), "0.04 and 4");
    t.is((await post(contentType, body)).status, 200);
    t.is(await settled(), "0.08 and 8");
  });
}

test("what that takes beyond the limit is told as an overrun, and the ledger adds up", async (t) => {
  const { gateway, post, settled } = await begin(t, "");
  const [, contentType, body] = BODIES[0] ?? ["", "", ""];
  for (let asked = 0; asked < 3; asked += 1) t.is((await post(contentType, body)).status, 200);
  t.is(await settled(), "0.12 and 12");
  t.is((await post(contentType, body)).status, 402);
  const { accounts } = await gateway.client.explainBudget("day");
  t.like(accounts[0], { over: "0.02", causes: [{ cause: "finish_overrun", at_most: "0.09", count: 3 }] });
  const ledger = openLedgerToRead(gateway.folder.dataPath);
  t.deepEqual(
    verify(ledger).checks.flatMap(({ findings }) => findings),
    [],
  );
  ledger.close();
});

test("under cut it takes no more money than it held", async (t) => {
  const { post, settled } = await begin(t, ", overrun: cut");
  const [, contentType, body] = BODIES[0] ?? ["", "", ""];
  t.is((await post(contentType, body)).status, 200);
  t.is(await settled(), "0.01 and 4");
});

const FEW = " }\n  - { id: few, limit_images: 3, on_limit: block, overrun: cut";

test("images of a budget that cuts are told as counted late where they pass its limit", async (t) => {
  const { gateway, post, settled } = await begin(t, FEW);
  const [, contentType, body] = BODIES[0] ?? ["", "", ""];
  t.is((await post(contentType, body)).status, 200);
  t.is(await settled(), "0.01 and 4 and 4");
  const { accounts } = await gateway.client.explainBudget("few");
  t.like(accounts[0], { over: "1", causes: [{ cause: "late_count", at_most: "3", count: 1 }] });
});
