// Whether a cloud takes a login, asked of each cloud's own protocol.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { probeAws } from "../../src/cloud/probes/aws-probe.ts";
import { probeAzure } from "../../src/cloud/probes/azure-probe.ts";
import { probeGcp } from "../../src/cloud/probes/gcp-probe.ts";
import { type Probed, probed } from "../../src/cloud/probes/probe.ts";
import { probe } from "../../src/cloud/probes/probe-thread.ts";
import { AKS, azureFake, PRINCIPAL } from "../support/clouds/azure-fake.ts";
import { CloudClock } from "../support/clouds/cloud-clock.ts";
import { gcpFake } from "../support/clouds/gcp-fake.ts";
import { kubeFake } from "../support/clouds/k8s-fake.ts";
import { listen, portOf } from "../support/sockets.ts";

const SIGNAL = new AbortController().signal;
const VALID: Probed = { kind: "valid" };

async function clouds(t: ExecutionContext) {
  const clock = new CloudClock();
  const kube = await kubeFake(t, clock, "cluster-user");
  return { azure: await azureFake(t, clock, kube), gcp: await gcpFake(t, clock, kube) };
}

test("Azure takes a principal that it knows and that may do something in its subscription", async (t) => {
  const { azure } = await clouds(t);
  const ask = (more: object = {}) =>
    probed(() => probeAzure({ ...PRINCIPAL, subscription: AKS.subscription, ...more }, azure.origin, SIGNAL));
  t.deepEqual(await ask(), VALID);
  const stranger = await ask({ subscription: "99999999-2222-3333-4444-555555555555" });
  t.regex(stranger.kind === "invalid" ? stranger.why : "", /may do nothing in its subscription/);
  t.like(await ask({ clientSecret: "wrong" }), { kind: "invalid" });
  azure.refusal = "7000222";
  const expired = await ask();
  t.regex(expired.kind === "invalid" ? expired.why : "", /client secret has expired: make a new one/);
  t.deepEqual([...azure.called], []);
});

test("Azure that does not answer says nothing about a principal", async (t) => {
  const { azure } = await clouds(t);
  azure.misbehave(/subscriptions/, { kind: "cut" });
  const values = { ...PRINCIPAL, subscription: AKS.subscription };
  t.like(await probed(() => probeAzure(values, azure.origin, SIGNAL)), { kind: "unknown" });
});

test("Google takes a key until it is deleted", async (t) => {
  const { gcp } = await clouds(t);
  const folder = mkdtempSync(join(tmpdir(), "budgetguard-gcp-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const keyFile = join(folder, "key.json");
  writeFileSync(keyFile, gcp.keyFile);
  const ask = () => probed(() => probeGcp({ project: "p", keyFile }, SIGNAL));
  t.deepEqual(await ask(), VALID);
  gcp.isRevoked = true;
  t.like(await ask(), { kind: "invalid" });
  rmSync(keyFile);
  const gone = await ask();
  t.regex(gone.kind === "invalid" ? gone.why : "", /key file cannot be read \(ENOENT\)/);
});

const WORDS = {
  DryRunOperation: [412, VALID],
  UnauthorizedOperation: [403, VALID],
  AuthFailure: [401, { kind: "invalid" }],
  InvalidClientTokenId: [403, { kind: "invalid" }],
  RequestExpired: [400, { kind: "invalid" }],
  InternalError: [500, { kind: "unknown" }],
} as const;

test("AWS takes a key that it knows, whether or not it may do anything", async (t) => {
  let code: keyof typeof WORDS = "DryRunOperation";
  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    for await (const chunk of request) asked.push(String(chunk));
    const body = `<Response><Errors><Error><Code>${code}</Code><Message>m</Message></Error></Errors></Response>`;
    response.writeHead(WORDS[code][0], { "content-type": "text/xml" }).end(body);
  });
  await listen(server);
  t.teardown(() => void server.close());
  const endpoint = `http://127.0.0.1:${portOf(server)}`;
  const values = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" };
  for (const each of Object.keys(WORDS) as (keyof typeof WORDS)[]) {
    code = each;
    const found = await probed(() => probeAws(values, endpoint, SIGNAL));
    t.like(found, WORDS[each][1], `${each}: ${JSON.stringify(found)}`);
  }
  t.regex(asked[0] ?? "", /Action=DescribeRegions.*DryRun=true|DryRun=true.*Action=DescribeRegions/);
});

test("a cloud that hangs is not known to refuse", async (t) => {
  const server = createServer(() => undefined);
  await listen(server);
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const endpoint = `http://127.0.0.1:${portOf(server)}`;
  const values = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" };
  const found = await probe({ owner: "aws", values, endpoint, timeoutMs: 1500 });
  t.is(found.kind, "unknown");
});
