import test, { type ExecutionContext } from "ava";
import { quantityOf } from "../../src/metering/quantity.ts";
import { formatNote, parsePolicy } from "../../src/policy/parse.ts";
import { context, file, policy, problems } from "./reading.ts";

/** `given` has exactly one problem, and its text says `expected`. */
function check(t: ExecutionContext, given: string, expected: RegExp) {
  const told = problems(given);
  t.is(told.length, 1, told.join("\n"));
  t.regex(told[0] ?? "", expected);
}

const NOT_AMOUNTS = [
  "1e3",
  "1_000",
  "-1",
  "+1",
  "0x10",
  "010",
  ".5",
  "5.",
  "0.0000000001",
  ".inf",
  ".nan",
  "yes",
  "[1]",
];

for (const given of NOT_AMOUNTS) {
  test(`${given} is no amount in USD`, (t) => {
    check(
      t,
      file(`budgets: [{id: a, limit_usd: ${given}}]`),
      /budgets\[0\]\.limit_usd: .* is not an amount in USD: write digits/,
    );
  });
}

test("a policy without a time zone needs a machine that has one", (t) => {
  const of = (text: string) => {
    const parsed = parsePolicy(text, { ...context, timezone: "Mars/Base" });
    return parsed.kind === "problems" ? parsed.problems.map((each) => formatNote("", each)) : [];
  };
  t.deepEqual(of(file()), [
    ":1:1 timezone: is missing, and this machine's (TZ) is unknown: write timezone: Europe/Berlin",
  ]);
  t.deepEqual(of(file("timezone: UTC")), []);
  t.is(of(file("timezone: Mars")).length, 1);
});

test("a model's estimate is at most a day", (t) => {
  const given = (estimate: string) =>
    `version: 1\nupstreams: {flux: {provider: local, url: "http://127.0.0.1:8000"}}\nmodels: {flux-dev: {upstreams: [flux], estimate: ${estimate}}}\n`;
  t.deepEqual(problems(given("24h")), []);
  check(t, given("25h"), /estimate: "25h" is not a duration: write .* \(above 0, at most 24h\)/);
});

test("an amount is read from its text to the nano-dollar", (t) => {
  const of = (text: string) =>
    policy(file(`budgets: [{id: a, limit_usd: ${text}}]`)).budgets[0]?.limits.get("usd");
  t.is(of("20.00"), quantityOf(20_000_000_000n));
  t.is(of("0.001"), quantityOf(1_000_000n));
  t.is(of("0.000000001"), quantityOf(1n));
  t.is(of("9007199.254740993"), quantityOf(9_007_199_254_740_993n));
  t.is(of('"0.1"'), quantityOf(100_000_000n));
});

test("an unknown key is a problem, with the key that was meant", (t) => {
  check(
    t,
    file("budgets: [{id: a, limt_usd: 1, limit_usd: 1}]"),
    /limt_usd: is no key that is known here \(did you mean "limit_usd"\?\)/,
  );
  check(t, file("hots: []"), /^6:1 hots: .*did you mean "hosts"/);
});

test("a version that is missing or another is a problem", (t) => {
  check(t, file().replace("version: 1\n", ""), /version: is missing: write version: 1/);
  check(t, file().replace("version: 1", "version: 2"), /version: "2" is not a version/);
});

