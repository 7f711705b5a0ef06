// The commands that talk to the daemon, against a real admin surface over a house of functions.

import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import test, { type ExecutionContext } from "ava";
import type { House } from "../../src/admin/house.ts";
import {
  explanation,
  houseOf,
  openAdmin,
  requestOf,
  studioDay,
  today,
  usd,
} from "../admin/house-of-functions.ts";
import { type CliWorld, cli, temporaryFolder } from "../support/cli.ts";
import type { Ran } from "../support/program.ts";

interface Daemon {
  readonly house: ReturnType<typeof houseOf>;
  readonly address: string;
  run(line: string, world?: CliWorld): Promise<Ran>;
}

async function daemon(
  t: ExecutionContext,
  changes: Partial<House> = {},
  anonymous: "loopback" | "nobody" = "loopback",
): Promise<Daemon> {
  const house = houseOf(changes);
  const { admin, port } = await openAdmin(house, anonymous);
  t.teardown(() => admin.close());
  const address = `127.0.0.1:${port}`;
  const run = (line: string, world: CliWorld = {}) =>
    cli(line.split(" "), { ...world, environment: { BUDGETGUARD_ADMIN: address, ...world.environment } });
  return { house, address, run };
}

const asAdmin = { environment: { BUDGETGUARD_TOKEN: "admin-token" } };

test("status shows what is in force, and ends with 0", async (t) => {
  const { run } = await daemon(t);
  const { code, stdout } = await run("status");
  t.is(code, 0);
  t.regex(
    stdout,
    /^budgetguard 0\.1\.0, ready, since 2026-11-22 01:00:00 Europe\/Berlin\nmode +lowest_price\n/,
  );
  t.regex(stdout, /listening {2}127\.0\.0\.1:7070\n/);
  t.regex(
    stdout,
    /\nstudio-day {2}ok {9}20\.00 {2}0\.003353333 {2}0\.000000001 {2}19\.996646666 {2}block {5}daily {3}2026-11-23 01:00 /,
  );
  t.regex(stdout, /\nflux-aws {2}aws {7}flux-dev {10}1 {2}1\.006 USD\/h, rate card\n/);
});

test("status ends with 1 when requests are not served, or the file has problems", async (t) => {
  const closed = await daemon(t, { ready: () => ({ ready: false, why: "the ledger is full" }) });
  const notReady = await closed.run("status");
  t.is(notReady.code, 1);
  t.regex(notReady.stdout, /not ready: the ledger is full/);
  const state = houseOf().policy();
  const problems = [{ line: 1, column: 1, path: "mode", text: "is wrong" }];
  const broken = await daemon(t, { policy: () => ({ ...state, problems }) });
  const bad = await broken.run("status");
  t.is(bad.code, 1);
  t.regex(
    bad.stdout,
    /problems \(1\), so the last good one stays in force: budgetguard check \/etc\/policy\.yaml/,
  );
});

test("a balance per user says whose it is", async (t) => {
  const budget = { ...studioDay, id: "artist-day", per: "user" as const };
  const states = ["alice", "bob"].map((value) => ({
    ...{ budget, value, period: today, limit: usd(5_000_000_000), settled: usd(5_000_000_000), held: usd(0) },
  }));
  const { run } = await daemon(t, { status: () => ({ ...houseOf().status(), budgets: states }) });
  const { stdout } = await run("status");
  t.regex(stdout, /\nartist-day \(user alice\) {2}spent .*\nartist-day \(user bob\) {4}spent /);
});

test("mode shows, mode set switches with a token, and neither without one", async (t) => {
  const { run, house } = await daemon(t);
  t.deepEqual(await run("mode"), { code: 0, stdout: "lowest_price\n", stderr: "" });
  const switched = await run("mode set local", asAdmin);
  t.is(switched.code, 0);
  t.regex(
    switched.stdout,
    /^local, switched 2026-11-22 11:15:00 Europe\/Berlin; the policy file says lowest_price\n/,
  );
  t.is((await run("mode set local", { environment: { BUDGETGUARD_DATA: "/nowhere" } })).code, 1);
  t.deepEqual(house.heard.modes, ["local"]);
});

