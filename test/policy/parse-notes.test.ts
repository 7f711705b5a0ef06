import test, { type ExecutionContext } from "ava";
import { quantityOf } from "../../src/metering/quantity.ts";
import { file, notes, policy } from "./reading.ts";

function check(t: ExecutionContext, given: string, expected: readonly RegExp[]) {
  const told = notes(given);
  t.is(told.length, expected.length, told.join("\n"));
  for (const [index, pattern] of expected.entries()) t.regex(told[index] ?? "", pattern);
}

test("a policy of active keys has no notes", (t) => {
  const budget =
    "{id: a, limit_usd: 1, period: monthly, reset_day: 2, on_limit: block, warn_at: 0.5, critical_at: 0.9, overrun: cut, shadow: true}";
  check(t, file(`mode: local\nhosts: [a]\nidentity: token\nbudgets: [${budget}]\n`), []);
});

test("every action is active, in a budget and by default", (t) => {
  for (const action of ["ignore", "warn", "soft_limit", "degrade", "queue", "block", "hard_limit"]) {
    check(t, file(`budgets: [{id: a, limit_usd: 1, on_limit: ${action}, priority: high}]`), []);
    check(t, file(`defaults: {on_limit: ${action}}`), []);
  }
});

test("keys of rooms to come are told once each, not key by key", (t) => {
  const providers = "providers: {aws: {dry_run: true, calls_per_minute: 6}, gcp: {dry_run: true}}";
  check(t, file(`techops: {config: a}\ncomfyui: {url: 'http://127.0.0.1:8188'}\n${providers}\n`), [
    /^7:1 comfyui: not active yet$/,
  ]);
});

test("a value that is already what happens is not told", (t) => {
  check(t, file("attribution: shared\nwhen_ledger_fails: refuse\n"), []);
  check(t, file("attribution: exclusive\nwhen_ledger_fails: spool\n"), [/acts as refuse/]);
});

test("a key that does nothing beside the action says so", (t) => {
  const of = (more: string) => file(`budgets: [{id: a, limit_usd: 1, ${more}}]`);
  const idle = /\.then: does nothing: it is for on_limit: degrade, and this is warn/;
  const lenient = /\.then: warn lets work pass beyond the limit where nothing cheaper fits: it is no limit/;
  check(t, of("then: warn"), [idle]);
  check(t, of("on_limit: degrade, then: warn"), [lenient]);
  check(t, of("on_limit: degrade, then: queue, max_wait: 1h"), []);
  const unwaited = /max_wait: does nothing: it is for on_limit: queue/;
  check(t, of("on_limit: block, max_wait: 1h"), [unwaited]);
  check(t, of("on_limit: degrade, max_wait: 1h"), [unwaited]);
  check(t, of("on_limit: queue, max_wait: 1h"), []);
  const uncut = /overrun: does nothing: it is for on_limit: block, queue or degrade, and this is warn/;
  check(t, of("overrun: cut"), [uncut]);
  check(t, of("overrun: finish"), []);
  for (const action of ["block", "queue", "degrade"]) check(t, of(`on_limit: ${action}, overrun: cut`), []);
});

test("a fallback of another API is told where prices or addresses give it away, and nowhere else", (t) => {
  const of = (price: string) =>
    `version: 1
timezone: UTC
mode: lowest_price
upstreams:
  a: { provider: other, url: "http://a", price: { usd_per_image: 1 } }
  b: { provider: other, url: "http://b", price: { ${price} } }
models: { x: { upstreams: [a], fallback_model: y }, y: { upstreams: [b] } }
`;
  const told = /models\.x\.fallback_model: y seems to be a model of language, and x one of images/;
  check(t, of("usd_per_million_tokens: { input: 1, output: 1 }"), [told]);
  check(t, of("usd_per_image: 0.5"), []);
  check(t, of("usd_per_hour: 1"), []);
});

test("a user's budget is advisory while anyone can claim a name", (t) => {
  const advisory = /budgets\[0\]\.(per|when\.user): advisory: anyone can claim a name; set identity: token/;
  check(t, file("budgets: [{id: a, limit_usd: 1, per: user}]"), [advisory]);
  check(t, file("budgets: [{id: a, limit_usd: 1, when: {user: alice}}]"), [advisory]);
  check(t, file("identity: token\nbudgets: [{id: a, limit_usd: 1, per: user}]"), []);
  const clients = `clients: {alice: {token_sha256: "${"ab".repeat(32)}"}}`;
  check(t, file(`${clients}\nbudgets: [{id: a, limit_usd: 1, per: user}]`), [advisory]);
});