const SHAPES: readonly (readonly [string, RegExp])[] = [
  ["mode:", /^6:1 mode: has no value: write one of manual, lowest_price, local, or remove the line$/],
  ["budgets: [{id: a, limit_usd: ~}]", /limit_usd: has no value: write digits/],
  [
    "providers: {aws: {credentials: {techops: false}}}",
    /techops: false is not allowed here: write true, or remove the line$/,
  ],
  ["hosts: ['a:99999']", /hosts\[0\]: "a:99999" is not a host \(a port is at most 65535\): write/],
  ["mode: [local]", /mode: a list is not one of the allowed words/],
  ["identity: true", /identity: true is not one of|identity: "true" is not one of/],
  ["lowest_price: {explore: yes}", /explore: "yes" is not a switch: write true or false/],
  ["limits: {body: 64}", /body: "64" is not a size: write a whole number and kB, MB/],
  ["limits: {connections: 1.5}", /connections: "1.5" is not a whole number/],
  ["limits: 5", /limits: must be a mapping \(key: value\), not "5"/],
  ["hosts: gateway", /hosts: must be a list/],
  ["origins: ['https://a/b']", /origins\[0\]: .* is not a browser origin/],
  ["timezone: '+01:00'", /timezone: .* is not a time zone/],
  ["defaults: {warn_at: 1.5}", /warn_at: "1.5" is not a share: write a number from 0 to 1/],
  ["defaults: {session_idle: 0s}", /session_idle: "0s" is not a duration/],
  ["prices: {entries: {x: {}}}", /entries\.x: has no price: write exactly one of/],
  [
    "providers: {aws: {endpoint: 'http://metadata.google.internal'}}",
    /endpoint: this value is not an address/,
  ],
  ["clients: {alice: {role: use}}", /clients\.alice\.token_sha256: is missing/],
  ["clients: {Alice: {token_sha256: x}}", /clients\.Alice: is not a name/],
  [
    "alerts: {webhooks: [{url: 'https://hooks.slack.com/services/T0/B0/abc'}]}",
    /url: must be a reference, for a secret/,
  ],
  ["budgets: [{id: A b, limit_usd: 1}]", /id: "A b" is not a name: write 1 to 40 of a-z/],
  ["budgets: [{id: a, limit_usd: 1, when: {usr: alice}}]", /when\.usr: .*did you mean "user"/],
  ["budgets: [{id: a, limit_usd: 1, when: {user: []}}]", /when\.user: is an empty list/],
  [
    "budgets: [{id: a, limit_usd: 1, when: {tag: x, agent: y}}]",
    /when: tag, agent and component are one key/,
  ],
  ["budgets: [{id: a, limit_usd: 1, priority: 11}]", /priority: "11" is not a priority/],
  ["budgets: [{id: a, limit_usd: 1, from: 2026-02-30}]", /from: "2026-02-30" is not a day/],
  ["budgets: [{id: a, limit_usd: 1, then: degrade}]", /then: "degrade" is not one of/],
  ["budgets: [{id: a, limit_usd: 1, warn_at: 0.9, critical_at: 0.5}]", /warn_at: is above critical_at/],
  ["budgets: [{id: a, limit_requests: 1.5}]", /limit_requests: "1.5" is not a whole number/],
];

for (const [given, expected] of SHAPES) {
  test(`refused: ${given}`, (t) => check(t, file(given), expected));
}

