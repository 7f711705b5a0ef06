import test, { type ExecutionContext } from "ava";
import { readConfig } from "../../../src/cloud/techops/config-file.ts";
import { type Fragment, makeFragment } from "../../../src/cloud/techops/fragment.ts";
import { fragmentText } from "../../../src/cloud/techops/fragment-text.ts";
import { whyPlaceholder } from "../../../src/cloud/techops/placeholder.ts";
import { parsePolicy } from "../../../src/policy/parse.ts";
import type { Policy } from "../../../src/policy/policy.ts";
import { context } from "../../policy/reading.ts";
import { BACKEND, DEPLOYMENTS, rates, techopsJson } from "../../support/techops-files.ts";

function fragmentOf(...files: readonly unknown[]): Fragment {
  const read = files.map(readConfig);
  return makeFragment({
    endpoints: read.flatMap(({ endpoints }) => endpoints),
    deployments: read.flatMap(({ deployments }) => deployments),
    rates,
    ports: new Map(),
    taken: [],
  });
}

/** As the real parser reads it: it throws where there is a problem. */
function policyOf(fragment: Fragment): Policy {
  const parsed = parsePolicy(`version: 1\n${fragmentText(fragment)}`, { ...context, rates });
  if (parsed.kind === "policy") return parsed.policy;
  throw new Error(parsed.problems.map(({ line, path, text }) => `${line} ${path}: ${text}`).join("\n"));
}

const endpoints = (map: object) => ({ nim_endpoints: map });
const at = (provider: string, url: string, gpu_tier?: string) =>
  endpoints({ "FLUX Dev": { [provider]: [{ url, gpu_tier }] } });

test("A33, A53, A59: the real tool's 88 endpoints are a fragment without a problem", (t) => {
  const fragment = fragmentOf(techopsJson(BACKEND));
  const policy = policyOf(fragment);
  t.is(fragment.upstreams.length, 88);
  t.is(policy.upstreams.size, 80);
  t.deepEqual(
    [...policy.models.values()].map(({ id, port }) => `${id} ${port}`),
    [
      ...["flux-dev 7100", "flux-canny 7101", "flux-depth 7102", "flux-kontext 7103", "sdxl 7104"],
      ...["llama-3 7105", "mixtral 7106", "phi-3 7107"],
    ],
  );
  t.is(policy.models.get("sdxl")?.upstreams[0], "sdxl-local");
  t.is(policy.models.get("sdxl")?.upstreams.length, 10);
  t.like(policy.upstreams.get("flux-dev-azure-a10g"), { provider: "azure", gpuTier: "a10g" });
  t.deepEqual(
    fragment.notes.map((note) => note.slice(0, 30)),
    [
      "80 of 88 addresses are placeho",
      "8 upstreams lack what no file ",
      "http://localhost:8000 is the a",
      "the export does not tell which",
    ],
  );
});

test("the same files make the same fragment, once or twice, and with the artists' export beside them", (t) => {
  const once = fragmentText(fragmentOf(techopsJson(BACKEND)));
  t.is(fragmentText(fragmentOf(techopsJson(BACKEND))), once);
  t.is(fragmentText(fragmentOf(techopsJson(BACKEND), techopsJson("budgetguard_artists_config.json"))), once);
});

test("every price is the rate card's for provider and tier, written with its figure", (t) => {
  const text = fragmentText(fragmentOf(at("aws", "http://10.0.0.1:8000", "a10g")));
  t.true(text.includes("price: { rate: aws/us-east-1/g5.xlarge }   # 1.006 USD/h, as of 2026-07-20\n"));
});

