// TechOps' credentials in a running gateway: requests pass with and without them, API and command line say how
// they stand, and nothing that it writes shows one.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { startNim } from "../../src/demo/nim.ts";
import { assertNoCanary } from "../support/canary.ts";
import { cli } from "../support/cli.ts";
import { startGateway } from "../support/gateway.ts";
import { askImage, eventually } from "../support/gateway-client.ts";
import { makeFolder } from "../support/gateway-folder.ts";
import { backendConfig, soundCredentials } from "../support/techops-files.ts";

test("A08, A09, A61, X30: the gateway serves before TechOps come, takes their credentials up as they appear, and shows none", async (t) => {
  const nim = await startNim({ scale: 0 });
  const folder = makeFolder("");
  const config = join(folder.path, "backend.json");
  const upstreams = `upstreams:\n  local: { provider: local, url: "${nim.url}" }\n`;
  folder.save(
    `version: 1\nmode: local\ntechops: { config: ${config} }\n${upstreams}models: { flux-dev: { upstreams: [local] } }\n`,
  );
  const gateway = await startGateway(undefined, { folder });
  t.teardown(async () => {
    await gateway.stop();
    await nim.close();
    folder.remove();
  });
  t.is((await askImage(gateway.url)).status, 200);
  const before = await gateway.client.credentials();
  t.deepEqual(before.banner, {
    text: "⚠ Server Credentials Not Found - call your TechOps technician",
    level: "yellow",
  });
  t.deepEqual([...new Set(before.providers.map(({ status }) => status))], ["missing"]);
  t.is(before.file, config);

  writeFileSync(config, backendConfig(soundCredentials("/none")));
  await eventually(
    "they are found",
    async () => (await gateway.client.credentials()).banner.level === "green",
  );
  const { credentials } = await gateway.client.status();
  t.deepEqual(
    credentials.providers.map(({ provider, status }) => `${provider} ${status}`),
    ["aws found", "azure found", "gcp invalid", "nvidia found"],
  );
  const { stdout } = await cli(["status", "--admin", gateway.daemon.admin]);
  t.regex(
    stdout,
    /\ntechops {4}✓ Server Credentials Found; aws found, azure found, gcp invalid, nvidia found\n {11}gcp: the service account's file is not on this machine/,
  );
  t.notThrows(() => assertNoCanary("status", stdout));
  t.is((await askImage(gateway.url)).status, 200);
});
