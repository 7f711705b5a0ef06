// Who the gateway is to Azure: what the policy's secret may look like, what the environment says, and what this
// machine gives by itself.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { Trouble } from "../../../src/cloud/adapter.ts";
import { azureIdentity } from "../../../src/cloud/azure/azure-identity.ts";
import { azurePlace } from "../../../src/cloud/azure/azure-place.ts";
import { AzureTokens } from "../../../src/cloud/azure/azure-tokens.ts";
import { PRINCIPAL } from "../../support/clouds/azure-fake.ts";
import { CloudClock } from "../../support/clouds/cloud-clock.ts";
import { tlsCloud } from "../../support/clouds/tls-cloud.ts";
import { listen, portOf } from "../../support/sockets.ts";

const SIGNAL = new AbortController().signal;
const SECRET = { kind: "secret", ...PRINCIPAL } as const;
const { tenant, clientId, clientSecret } = PRINCIPAL;

const written = [
  ["three parts", `${tenant}:${clientId}:${clientSecret}`],
  [
    "what az ad sp create-for-rbac prints",
    JSON.stringify({ appId: clientId, password: clientSecret, tenant }),
  ],
  [
    "what its --sdk-auth prints",
    JSON.stringify({ clientId, clientSecret, subscriptionId: "s", tenantId: tenant }),
  ],
] as const;

for (const [title, text] of written) {
  test(`a service principal is read from ${title}`, (t) => {
    t.like(azureIdentity({ login: { kind: "text", text } }), SECRET);
  });
}

for (const text of ["hello", `${tenant}:${clientId}`, "{", JSON.stringify({ appId: clientId, tenant })]) {
  test(`"${text}" is no login, and is not quoted`, (t) => {
    const trouble = t.throws(() => azureIdentity({ login: { kind: "text", text } }), { instanceOf: Trouble });
    t.regex(trouble?.message ?? "", /no service principal: write it as TENANT:CLIENT_ID:SECRET/);
    t.notRegex(trouble?.message ?? "", new RegExp(clientId));
  });
}

const KEYS = [
  ...["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"],
  ...["AZURE_POD_IDENTITY_AUTHORITY_HOST", "PATH"],
] as const;

function environment(t: ExecutionContext, values: Readonly<Record<string, string>>): void {
  const before = KEYS.map((key) => [key, process.env[key]] as const);
  for (const key of KEYS) delete process.env[key];
  Object.assign(process.env, values);
  t.teardown(() => {
    for (const [key, value] of before) {
      if (value === undefined) delete process.env[key];
      else process.env[key] = value;
    }
  });
}

function folder(t: ExecutionContext): string {
  const made = mkdtempSync(join(tmpdir(), "budgetguard-azure-"));
  t.teardown(() => rmSync(made, { recursive: true }));
  return made;
}

test.serial("the environment's service principal counts where the policy names none", (t) => {
  environment(t, { AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: clientId, AZURE_CLIENT_SECRET: clientSecret });
  t.deepEqual(azureIdentity({ login: { kind: "default" } }), SECRET);
});

test.serial(
  "a federated token is read from its file at each use, and kept as long as it counts",
  async (t) => {
    const file = join(folder(t), "token");
    environment(t, { AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: clientId, AZURE_FEDERATED_TOKEN_FILE: file });
    let seconds = 60;
    const server = await tlsCloud(t, new CloudClock(), ({ body }) => ({
      body: { access_token: `for ${new URLSearchParams(body).get("client_assertion")}`, expires_in: seconds },
    }));
    const tokens = new AzureTokens(azureIdentity({ login: { kind: "default" } }));
    t.teardown(() => tokens.close());
    const token = async () => (await tokens.token(server.origin, "https://arm.fake", SIGNAL)).token;
    writeFileSync(file, "first\n");
    t.is(await token(), "for first");
    writeFileSync(file, "second\n");
    // The one before was nearly over.
    seconds = 3600;
    t.is(await token(), "for second");
    writeFileSync(file, "third\n");
    t.is(await token(), "for second");
  },
);

test.serial("whoever is logged in with the az command is the gateway on a workstation", async (t) => {
  const bin = folder(t);
  environment(t, { PATH: bin });
  const end = Math.floor(Date.now() / 1000) + 3600;
  writeFileSync(join(bin, "az"), `#!/bin/sh\necho '{"accessToken":"of az for '$4'","expires_on":${end}}'\n`);
  chmodSync(join(bin, "az"), 0o755);
  const tokens = new AzureTokens(azureIdentity({ login: { kind: "default" } }));
  t.teardown(() => tokens.close());
  const found = await tokens.token("https://unused", "https://arm.fake", SIGNAL);
  t.deepEqual(found, { token: "of az for https://arm.fake", expiresAt: end * 1000 });
});

test.serial("an az command that nobody is logged in with says so, without what it prints", async (t) => {
  const bin = folder(t);
  environment(t, { PATH: bin });
  writeFileSync(join(bin, "az"), "#!/bin/sh\necho 'alice@studio must log in' >&2\nexit 1\n");
  chmodSync(join(bin, "az"), 0o755);
  const tokens = new AzureTokens({ kind: "machine", clientId: undefined });
  t.teardown(() => tokens.close());
  const asked = tokens.token("https://unused", "https://arm.fake", SIGNAL);
  const trouble = await t.throwsAsync(asked, { instanceOf: Trouble });
  t.regex(trouble?.message ?? "", /az command gives no token: `az login`/);
  t.notRegex(trouble?.message ?? "", /alice/);
});

test.serial("a virtual machine in Azure is known by its own identity", async (t) => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.url} ${request.headers.metadata}`);
    response.end(JSON.stringify({ access_token: "of the machine", expires_in: "3599", resource: "x" }));
  });
  await listen(server);
  t.teardown(() => void server.close());
  const host = `http://127.0.0.1:${portOf(server)}`;
  environment(t, { PATH: folder(t), AZURE_POD_IDENTITY_AUTHORITY_HOST: host, AZURE_CLIENT_ID: clientId });
  const tokens = new AzureTokens(azureIdentity({ login: { kind: "default" } }));
  t.teardown(() => tokens.close());
  t.is((await tokens.token("https://unused", "https://arm.fake", SIGNAL)).token, "of the machine");
  t.regex(asked[0] ?? "", /resource=https%3A%2F%2Farm\.fake&client_id=aaaaaaaa-.* true$/);
});

test("the sovereign clouds have token services of their own", async (t) => {
  const of = async (endpoint: string | undefined) => (await azurePlace(endpoint, SIGNAL)).tokens;
  t.is(await of(undefined), "https://login.microsoftonline.com");
  t.is(await of("https://management.usgovcloudapi.net/"), "https://login.microsoftonline.us");
});

test("an address that is no Resource Manager is said to be none", async (t) => {
  const server = await tlsCloud(t, new CloudClock(), () => ({ status: 404, body: "" }));
  await t.throwsAsync(azurePlace(server.origin, SIGNAL), { message: /is no Azure Resource Manager/ });
});