const BETWEEN: readonly (readonly [string, RegExp])[] = [
  ["budgets: [{id: a}]", /budgets\[0\]: has no limit/],
  ["budgets: [{id: a, limit_usd: 1}, {id: a, limit_usd: 2}]", /budgets\[1\]\.id: "a" is the id of another/],
  [
    "budgets: [{id: a, limit_usd: 1, reset_day: 2}]",
    /reset_day: is for weekly and monthly budgets, and this one is daily/,
  ],
  [
    "budgets: [{id: a, limit_usd: 1, period: per_task, per: user}]",
    /budgets\[0\]\.per: per_task already is one balance per task: remove per/,
  ],
  [
    "defaults: {period: per_session}\nbudgets: [{id: a, limit_usd: 1, per: session}]",
    /per: per_session already is one balance per session: remove per/,
  ],
  ["budgets: [{id: a, limit_usd: 1, period: weekly, reset_day: 8}]", /reset_day: 8 is no day of the week/],
  [
    "budgets: [{id: a, limit_usd: 1, period: monthly, reset_day: 29}]",
    /reset_day: "29" is not a whole number/,
  ],
  [
    "budgets: [{id: a, limit_usd: 1, when: {upstream: flx}}]",
    /no upstream is named "flx" \(did you mean "flux"\?\)/,
  ],
  [
    "budgets: [{id: a, limit_usd: 1, when: {model: flux-def}}]",
    /no model is named "flux-def" \(did you mean "flux-dev"/,
  ],
  ["budgets: [{id: a, limit_usd: 1, when: {machine: m}}]", /no machine is named "m"/],
  ["comfyui: {url: 'http://localhost:7071'}", /comfyui\.url: is the gateway itself/],
  ["machines: {flux: {price: {usd_per_hour: 1}}}", /upstreams\.flux: a machine is named flux too/],
  [
    "machines: {a: {asg: {region: r, name: n}, price: {usd_per_hour: 1}}, b: {asg: {region: r, name: n}, price: {usd_per_hour: 1}}}",
    /machines\.b\.asg: is machine a already/,
  ],
  [
    "machines: {a: {asg: {region: r, name: n}, docker_host: {}, price: {usd_per_hour: 1}}}",
    /machines\.a: is asg and docker_host at once/,
  ],
  [
    "clients: {a: {token_sha256: SUM}, b: {token_sha256: SUM}}".replaceAll("SUM", "ab".repeat(32)),
    /is the token of a too/,
  ],
];

for (const [given, expected] of BETWEEN) {
  test(`refused between entries: ${given}`, (t) => check(t, file(given), expected));
}

function models(text: string): string {
  return `version: 1\nupstreams: {flux: {provider: local, url: "http://127.0.0.1:8000"}}\nmodels: {${text}}\n`;
}

const MODELS: readonly (readonly [string, RegExp])[] = [
  ["a: {upstreams: [flx]}", /upstreams\[0\]: no upstream is named "flx" \(did you mean "flux"\?\)/],
  ["a: {upstreams: []}", /upstreams: is empty/],
  ["a: {upstreams: [flux, flux]}", /upstreams\[1\]: "flux" is named twice/],
  ["a: {upstreams: [flux], manual: other}", /manual: "other" is not one of this model's upstreams/],
  ["a: {upstreams: [flux], port: 7071}", /port: 7071 is taken by the gateway/],
  [
    "a: {upstreams: [flux], port: 7100}, b: {upstreams: [flux], port: 7100}",
    /models\.b\.port: 7100 is taken by model a/,
  ],
  ["a: {upstreams: [flux], port: 0}", /port: "0" is not a whole number .* from 1 to 65535/],
  [
    "a: {upstreams: [flux], port: 8000}",
    /upstreams\.flux\.url: is the gateway itself \(port 8000 is model a\)/,
  ],
  ["a: {upstreams: [flux], fallback_model: b}", /fallback_model: no model is named "b"/],
  ["a: {upstreams: [flux], fallback_model: a}", /fallback_model: leads back to itself \(a → a\)/],
  [
    "a: {upstreams: [flux], fallback_model: b}, b: {upstreams: [flux], fallback_model: c}, c: {upstreams: [flux], fallback_model: b}",
    /models\.b\.fallback_model: leads back to itself \(b → c → b\)/,
  ],
];

for (const [given, expected] of MODELS) {
  test(`refused model: ${given}`, (t) => check(t, models(given), expected));
}

test("a model's max_usd_per_request is a budget on each of its requests", (t) => {
  const made = policy(models("a: {upstreams: [flux], max_usd_per_request: 0.01}")).budgets[0];
  t.is(made?.period, "per_task");
  t.is(made?.onLimit, "block");
  t.deepEqual(made?.when, new Map([["model", ["a"]]]));
  t.is(made?.limits.get("usd"), quantityOf(10_000_000n));
});

test("a number with a comma is told to be written with a point", (t) => {
  const budget = (amount: string) => file(`budgets:\n  - {id: a, limit_usd: ${amount}, period: daily}`);
  check(t, budget("20,00"), /budgets\[0\]\.00: .*write 20\.00, with a point$/);
  check(t, budget("1, 50"), /write 1\.50, with a point$/);
  check(t, budget("20,000"), /write 20\.000, with a point, or 20000 without the comma$/);
  check(t, file("budgets:\n  - {id: a, 00: 1, limit_usd: 1}"), /is no key that is known here/);
});

test("an amount that is too large is told the largest", (t) => {
  check(t, file("budgets: [{id: a, limit_usd: 1000000000}]"), /\(at most 999999999\.999999999\)/);
  check(t, file(`budgets: [{id: a, limit_usd: ${"9".repeat(30)}.5}]`), /\(at most 999999999\.999999999\)/);
});

test("an id that is used twice is told even where a twin has another problem", (t) => {
  const twin = "{id: a, limit_usd: 1}";
  for (const other of ["{id: a, limit_usd: one}", "{id: a}", "{id: a, limit_usd: 1, color: red}"]) {
    for (const order of [`${twin}, ${other}`, `${other}, ${twin}`]) {
      const told = problems(file(`budgets: [${order}]`));
      t.is(told.length, 2, told.join("\n"));
      t.true(told.some((line) => /budgets\[1\]\.id: "a" is the id of another budget above/.test(line)));
    }
  }
});
