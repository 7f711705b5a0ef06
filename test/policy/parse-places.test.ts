import test from "ava";
import { formatNote } from "../../src/policy/parse.ts";
import { file, problems, read } from "./reading.ts";

const TEN_MISTAKES = `version: 1
timezone: Europe/Berlim
mode: cheapest
upstreams:
  flux-local: { provider: local, url: "http://127.0.0.1:7070" }
  flux-aws:
    provider: aws
    url: "http://169.254.169.254/latest"
    gpu_tier: a10g
    timeouts: { connect: 5 }
    bearer: nvapi-secret
models:
  flux-dev: { port: 7100, upstreams: [flux-lokal, flux-aws], manual: flux-aws }
budgets:
  - { id: studio-day, limit_usd: 1e3 }
  - { id: studio-week, period: weekly }
  - { id: x, limit_usd: 5, from: 2026-12-31, until: 2026-12-01 }
`;

test("ten mistakes in one file are ten lines, each at its line and column", (t) => {
  t.deepEqual(problems(TEN_MISTAKES), [
    '2:11 timezone: "Europe/Berlim" is not a time zone that this machine knows (did you mean "Europe/Berlin"?): write an IANA name such as Europe/Berlin or UTC',
    '3:7 mode: "cheapest" is not one of the allowed words: write one of manual, lowest_price, local',
    "5:39 upstreams.flux-local.url: is the gateway itself (port 7070 is the gateway or its admin page): write where the NIM runs",
    "8:10 upstreams.flux-aws.url: this value is not an address that may be used (that is a link-local address, where clouds hand out their own credentials): write http:// or https://, a host and a path (no user, password, query; no link-local, metadata or any-address), or discovered",
    '10:26 upstreams.flux-aws.timeouts.connect: "5" is not a duration: write a number and ms, s, m, h or d, such as 30s (above 0)',
    "11:5 upstreams.flux-aws.bearer: is no key that is known here; allowed: provider, url, model, gpu_tier, concurrency, rate_limit, auth, machine, price, idle_usd_per_hour, min_billed, rank_usd_per_request, container, lifecycle, timeouts",
    '13:39 models.flux-dev.upstreams[0]: no upstream is named "flux-lokal" (did you mean "flux-local"?); there are: flux-local, flux-aws',
    '15:34 budgets[0].limit_usd: "1e3" is not an amount in USD: write digits with at most 9 decimals, such as 20.00 or 0.001',
    "16:5 budgets[1]: has no limit: write at least one of limit_usd, limit_requests, limit_images, limit_seconds, limit_tokens",
    "17:53 budgets[2].until: ends before it begins on 2026-12-31: write a later day, or an earlier from",
  ]);
});

test("a problem is printed as file:line:column path: text", (t) => {
  const note = { line: 3, column: 7, path: "mode", text: "is wrong" };
  t.is(formatNote("policy.yaml", note), "policy.yaml:3:7 mode: is wrong");
  t.is(formatNote("policy.yaml", { ...note, path: "" }), "policy.yaml:3:7: is wrong");
});

test("the column is the character's, whatever the line ends and marks before it", (t) => {
  const crlf = "version: 1\r\nmode: cheap\r\n";
  t.regex(problems(crlf)[0] ?? "", /^2:7 mode: /);
  t.regex(problems(`\uFEFF${crlf}`)[0] ?? "", /^2:7 mode: /);
  t.regex(problems("\uFEFFmode: cheap\nversion: 1\n")[0] ?? "", /^1:7 mode: /);
});

test("something missing is told at what it is missing from", (t) => {
  const text = "version: 1\nupstreams:\n  flux:\n    url: http://h\nmodels: {}\nbudgets:\n  - limit_usd: 1\n";
  const [provider = "", id = ""] = problems(text);
  t.regex(provider, /^3:3 upstreams\.flux\.provider: is missing/);
  t.regex(id, /^7:5 budgets\[0\]\.id: is missing/);
});

test("problems of later list items keep their own number when an earlier item is cut out", (t) => {
  const text =
    "version: 1\nbudgets:\n  - {limit_usd: 1}\n  - {id: a, limit_usd: 1}\n  - {id: a, limit_usd: 1}\n";
  t.regex(problems(text)[1] ?? "", /^5:10 budgets\[2\]\.id: "a" is the id of another budget above/);
});

test("one mistake does not bring others after it", (t) => {
  const refers =
    "version: 1\nupstreams:\n  flux: {provider: lokal}\nmodels:\n  m: {upstreams: [flux], manual: flux}\n";
  t.is(problems(refers).length, 1);
  const price =
    "version: 1\nupstreams:\n  flux: {provider: other, url: http://h, price: {usd_per_hour: -1}}\n";
  t.is(problems(price).length, 1);
});

test("a mistake within a value does not hide one beside it or one between values", (t) => {
  const text =
    "version: 1\nupstreams:\n  flux: {provider: other, url: ftp://h, price: {usd_per_hour: 1, usd_per_image: 1}, concurrency: 0, machine: gone}\n";
  const told = problems(text).map((each) => each.split(" ")[1]);
  t.deepEqual(told, [
    "upstreams.flux.url:",
    "upstreams.flux.price:",
    "upstreams.flux.concurrency:",
    "upstreams.flux.machine:",
  ]);
});

test("after very many problems it says that there are more", (t) => {
  const lines = Array.from({ length: 500 }, (_, i) => `k${i}: 1`).join("\n");
  const parsed = read(`version: 1\n${lines}\n`);
  if (parsed.kind === "policy") return t.fail();
  t.is(parsed.problems.length, 200);
  t.is(parsed.problems.at(-1)?.text, "there are more problems from here on");
});

test("what is wrong with an item of a list is told of that item, at its place", (t) => {
  const of = (scope: string) => problems(file(`budgets:\n  - {id: a, limit_usd: 1, when: {${scope}}}`));
  t.deepEqual(of("user: [alice, bob, true]"), [
    "7:53 budgets[0].when.user[2]: true is not a text: write 1 to 128 visible characters on one line, without blanks around them",
  ]);
  const [first = "", second = "", ...others] = of("model: [flux-dev, flx-dev, '', other]");
  t.regex(
    first,
    /^7:52 budgets\[0\]\.when\.model\[1\]: no model is named "flx-dev" \(did you mean "flux-dev"/,
  );
  t.regex(second, /^7:61 budgets\[0\]\.when\.model\[2\]: "" is not a text/);
  t.regex(others.join("\n"), /^7:65 budgets\[0\]\.when\.model\[3\]: no model is named "other"[^\n]*$/);
  t.regex(
    of("model: flx-dev").join("\n"),
    /^7:41 budgets\[0\]\.when\.model: no model is named "flx-dev"[^\n]*$/,
  );
});

test("what nobody sees is refused in a text, and shown in the problem", (t) => {
  const of = (value: string) => problems(file(`budgets: [{id: a, limit_usd: 1, when: {user: "${value}"}}]`));
  for (const [given, shown] of [
    ["ali\u200bce", "ali\\\\u{200b}ce"],
    ["ali\u00a0ce", "ali\\\\u{a0}ce"],
    [" alice", " alice"],
    ["alice ", "alice "],
  ] as const) {
    t.regex(of(given).join("\n"), new RegExp(`when\\.user: "${shown}" is not a text`));
  }
  t.deepEqual(of("Ali Ce"), []);
});
