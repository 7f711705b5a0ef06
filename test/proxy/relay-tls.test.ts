// An upstream that cannot prove who it is gets nothing: no request, no key.

import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import test from "ava";
import { relayRig } from "../support/relay-rig.ts";
import { CERTIFICATE, KEY } from "../support/self-signed.ts";
import { rawClient } from "../support/sockets.ts";

test("an upstream whose certificate nobody vouches for is sent nothing, and the client is told", async (t) => {
  let requests = 0;
  const upstream = createServer({ key: KEY, cert: CERTIFICATE }, (_request, response) => {
    requests += 1;
    response.end("ok");
  });
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  const rig = await relayRig(`https://localhost:${(upstream.address() as AddressInfo).port}`);
  t.teardown(async () => {
    await rig.close();
    upstream.close();
  });
  const client = await rawClient(rig.port, `GET /v1/x HTTP/1.1\r\nHost: localhost:${rig.port}\r\n\r\n`);
  const { relayed, clock } = await rig.next();
  t.like(relayed, { kind: "unsent", why: "unreachable" });
  t.regex(await client.until(/\r\n\r\n.*\}$/s), /^HTTP\/1.1 502 BudgetGuard: .*self-signed certificate/);
  t.deepEqual([requests, clock], [0, []]);
});
