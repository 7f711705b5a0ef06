import test, { type ExecutionContext } from "ava";
import { diffPolicies } from "../../src/policy/diff.ts";
import { file, policy } from "./reading.ts";

function check(t: ExecutionContext, before: string, after: string, expected: readonly string[]) {
  t.deepEqual(diffPolicies(policy(before), policy(after)), expected);
}

const BUDGET = "budgets: [{id: day, limit_usd: 20, on_limit: warn}]";

test("policies that act alike have no difference", (t) => {
  check(t, file(BUDGET), file(`# a comment\n${BUDGET}\nmode: manual`), []);
});

test("the mode and other settings are told with both values", (t) => {
  check(t, file("mode: local"), file("mode: lowest_price\nidentity: token"), [
    "mode local → lowest_price",
    "identity trusted → token",
  ]);
});

test("a budget's limit and action are told, in dollars", (t) => {
  check(t, file(BUDGET), file(BUDGET.replace("20", "25.5").replace("warn", "block")), [
    "budget day: limit 20.00 USD → 25.50 USD",
    "budget day: on_limit warn → block",
  ]);
});

test("a budget's scope is told", (t) => {
  check(t, file(BUDGET), file(BUDGET.replace("{id", "{when: {provider: [aws, gcp]}, id")), [
    "budget day: when none → provider=aws|gcp",
  ]);
});

test("what is added and removed is told once, with what it is", (t) => {
  const [line = "", ...others] = diffPolicies(policy(file()), policy(file(BUDGET)));
  t.deepEqual(others, []);
  t.regex(line, /^budget day added: limit 20\.00 USD, period daily, .*on_limit warn/);
  check(t, file(BUDGET), file(), ["budget day removed"]);
});

test("an upstream's price, address and secret are told; the secret is only where it is read from", (t) => {
  const of = (text: string) => file("", `  b: {provider: other, ${text}}\n`);
  check(
    t,
    of("url: https://a, price: {usd_per_hour: 0.40}, auth: {bearer: {env: A}}"),
    of("url: https://b, price: {usd_per_request: 0.01}, auth: {bearer: {file: /run/b}}"),
    [
      "upstream b: url https://a → https://b",
      "upstream b: price 0.40 USD/h → 0.01 USD/request",
      "upstream b: idle 0.40 USD/h → 0.00 USD/h",
      "upstream b: auth bearer from env A → bearer from file /run/b",
    ],
  );
});

test("a model's port and upstreams are told", (t) => {
  check(t, file(), file().replace("7100", "7200"), ["model flux-dev: port 7100 → 7200"]);
});

test("sections around the data path are told in the file's words, when they are removed too", (t) => {
  check(t, file(), file("comfyui: {url: 'http://127.0.0.1:8188'}"), ["comfyui none → http://127.0.0.1:8188"]);
  check(t, file("prices: {refresh: 24h}"), file("prices: {refresh: 24h, licence_usd_per_gpu_hour: 1}"), [
    "prices.licence_usd_per_gpu_hour 0.00 → 1.00",
  ]);
  check(t, file("techops: {config: /a}\nprices: {refresh: 1h}"), file("providers: {aws: {dry_run: true}}"), [
    "techops.config /a → none",
    "prices.refresh 3600s → none",
    "prices.licence_usd_per_gpu_hour 0.00 → none",
    "providers.aws.dry_run none → true",
    "providers.aws.calls_per_minute none → 60",
  ]);
  const alerts = (format: string) =>
    file(
      `alerts: {webhooks: [{url: {env: HOOK}, format: ${format}, events: [limit]}], rules: {max_usd_per_image: 1}}`,
    );
  check(t, alerts("slack"), alerts("json"), [
    "alerts.webhooks slack to env HOOK (limit) → json to env HOOK (limit)",
  ]);
});

test("a price that stays the same and comes from elsewhere is told", (t) => {
  const of = (price: string) => file("", `  b: {provider: aws, url: http://h, price: {${price}}}\n`);
  check(t, of("rate: aws/us-east-1/g5.xlarge"), of("usd_per_hour: 1.006"), [
    "upstream b: price 1.006 USD/h (aws/us-east-1/g5.xlarge, 2026-07-20) → 1.006 USD/h",
  ]);
});

test("a container and when it runs are told in the file's words", (t) => {
  const of = (name: string, life: string) =>
    file("", `  b: {provider: local, container: {docker: {name: ${name}}}, lifecycle: {${life}}}\n`);
  check(t, of("X", "wake: on_request"), of("Y", "stop_after_idle: 30m, keep_warm: Mon-Fri 09:00-18:30"), [
    "upstream b: container docker X /var/run/docker.sock → docker Y /var/run/docker.sock",
    "upstream b: lifecycle.wake on_request → never",
    "upstream b: lifecycle.stop_after_idle never → 1800s",
    "upstream b: lifecycle.keep_warm none → Mon-Fri 09:00-18:30",
  ]);
});
