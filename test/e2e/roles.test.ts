// The table of who may do what is the SDK's; the data plane, which imports none of it, keeps to it all the same.

import { createHash } from "node:crypto";
import test from "ava";
import { startNim } from "../../src/demo/nim.ts";
import { permission } from "../../src/sdk/roles.ts";
import { ROLES } from "../../src/sdk/vocabulary.ts";
import { startGateway } from "../support/gateway.ts";
import { askImage } from "../support/gateway-client.ts";

test("a role may send requests exactly where the table says so", async (t) => {
  const nim = await startNim({ scale: 0 });
  const clients = ROLES.map((role) => {
    const sha256 = createHash("sha256").update(`token-of-${role}`).digest("hex");
    return `  c-${role}: { token_sha256: "${sha256}", role: ${role} }\n`;
  });
  const gateway = await startGateway(`version: 1
mode: local
upstreams:
  flux-local: { provider: local, url: "${nim.url}" }
models:
  flux-dev: { upstreams: [flux-local] }
clients:
${clients.join("")}`);
  t.teardown(async () => {
    await gateway.stop();
    await nim.close();
  });
  for (const role of ROLES) {
    const { status } = await askImage(gateway.url, { headers: { "X-API-Key": `token-of-${role}` } });
    t.is(status, permission(role, "call") === "none" ? 403 : 200, role);
  }
  t.is((await askImage(gateway.url)).status, permission("anonymous", "call") === "none" ? 401 : 200);
});