test("the admin token is read from the data folder, for a write", async (t) => {
  const { run, house } = await daemon(t);
  const data = await temporaryFolder(t);
  await writeFile(join(data, "admin-token"), "admin-token\n");
  t.is((await run(`mode set manual --data ${data}`)).code, 0);
  t.is((await run("mode set local", { environment: { BUDGETGUARD_DATA: data } })).code, 0);
  const state = await temporaryFolder(t);
  await mkdir(join(state, "budgetguard"));
  await writeFile(join(state, "budgetguard", "admin-token"), "admin-token\n");
  if (process.platform === "linux") {
    t.is((await run("mode set lowest_price", { environment: { XDG_STATE_HOME: state } })).code, 0);
  }
  t.deepEqual(house.heard.modes.slice(0, 2), ["manual", "local"]);
});

test("the admin token is shown to this machine's daemon alone, and only where it is needed", async (t) => {
  const data = await temporaryFolder(t);
  await writeFile(join(data, "admin-token"), "admin-token\n");
  const shown: (string | undefined)[] = [];
  const server = createServer(({ headers }, response) => {
    shown.push(headers.authorization);
    response.end("{}");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  // An address that reaches the same server and is not called loopback.
  for (const address of [`0.0.0.0:${port}`, `127.0.0.1:${port}`]) {
    for (const words of [["mode"], ["mode", "set", "local"]]) {
      t.is((await cli([...words, "--admin", address, "--data", data])).code, 1);
    }
  }
  t.deepEqual(shown, [undefined, undefined, undefined, "Bearer admin-token"]);
});

test("what is refused is told with its reason and what to do, also as JSON", async (t) => {
  const { run } = await daemon(t);
  const wrong = await run("mode set local --token nobodys --json");
  t.is(wrong.code, 1);
  t.regex(wrong.stderr, /nobody has this token.*the admin token is in \/data\/admin-token; .*--data/);
  t.like(JSON.parse(wrong.stdout).error, { status: 401, code: "unknown_token" });
  const reader = await run("mode set local --token reader-token");
  t.is(reader.code, 1);
  t.regex(reader.stderr, /role read may not do this/);
});

test("a token that no header can carry is wrong usage, not a missing daemon", async (t) => {
  const { run } = await daemon(t);
  t.is((await run("mode", { environment: { BUDGETGUARD_TOKEN: "two words" } })).code, 2);
});

test("usage is the exact sum of the period, by any dimension or filter", async (t) => {
  const { run, house } = await daemon(t);
  t.is(
    (await run("usage daily")).stdout,
    "daily, 2026-11-22 01:00 Europe/Berlin to 2026-11-23 01:00 Europe/Berlin\n" +
      "0.006706666 USD for 3 requests, 2 images, 24 s of work\n",
  );
  t.regex((await run("usage")).stdout, /^today, /);
  t.regex(
    (await run("get_usage monthly --provider aws --user alice")).stdout,
    /, provider aws, user alice\n/,
  );
  t.regex(
    (await run("get-usage monthly --by provider")).stdout,
    /\naws +3 +2 +24 s {2}0\.006706666\ntotal +3 /,
  );
  t.deepEqual(
    house.heard.spend.map(({ period, by, where }) => [period, by, where]),
    [
      ["daily", "total", {}],
      ["today", "total", {}],
      ["monthly", "total", { provider: "aws", user: "alice" }],
      ["monthly", "provider", {}],
    ],
  );
});

test("usage does not do what it was not asked for", async (t) => {
  const { run, house } = await daemon(t);
  for (const line of [
    "usage fortnightly",
    "usage --by colour",
    "usage --by user --user alice",
    "usage a b",
  ]) {
    t.is((await run(line)).code, 2, line);
  }
  t.deepEqual(house.heard.spend, []);
});

test("explain tells who asked what, candidates, budgets before and after, rule and cost", async (t) => {
  const { run } = await daemon(t);
  const { code, stdout } = await run("explain r-1");
  t.is(code, 0);
  t.is(
    stdout,
    [
      "Request r-1 (the client's c-1)",
      "alice asked for flux-dev on 2026-11-22 11:15:00 Europe/Berlin, workflow poster.",
      "It was served by flux-aws (aws), which answered 200, after 12 s.",
      "",
      "Rule  the lowest price whose budgets fit (mode lowest_price, policy test)",
      "Budgets would have let through: flux-local (0.00 USD).",
      "",
      "candidate  provider  estimate USD  time  price        source                                           age     outcome",
      "flux-aws   aws        0.003353334  12 s  1.006 USD/h  rate card aws/us-east-1/g5.xlarge of 2026-11-20  2 days  chosen",
      "",
      "Budgets before, for flux-aws",
      "budget      limit USD      settled  held       needed  fits  resets",
      "studio-day      20.00  0.000000001  0.00  0.003353334  yes   2026-11-23 01:00 Europe/Berlin",
      "",
      "Budgets after",
      "budget      limit USD      settled  held          left",
      "studio-day      20.00  0.003353334  0.00  19.996646666",
      "",
      "Cost  0.003353333 USD for 12 s of work; estimated 0.003353334 USD, 0.003353334 USD held",
      "",
    ].join("\n"),
  );
});

test("explain fits a narrow screen without breaking an amount", async (t) => {
  const { run } = await daemon(t);
  const { stdout } = await run("explain r-1", { width: 80, hasColour: true });
  const tables = stripVTControlCharacters(stdout)
    .split("\n")
    .filter((line) => !/^(?:Rule|Cost)/.test(line));
  for (const line of tables) t.true(line.length <= 80, line);
  t.regex(stripVTControlCharacters(stdout), /\nsource +rate card aws\/us-east-1\/g5\.xlarge of 2026-11-20\n/);
});

test("explain finds the last request, a running one, and a refused one", async (t) => {
  const refused = requestOf("r-9", {
    ...{
      outcome: "refused",
      upstream: undefined,
      provider: undefined,
      status: undefined,
      charged: undefined,
    },
    ...{
      elapsed: undefined,
      after: [],
      explanation: { ...explanation, chosen: undefined, alternatives: [] },
    },
  });
  const { run } = await daemon(t, {
    request: async (id) => (id === "r-9" ? refused : houseOf().request(id)),
  });
  t.regex((await run("explain last")).stdout, /^Request r-3 .*\n.*\nIt is being served by flux-aws/);
  t.regex(
    (await run("explain last")).stdout,
    /\nCost {2}not known while it runs; estimated 0\.003353334 USD/,
  );
  const { stdout } = await run("explain r-9");
  t.regex(stdout, /\nIt ended as refused\.\n/);
  t.regex(stdout, /\nBudgets would have let nothing through\.\n/);
  t.regex(stdout, /\nstudio-day +20\.00 .* 2026-11-23/);
  t.regex(stdout, /\nCost {2}nothing was sent, and nothing is charged\n/);
});

test("explain of a budget tells how it stands; of nothing, that there is none", async (t) => {
  const { run } = await daemon(t);
  t.regex(
    (await run("explain studio-day")).stdout,
    /^Budget studio-day: the studio's day\nIt can refuse work\.\n/,
  );
  t.is(JSON.parse((await run("explain r-404 --json")).stdout).error.code, "not_found");
  const none = await run("explain r-404");
  t.is(none.code, 1);
  t.regex(
    none.stderr,
    /no request has the id r-404, no client sent it .*budgetguard explain last .*budgetguard status/,
  );
  const empty = await daemon(t, { requests: async () => ({ rows: [], more: false }) });
  t.deepEqual(await empty.run("explain last"), {
    code: 1,
    stdout: "",
    stderr: "there are no requests yet\n",
  });
});

test("a budget that has no balance is told all the same", async (t) => {
  const state = houseOf().policy();
  const budgets = [
    { ...studioDay, id: "artist-day", per: "user" as const },
    { ...studioDay, id: "old", enabled: false },
    { ...studioDay, id: "one-image", period: "per_task" as const, description: "" },
    { ...studioDay, id: "pictures", limits: new Map([["images", 10n] as const]) },
  ];
  const { run } = await daemon(t, {
    policy: () => ({ ...state, policy: { ...state.policy, budgets } }),
    status: () => ({ ...houseOf().status(), budgets: [] }),
  });
  const told = [
    ["artist-day", "nothing counted yet (20.00 USD daily per user, at the limit: block)"],
    ["old", "disabled"],
    ["one-image", "nothing under way (20.00 USD per_task, at the limit: block)"],
    ["pictures", "not active yet: it has no limit_usd"],
  ] as const;
  const { stdout } = await run("status");
  for (const [id, text] of told) {
    t.true(stdout.includes(`\nbudget ${id}: ${text}\n`), stdout);
    t.true((await run(`explain ${id}`)).stdout.endsWith(`\n\n${text}\n`));
  }
  t.like(JSON.parse((await run("explain old --json")).stdout), { budget: { id: "old" }, balances: [] });
});

test("an escape sequence in a label reaches programs as it is, and screens not at all", async (t) => {
  const label = "\u001b[2Jalice";
  const { labels } = requestOf("r-1");
  const { run } = await daemon(t, {
    request: async () => requestOf("r-1", { labels: { ...labels, user: label } }),
  });
  t.false((await run("explain r-1")).stdout.includes("\u001b"));
  t.is(JSON.parse((await run("explain r-1 --json")).stdout).labels.user, label);
});

test("estimate says what would happen, and ends with 1 unless it would be served", async (t) => {
  const asked: unknown[] = [];
  const [candidate] = explanation.candidates;
  if (candidate === undefined) throw new Error("the explanation has a candidate");
  const breach = { ...{ budget: "studio-day", action: "block" as const, limit: usd(20_000_000_000) } };
  const { run } = await daemon(t, {
    async estimate(query) {
      asked.push(query);
      if (query.images > 1) {
        const amounts = { settled: usd(20_000_000_000), held: usd(0), needed: usd(1) };
        const turns = { resets: today.end, timezone: "UTC", alternatives: [] };
        return { kind: "refuse", breach: { ...breach, ...amounts, ...turns }, explanation };
      }
      return houseOf().estimate(query);
    },
  });
  const none = await run("estimate flux-dev --size 1024x768 --steps 4 --user alice --tag poster");
  t.is(none.code, 1);
  t.regex(none.stdout, /^flux-dev has no upstream: no upstream is local\.\n/);
  t.like(asked[0], { width: 1024, height: 768, steps: 4, images: 1 });
  t.like((asked[0] as { labels: object }).labels, { user: "alice", tag: "poster" });
  const refused = await run("estimate flux-dev --images 2");
  t.is(refused.code, 1);
  t.regex(
    refused.stdout,
    /budget studio-day \(on_limit: block\) has 20\.00 settled and 0\.00 held of 20\.00 USD, this needs 0\.000000001; it resets 2026-11-23 00:00 UTC\./,
  );
  t.is((await run("estimate flux-pro")).code, 1);
});

test("an estimate of nonsense is wrong usage and is not asked", async (t) => {
  const { run } = await daemon(t, { estimate: async () => t.fail() as never });
  for (const wrong of [
    "--size 0x4",
    "--size big",
    "--steps -1",
    "--images 1.5",
    "--colour red",
    "--images 0",
  ]) {
    t.is((await run(`estimate flux-dev ${wrong}`)).code, 2, wrong);
  }
});

test("a new token stands alone on standard output", async (t) => {
  const { run } = await daemon(t);
  const made = await run("token create bob --role read", asAdmin);
  t.deepEqual([made.code, made.stdout], [0, "bg-secret\n"]);
  t.regex(made.stderr, /^the token of bob, role read; it is not shown again\n/);
  const json = await run("token create bob --json", asAdmin);
  t.like(JSON.parse(json.stdout), { id: "bob", role: "use", token: "bg-secret" });
  t.is((await run("token create alice", asAdmin)).code, 1);
  t.is((await run("token create Bob", asAdmin)).code, 2);
  t.is((await run("token create bob --role king", asAdmin)).code, 2);
});

test("--json is what the API answers", async (t) => {
  const { run, address } = await daemon(t);
  for (const [line, path] of [
    ["status --json", "/api/v1/status"],
    ["mode --json", "/api/v1/mode"],
    ["usage today --json", "/api/v1/usage?period=today"],
    ["usage daily --by user --json", "/api/v1/spend?period=daily&by=user"],
    ["explain r-1 --json", "/api/v1/requests/r-1"],
  ] as const) {
    const reply = await fetch(`http://${address}${path}`);
    t.deepEqual(JSON.parse((await run(line)).stdout), await reply.json(), line);
  }
});

test("the flag wins over the environment, and an address may be a URL", async (t) => {
  const { run, address } = await daemon(t);
  const environment = { BUDGETGUARD_ADMIN: "127.0.0.1:1" };
  t.is((await run(`mode --admin ${address}`, { environment })).code, 0);
  t.is((await run(`mode --admin http://${address}/`, { environment })).code, 0);
  t.is((await run("mode", { environment })).code, 3);
  t.is((await run("mode --admin http://a/b", { environment })).code, 2);
  t.is((await run("mode --admin nonsense:port", { environment })).code, 2);
  const nonsense = await run("status --admin nonsense");
  t.is(nonsense.code, 2);
  t.regex(nonsense.stderr, /--admin nonsense is no address: write HOST:PORT/);
});

test("times are shown in the policy's zone, wherever whoever looks may be", async (t) => {
  const state = houseOf().policy();
  const policy = { ...state.policy, timezone: "Asia/Tokyo" };
  const { run } = await daemon(t, { policy: () => ({ ...state, policy }) });
  for (const line of ["status", "explain r-1", "explain studio-day"]) {
    const { stdout } = await run(line);
    t.regex(stdout, /2026-11-23 09:00 Asia\/Tokyo/, line);
    t.notRegex(stdout, /Berlin/, line);
  }
  t.is(JSON.parse((await run("estimate flux-dev --json")).stdout).timezone, "Asia/Tokyo");
  t.regex((await run("estimate flux-dev")).stdout, /2026-11-23 09:00 Asia\/Tokyo/);
});

test("balances of a budget per task or session say so", async (t) => {
  const state = { period: today, limit: usd(5_000_000_000), settled: usd(0), held: usd(1) };
  const budgets = (["per_task", "per_session"] as const).map((period) => ({
    ...{ ...state, value: "poster", budget: { ...studioDay, id: period, period } },
  }));
  const { run } = await daemon(t, { status: () => ({ ...houseOf().status(), budgets }) });
  t.regex((await run("status")).stdout, /\nper_task \(task poster\) .*\nper_session \(session poster\) /);
});

test("where nobody is anonymous, a question is asked again with this machine's admin token", async (t) => {
  const { run } = await daemon(t, {}, "nobody");
  const data = await temporaryFolder(t);
  t.is((await run(`status --data ${data}`)).code, 1);
  await writeFile(join(data, "admin-token"), "admin-token\n");
  t.is((await run(`status --data ${data}`)).code, 0);
});
