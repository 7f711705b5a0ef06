import { inspect } from "node:util";
import test, { type ExecutionContext } from "ava";
import { readConfig } from "../../../src/cloud/techops/config-file.ts";
import {
  bannerOf,
  type CredentialReport,
  judgeCredentials,
} from "../../../src/cloud/techops/credential-status.ts";
import { DEFAULT_STUDIO_KEY } from "../../../src/cloud/techops/fernet.ts";
import { Sealed } from "../../../src/cloud/techops/sealed.ts";
import { assertNoCanary, CANARY } from "../../support/canary.ts";
import { BACKEND, backendConfig, soundCredentials, techopsJson } from "../../support/techops-files.ts";

const SOUND = soundCredentials("/keys/gcp.json");

function judge(
  file: unknown,
  key = DEFAULT_STUDIO_KEY,
  files = ["/keys/gcp.json"],
): Promise<CredentialReport> {
  return judgeCredentials(readConfig(file), {
    studioKey: new Sealed(key),
    exists: (path) => files.includes(path),
  });
}

const statusesOf = ({ status }: CredentialReport) =>
  [status.aws, status.azure, status.gcp, status.nvidia].map((each) => each.status).join(" ");

async function check(t: ExecutionContext, credentials: unknown, expected: string, why?: RegExp) {
  const report = await judge(JSON.parse(backendConfig(credentials)));
  t.is(statusesOf(report), expected);
  if (why)
    t.regex(
      Object.values(report.status)
        .map((each) => each.why ?? "")
        .join("\n"),
      why,
    );
}

test("what the real tool installed is the test's, and no reason to be green", async (t) => {
  const report = await judge(techopsJson(BACKEND));
  t.is(statusesOf(report), "test test test test");
  t.deepEqual(bannerOf(report.status), {
    text: "⚠ Server Credentials Not Found - call your TechOps technician",
    level: "yellow",
  });
});

test("complete and plausible credentials are found, and are handed out opened only by open()", async (t) => {
  const report = await judge(JSON.parse(backendConfig(SOUND)));
  t.is(statusesOf(report), "found found found found");
  t.deepEqual(bannerOf(report.status), { text: "✓ Server Credentials Found", level: "green" });
  t.deepEqual(report.credentials.aws?.open(), {
    accessKeyId: "AKIAIOSFODNN7EXAMPLE",
    secretAccessKey: SOUND.aws["Secret Access Key"],
  });
  t.is(report.credentials.gcp?.open().keyFile, "/keys/gcp.json");
});

test("A07: one cloud's credentials are enough for the green banner", async (t) => {
  await check(t, { aws: SOUND.aws }, "found missing missing missing");
  const report = await judge(JSON.parse(backendConfig({ nvidia: SOUND.nvidia })));
  t.is(bannerOf(report.status).level, "green");
});

test("labels of the handlers are known beside those of the windows", async (t) => {
  await check(
    t,
    {
      AWS: { access_key_id: SOUND.aws["Access Key ID"], secret_access_key: SOUND.aws["Secret Access Key"] },
      azure: {
        subscription_id: SOUND.azure["Subscription ID"],
        tenant_id: "t",
        "Application ID": SOUND.azure["Client ID (Application ID)"],
        client_secret: "s",
      },
      gcp: { project_id: "studio-1", "Service Account JSON Path": "/keys/gcp.json" },
      nvidia: SOUND.nvidia["NVIDIA API Key / NGC API Key"],
    },
    "found found found found",
  );
});

test("what is incomplete or looks like nothing is invalid, and says which label", async (t) => {
  const rest = "missing missing missing";
  await check(
    t,
    { aws: { "Access Key ID": SOUND.aws["Access Key ID"] } },
    `invalid ${rest}`,
    /without Secret Access Key/,
  );
  await check(
    t,
    { aws: { ...SOUND.aws, "Access Key ID": "short" } },
    `invalid ${rest}`,
    /^Access Key ID: does not look/m,
  );
  const { "Subscription ID": _, ...azure } = SOUND.azure;
  await check(t, { azure }, "missing invalid missing missing", /without Subscription ID/);
  await check(
    t,
    { aws: { "Access Key ID": " ", "Secret Access Key": "" }, gcp: {}, azure: 7 },
    `missing ${rest}`,
  );
});

test("Google's key file that stayed on TechOps' machine makes its credentials invalid until it is here", async (t) => {
  const file = JSON.parse(backendConfig({ gcp: SOUND.gcp }));
  const without = await judge(file, DEFAULT_STUDIO_KEY, []);
  t.like(without.status.gcp, { status: "invalid" });
  t.regex(without.status.gcp.why ?? "", /not on this machine: copy it here/);
  t.is((await judge(file)).status.gcp.status, "found");
});

test("each of the tool's markers makes credentials a test's", async (t) => {
  for (const gcp of [
    { ...SOUND.gcp, "Project ID": "dummy-project-id" },
    { ...SOUND.gcp, "Service Account JSON File Path": "/path/to/dummy/key.json" },
  ])
    await check(t, { gcp }, "missing missing test missing");
  await check(
    t,
    { aws: { ...SOUND.aws, "Access Key ID": "AKIADUMMYTEST123" } },
    "test missing missing missing",
  );
  for (const changed of [
    { "Tenant ID": "00000000-0000-0000-0000-000000000000" },
    { "Resource Group": "budgetguard-test-rg" },
  ])
    await check(t, { azure: { ...SOUND.azure, ...changed } }, "missing test missing missing");
});

test("with another key all that the file claims to have is invalid, and the cure is named", async (t) => {
  const file = JSON.parse(
    backendConfig(SOUND, { credentials_status: { aws: true, azure: false, gcp: true } }),
  );
  const report = await judge(file, "another");
  t.is(statusesOf(report), "invalid missing invalid invalid");
  t.regex(report.status.aws.why ?? "", /the studio key does not open them: name the one/);
  t.deepEqual(report.credentials, {});
  const broken = { nim_endpoints: {}, credentials: { encrypted: true, encrypted_data: "gAAAAxx" } };
  t.regex((await judge(broken)).status.aws.why ?? "", /damaged or cut short: run install_credentials/);
  t.regex((await judge({ credentials: { encrypted: true } })).status.aws.why ?? "", /damaged/);
  t.is(statusesOf(await judge({ nim_endpoints: {} })), "missing missing missing missing");
});

test("neither the file as read nor the report shows a secret, however it is printed", async (t) => {
  const plain = { nim_endpoints: {}, credentials: { encrypted: false, credentials: SOUND } };
  const broken = { ...SOUND, azure: { ...SOUND.azure, "Subscription ID": CANARY } };
  for (const file of [plain, JSON.parse(backendConfig(SOUND)), JSON.parse(backendConfig(broken))]) {
    const config = readConfig(file);
    const report = await judge(file);
    for (const value of [config, report, { deep: [report.credentials.aws, report.credentials.azure] }]) {
      for (const text of [
        JSON.stringify(value),
        inspect(value, { depth: 20, showHidden: true, customInspect: true }),
        inspect(value, { depth: 20, showHidden: true, customInspect: false, getters: true }),
        `${report.credentials.aws} ${report.credentials.nvidia}`,
        JSON.stringify(structuredClone(JSON.parse(JSON.stringify(value)))),
        inspect(structuredClone(report.credentials.aws)),
      ])
        t.notThrows(() => assertNoCanary("what was printed", text));
    }
    t.is(`${report.credentials.nvidia}`, "[secret]");
  }
});