test("a disabled budget, a provider nobody is, a file without models are told", (t) => {
  check(t, file("budgets: [{id: a, limit_usd: 1, enabled: false}]"), [/enabled: this budget is disabled/]);
  check(t, file("budgets: [{id: a, limit_usd: 1, when: {provider: awz}}]"), [
    /"awz" is no provider .*did you mean "aws"/,
  ]);
  check(t, "version: 1\n", [/^1:1 models: no models/]);
});

test("a service of ECS that names no machine group is told what is not counted", (t) => {
  const ecs = "{ecs: {region: us-east-1, cluster: c, service: s}}";
  const of = (more: string) =>
    `  b: {provider: aws, ${more}, container: ${ecs}}\nmodels: {m2: {upstreams: [b]}}\n`;
  const told = /upstreams\.b\.container: names no machine group: after its stop .* is not counted/;
  check(t, file("", of("price: {usd_per_hour: 1}").replace(/models.*\n/, "")), [told]);
  const pool = "machines: {p: {asg: {region: us-east-1, name: g}, price: {usd_per_hour: 1}}}\n";
  check(t, file(pool, of("machine: p").replace(/models.*\n/, "")), []);
});

test("an idle price below what the price list knows is told with its factor, written or estimated", (t) => {
  const of = (more: string) => {
    const ecs = "{ecs: {region: us-east-1, cluster: c, service: s}}";
    const pool = `machines: {p: {asg: {region: us-east-1, name: g}, ${more}}}\n`;
    return file(pool, `  b: {provider: aws, machine: p, gpu_tier: a10g, container: ${ecs}}\n`);
  };
  const path = "machines\\.p\\.idle_usd_per_hour";
  const rate = "price: {rate: aws/us-east-1/g5.xlarge}";
  check(t, of(`${rate}, idle_usd_per_hour: 0.04`), [
    new RegExp(
      `${path}: 0\\.04 USD/h while unused is 25 times less than the 1\\.006 USD/h .* take idle_usd_per_hour out`,
    ),
  ]);
  check(t, of(`${rate}, idle_usd_per_hour: 0.503`), [/is 2\.0 times less/]);
  check(t, of(`${rate}, idle_usd_per_hour: 0`), [/is nothing of the 1\.006 USD\/h/]);
  check(t, of("price: {usd_per_request: 0.01}"), [
    /25 times less.*write idle_usd_per_hour, for it is an estimate/,
  ]);
  for (const same of [rate, `${rate}, idle_usd_per_hour: 1.006`, "price: {usd_per_hour: 0.5}"])
    check(t, of(same), []);
});

test("a secret over plain http is told, but not on the machine itself", (t) => {
  const of = (url: string) => file("", `  b: {provider: local, url: "${url}", auth: {bearer: {env: A}}}\n`);
  check(t, of("http://10.0.0.1"), [/upstreams\.b\.auth: the secret travels unencrypted/]);
  check(t, of("http://127.0.0.1:1"), []);
  check(t, of("https://10.0.0.1"), []);
});

test("a model that mode local leaves no upstream is told", (t) => {
  const of = (mode: string, provider: string) =>
    `version: 1\nmode: ${mode}\nupstreams: {a: {provider: ${provider}, url: http://h, price: {usd_per_hour: 1}}}\nmodels: {m: {upstreams: [a]}}\n`;
  check(t, of("local", "other"), [/models\.m\.upstreams: mode local leaves this model none/]);
  check(t, of("local", "local"), []);
  check(t, of("manual", "other"), []);
});