test("what has no price in the card is a comment that says what to fill in", (t) => {
  for (const [file, wanted] of [
    [at("aws", "http://10.0.0.1:8000", "h900"), /^ {2}# {3}price: \{ usd_per_hour: … \}/m],
    [at("runpod", "http://10.0.0.1:8000"), /^ {2}# {3}price: \{ usd_per_hour: … \}/m],
    [at("nvidia-hosted", "https://ai.api.nvidia.com/v1"), /^ {2}# {3}auth: .*usd_per_request/m],
  ] as const) {
    const text = fragmentText(fragmentOf(file));
    t.regex(text, wanted);
    t.regex(text, /^# upstreams:\n/);
    t.is(policyOf(fragmentOf(file)).upstreams.size, 0);
  }
});

test("an ECS service of TechOps' own list becomes a container on its Auto Scaling group", (t) => {
  const policy = policyOf(fragmentOf(techopsJson(BACKEND), [DEPLOYMENTS.aws]));
  const { region, cluster, service } = DEPLOYMENTS.aws;
  t.is(policy.upstreams.size, 80);
  t.like(policy.upstreams.get("flux-dev-aws-a10g"), {
    machine: "budgetguard-nim-cluster",
    url: undefined,
    container: { kind: "ecs", region, cluster, service },
  });
  t.like(policy.machines.get("budgetguard-nim-cluster")?.group, {
    kind: "asg",
    name: "budgetguard-nim-asg-budgetguard-nim-cluster",
  });
});

test("an AKS deployment lacks the subscription, and says so; with it, it is a container", (t) => {
  const without = fragmentOf([DEPLOYMENTS.azure]);
  t.is(policyOf(without).upstreams.get("sdxl-azure-t4")?.container, undefined);
  t.regex(
    fragmentText(without),
    /# container: \{ aks: \{ subscription: …, resource_group: "budgetguard-nim-rg"/,
  );
  const policy = policyOf(fragmentOf([{ ...DEPLOYMENTS.azure, subscription_id: "s" }]));
  t.like(policy.upstreams.get("sdxl-azure-t4")?.container, {
    ...{ kind: "aks", pool: "gpunodepool", subscription: "s", deployment: DEPLOYMENTS.azure.instance_name },
  });
});

test("a GKE deployment has its zone, pool and name; two of one pool bill as one machine", (t) => {
  const { gcp } = DEPLOYMENTS;
  const one = policyOf(fragmentOf([gcp]));
  t.like(one.upstreams.get("sdxl-gcp-t4")?.container, {
    ...{ kind: "gke", location: "us-central1-a", pool: "gpu-node-pool", project: "studio-1" },
  });
  t.is(one.machines.size, 0);
  const two = policyOf(fragmentOf([gcp, { ...gcp, node_type: "FLUX Dev", instance_name: "flux-2" }]));
  t.is(two.upstreams.get("sdxl-gcp-t4")?.machine, two.upstreams.get("flux-dev-gcp-t4")?.machine);
  t.deepEqual([...two.machines.keys()], ["budgetguard-nim-gke-gpu-node-pool"]);
});

test("what contradicts itself about a machine is told, and never one price for both", (t) => {
  const { gcp, aws } = DEPLOYMENTS;
  const other = { node_type: "SDXL", instance_name: "b", gpu_tier: "a100" };
  const pool = fragmentOf([
    gcp,
    { ...gcp, ...other, gpu_machine_type: "a2-highgpu-4g", gpu_type: undefined },
  ]);
  t.is(policyOf(pool).upstreams.size, 2);
  t.is(policyOf(pool).upstreams.get("sdxl-gcp-t4")?.container, undefined);
  t.regex(pool.notes.join(), /sdxl-gcp-t4, sdxl-gcp-a100 say different machines of the one node pool/);
  const cluster = fragmentOf([aws, { ...aws, ...other, gpu_instance_type: "p4d.24xlarge", service: "b" }]);
  t.like(policyOf(cluster).upstreams.get("sdxl-aws-a100"), { machine: "sdxl-aws-a100", hasContainer: true });
  t.regex(cluster.notes.join(), /share the cluster budgetguard-nim-cluster and not one machine type/);
});

test("an address belongs to the deployment that it names, or to the only one of its tier", (t) => {
  const { azure } = DEPLOYMENTS;
  const record = { ...azure, subscription_id: "s" };
  const named = endpoints({
    SDXL: { azure: [{ url: `http://${azure.instance_name}.eastus.example:8000` }] },
  });
  t.is(fragmentOf(named, [record]).upstreams.length, 1);
  const tier = endpoints({ SDXL: { azure: [{ url: "http://20.9.9.9:8000", gpu_tier: "t4" }] } });
  t.is(fragmentOf(tier, [record]).upstreams.length, 1);
  t.is(fragmentOf(tier, [record, { ...record, instance_name: "b" }]).upstreams.length, 3);
  t.is(fragmentOf(tier, [{ ...record, gpu_tier: "a100" }]).upstreams.length, 2);
});

test("ids are what a policy allows, and each is there once", (t) => {
  const list = ["http://a:1", "http://b:1", "http://c:1"];
  const file = endpoints({
    [`${"Long ".repeat(15)}`]: { local: list },
    "FLUX Dev": { local: ["http://d:1"] },
    flux_dev: { local: ["http://e:1"] },
    日本: { local: ["http://f:1"] },
    "007": { local: ["http://g:1"] },
    true: { local: ["http://h:1"] },
  });
  const policy = policyOf(fragmentOf(file));
  t.is(policy.upstreams.size, 8);
  t.true(policy.models.has("model-3") && policy.models.has("007") && policy.models.has("true"));
  t.deepEqual(policy.models.get("flux-dev")?.upstreams, ["flux-dev-local", "flux-dev-local-2"]);
});

test("no name of the file gets out of its line in the YAML", (t) => {
  const evil = "a\nupstreams: {}\n# ";
  const record = { ...DEPLOYMENTS.aws, cluster: `x" } ${"}"}`, service: evil, instance_name: "a: b #c" };
  const policy = policyOf(fragmentOf(endpoints({ [evil]: { local: ["http://a:1"] } }), [record]));
  t.is(policy.upstreams.size, 1);
  t.like([...policy.upstreams.values()][0]?.container, { cluster: `x" } }`, service: "a: b #c" });
});

test("a model of the policy keeps its port, and nobody else gets it", (t) => {
  const { endpoints: found } = readConfig(techopsJson(BACKEND));
  const ports = new Map([
    ["sdxl", 7100],
    ["mine", 7101],
  ]);
  const { models } = makeFragment({ endpoints: found, deployments: [], rates, ports, taken: [7103] });
  t.deepEqual(
    models.slice(0, 5).map(({ value }) => value.port),
    [7102, 7104, 7105, 7106, 7100],
  );
});

function checkPlaceholder(t: ExecutionContext, url: string, expected: boolean) {
  t.is(whyPlaceholder(url) !== undefined, expected, url);
}

test("a placeholder is told from an address", (t) => {
  for (const url of [
    "https://nim-flux-dev-t4-aws-12345.us-east-1.elb.amazonaws.com:8000",
    "https://nim-a.us-east-1.aws.nim.api.nvidia.com",
    "http://a.us-central1.cloudapp.gcp.com:8000",
    "https://nim-a.ngc.nvidia.com/v1",
  ])
    checkPlaceholder(t, url, true);
  for (const url of [
    "http://1.2.3.4:8000",
    "https://nim-1234567890.us-east-1.elb.amazonaws.com",
    "https://ai.api.nvidia.com/v1",
    "http://localhost:8000",
  ])
    checkPlaceholder(t, url, false);
});
