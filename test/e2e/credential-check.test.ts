// A running gateway asks the clouds whether they take TechOps' credentials, by itself and on demand.

import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import test from "ava";
import { startGateway } from "../support/gateway.ts";
import { eventually } from "../support/gateway-client.ts";
import { makeFolder } from "../support/gateway-folder.ts";
import { listen, portOf } from "../support/sockets.ts";
import { backendConfig, soundCredentials } from "../support/techops-files.ts";

test("credentials that a cloud refuses turn invalid by themselves, and are found again once it takes them", async (t) => {
  let code = "AuthFailure";
  const server = createServer((_request, response) => {
    const body = `<Response><Errors><Error><Code>${code}</Code><Message>m</Message></Error></Errors></Response>`;
    response.writeHead(code === "AuthFailure" ? 401 : 412, { "content-type": "text/xml" }).end(body);
  });
  await listen(server);
  const folder = makeFolder("");
  const config = join(folder.path, "backend.json");
  const endpoint = `http://127.0.0.1:${portOf(server)}`;
  folder.save(
    `version: 1\nmode: local\ntechops: { config: ${config} }\n` +
      `providers: { aws: { credentials: { techops: true }, endpoint: "${endpoint}" } }\n` +
      "upstreams:\n  local: { provider: local, url: 'http://127.0.0.1:9' }\n" +
      "models: { flux-dev: { upstreams: [local] } }\n",
  );
  const { aws } = soundCredentials("/none");
  writeFileSync(config, backendConfig({ aws }));
  const gateway = await startGateway(undefined, { folder });
  t.teardown(async () => {
    await gateway.stop();
    server.close();
    folder.remove();
  });
  const found = async (query = "") => {
    const reply = await fetch(`${gateway.daemon.admin}/api/v1/credentials/status${query}`);
    const { providers } = (await reply.json()) as { providers: { provider: string; status: string }[] };
    return providers.find(({ provider }) => provider === "aws");
  };
  await eventually("AWS has refused them", async () => (await found())?.status === "invalid");
  t.like(await found(), { checked: { result: "invalid" } });
  t.is((await gateway.client.credentials({ check: "live" })).banner.level, "yellow");
  code = "DryRunOperation";
  // The same credentials within the same minute: what was said stands.
  t.like(await found("?check=live"), { status: "invalid" });
  writeFileSync(config, backendConfig({ aws: { ...aws, Region: "us-west-2" } }));
  await eventually("AWS takes the new ones", async () => {
    const now = (await found("?check=live")) as { checked?: { result: string } } | undefined;
    return now?.checked?.result === "valid";
  });
  t.like(await found(), { status: "found" });
  t.is((await fetch(`${gateway.daemon.admin}/api/v1/credentials/status?check=all`)).status, 400);
});