test("defaults fill what a budget does not say", (t) => {
  const plain = policy(file("budgets: [{id: a, limit_usd: 1}]")).budgets[0];
  t.like(plain, {
    onLimit: "warn",
    period: "daily",
    warnAt: 0.75,
    criticalAt: 0.9,
    then: "block",
    priority: 5,
  });
  t.like(plain, {
    overrun: "finish",
    includeIdle: true,
    stopIdle: false,
    shadow: false,
    enabled: true,
    resetDay: 1,
  });
  const set = "defaults: {on_limit: block, period: weekly, warn_at: 0.5}\n";
  t.like(policy(file(`${set}budgets: [{id: a, limit_usd: 1}]`)).budgets[0], {
    onLimit: "block",
    period: "weekly",
    warnAt: 0.5,
  });
  const own = "budgets: [{id: a, limit_usd: 1, on_limit: ignore, priority: high, limit_seconds: 2}]";
  const budget = policy(file(set + own)).budgets[0];
  t.like(budget, { onLimit: "ignore", period: "weekly", priority: 8 });
  t.is(budget?.limits.get("seconds"), quantityOf(2_000_000));
});

test("without a key the policy has the documented default", (t) => {
  const made = policy(file());
  t.like(made, {
    mode: "manual",
    timezone: "Europe/Berlin",
    attribution: "shared",
    identity: "trusted",
    digest: "abc",
  });
  t.deepEqual(made.limits, { connections: 1024, body: 64_000_000, waiting: 256, labelValues: 200 });
  t.deepEqual(made.upstreams.get("flux")?.timeouts, policy(file("", "")).upstreams.get("flux")?.timeouts);
  t.like(made.upstreams.get("flux")?.timeouts, {
    connect: 5_000_000,
    firstByte: 600_000_000,
    idle: 120_000_000,
  });
});

test("agent and component are read as tag", (t) => {
  const made = policy(
    file("budgets: [{id: a, limit_usd: 1, when: {agent: x}}, {id: b, limit_usd: 1, per: component}]"),
  );
  t.deepEqual(made.budgets[0]?.when, new Map([["tag", ["x"]]]));
  t.is(made.budgets[1]?.per, "tag");
});

test("two services of one ECS cluster are asked whether they share a machine", (t) => {
  const ecs = (service: string) => `container: {ecs: {region: r, cluster: c, service: ${service}}}`;
  const apart = `  b: {provider: aws, gpu_tier: a10g, ${ecs("b")}}\n  c: {provider: aws, gpu_tier: a10g, ${ecs("c")}}\n`;
  const told = notes(file("", apart)).filter((each) => each.includes("shares an ECS cluster"));
  t.is(told.length, 1);
  t.regex(told[0] ?? "", /upstreams\.c\.container: shares an ECS cluster with b/);
});

test("what a mode chooses by itself, or passes over, is told where there is a choice", (t) => {
  const two = (mode: string, more = "", keys = "") =>
    `version: 1\nmode: ${mode}\n${keys}upstreams:\n  here: {provider: local, url: "http://127.0.0.1:8000"}\n` +
    `  there: {provider: aws, url: "http://10.0.0.1:8000", gpu_tier: a10g}\n` +
    `models:\n  flux-dev: {upstreams: [here, there]${more}}\n  small: {upstreams: [here]}\n`;
  check(t, two("manual"), [
    /^7:3 models\.flux-dev: mode manual takes here, the first listed: name another with manual$/,
  ]);
  check(t, two("manual", ", manual: there"), []);
  check(t, two("lowest_price"), [
    /flux-dev\.upstreams: mode lowest_price leaves here out: lowest_price\.include_local is false$/,
  ]);
  check(t, two("lowest_price", "", "lowest_price: {include_local: true}\n"), []);
  check(t, two("local"), []);
});

test("a hosted address that is no visual model's, or one of a model that is not known, is told", (t) => {
  const at = (url: string) =>
    `version: 1\nupstreams:\n  h: {provider: nvidia-hosted, url: "${url}", price: {usd_per_request: 0}}\n` +
    "models:\n  m: {upstreams: [h]}\n";
  const host = "https://ai.api.nvidia.com";
  check(t, at(host), [/^3:\d+ upstreams\.h\.url: is no address of a visual model: write .*\/v1\/genai\//]);
  check(t, at(`${host}/v1/genai/stabilityai/sd-9`), [/what NVIDIA takes for sd-9 is not known here/]);
  check(t, at(`${host}/v1/genai/black-forest-labs/flux.1-schnell`), []);
  check(t, at("https://integrate.api.nvidia.com"), []);
});
