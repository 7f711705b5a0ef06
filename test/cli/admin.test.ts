// The commands that talk to the daemon, against a real admin surface over a house of functions.

import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import test, { type ExecutionContext } from "ava";
import type { BudgetState } from "../../src/admin/budget-state.ts";
import { instantUs } from "../../src/metering/time.ts";
import { always, houseOf, studioDay, today, usd } from "../admin/house-of-functions.ts";
import { cli, temporaryFolder } from "../support/cli.ts";
import { asAdmin, daemon } from "./admin-daemon.ts";

test("status shows what is in force, and ends with 0", async (t) => {
  const { run } = await daemon(t);
  const { code, stdout } = await run("status");
  t.is(code, 0);
  t.regex(
    stdout,
    /^budgetguard 0\.1\.0, ready, since 2026-11-22 01:00:00 Europe\/Berlin\nmode +lowest_price\n/,
  );
  t.regex(
    stdout,
    /\ntechops {4}✓ Server Credentials Found; aws found, azure invalid, gcp found, nvidia found\n {11}azure: without Tenant ID\n/,
  );
  t.regex(stdout, /listening {2}127\.0\.0\.1:7070\n/);
  t.regex(
    stdout,
    /\nstudio-day {2}ok {5}20\.00 {2}USD {3}0\.003353333 {2}0\.000000001 {2}19\.996646666 {2}block {5}daily {3}2026-11-23 01:00 /,
  );
  t.regex(stdout, /\npolicy .*; folding: a new one is being counted, these limits stay until then\n/);
  t.regex(stdout, /\nin flight {2}2, 1 of them waiting for a slot or for money\n/);
  t.regex(stdout, /\nflux-aws {2}aws +flux-dev {2}up +1 of 1 +1 {2}1\.006 USD\/h, rate card\n/);
  t.regex(stdout, /\nupstream flux-aws is busy: 1 of 1 runs\n/);
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
    ...{
      budget,
      value,
      period: today,
      unit: "usd" as const,
      limit: usd(5_000_000_000),
      settled: usd(5_000_000_000),
      held: usd(0),
    },
  }));
  const { run } = await daemon(t, { status: () => ({ ...houseOf().status(), budgets: states }) });
  const { stdout } = await run("status");
  t.regex(stdout, /\nartist-day \(user alice\) {2}spent .*\nartist-day \(user bob\) {4}spent /);
});

test("X27: mode shows, mode set switches with a token, and neither without one", async (t) => {
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
  const port = await portOf(t, ({ headers }, response) => {
    shown.push(headers.authorization);
    response.end("{}");
  });
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
  const state = {
    period: today,
    unit: "usd" as const,
    limit: usd(5_000_000_000),
    settled: usd(0),
    held: usd(1),
  };
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

async function portOf(t: ExecutionContext, listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

test("what answers and is not the admin API is said to be that", async (t) => {
  for (const answer of ["<html>", '{"detail":"no model is named api"}']) {
    for (const status of [200, 404]) {
      const port = await portOf(t, (_, response) => response.writeHead(status).end(answer));
      const { code, stdout, stderr } = await cli(["status", "--json", "--admin", `127.0.0.1:${port}`]);
      t.is(code, 1);
      t.regex(
        stderr,
        new RegExp(`^what answers at http://127.0.0.1:${port} is not the admin API \\(usually port 7071`),
      );
      t.is(JSON.parse(stdout).error.code, "not_the_api");
    }
  }
});

test("a wrong address is blamed on whatever it was said by", async (t) => {
  const { stderr } = await cli(["status"], { environment: { BUDGETGUARD_ADMIN: "foo" } });
  t.regex(stderr, /^error: BUDGETGUARD_ADMIN foo is no address/);
  const flag = await cli(["status", "--admin", "foo"], { environment: { BUDGETGUARD_ADMIN: "bar" } });
  t.regex(flag.stderr, /^error: --admin foo is no address/);
  const listen = await cli(["check"], { environment: { BUDGETGUARD_LISTEN: "foo" } });
  t.regex(listen.stderr, /^error: BUDGETGUARD_LISTEN foo is no address/);
});

test("one of a thing is one thing", async (t) => {
  const { run } = await daemon(t, {
    spend: async (asked) => {
      const found = await houseOf().spend(asked);
      return { ...found, total: { ...found.total, requests: 1, images: 1 } };
    },
  });
  t.regex((await run("usage")).stdout, / USD for 1 request, 1 image, 24 s of work\n$/);
});

test("tokens are shown where an LLM told them, and nowhere else", async (t) => {
  const { run } = await daemon(t, {
    spend: async (asked) => {
      const found = await houseOf().spend(asked);
      const tokens = { input: 1200, output: 34 };
      const rows = found.rows.map((row, index) => (index === 0 ? { ...row, tokens } : row));
      return { ...found, total: { ...found.total, tokens }, rows };
    },
  });
  t.regex((await run("usage")).stdout, / 24 s of work, 1200 tokens in and 34 out\n$/);
  const { stdout } = await run("usage --by user");
  t.regex(stdout, /requests +images +work +tokens in +out +USD/);
  t.regex(stdout, / 1200 +34 /);
  const { stdout: none } = await (await daemon(t, {})).run("usage --by user");
  t.notRegex(none, /tokens/);
});

test("mode tells its switch in the policy's time zone, as status does", async (t) => {
  const state = houseOf().policy();
  const policy = { ...state.policy, timezone: "Asia/Tokyo" };
  const { run } = await daemon(t, { policy: () => ({ ...state, policy }) });
  t.regex((await run("mode set local", asAdmin)).stdout, /switched 2026-11-22 19:15:00 Asia\/Tokyo/);
});

test("both halves of localhost are one listener", async (t) => {
  const status = houseOf().status();
  const listeners = ["127.0.0.1:7070", "[::1]:7070", "127.0.0.1:7100", "[::1]:7100", "[::1]:7101"].map(
    (address) => ({
      address,
      model: address.endsWith("7100") ? "flux-dev" : undefined,
      scheme: "http" as const,
    }),
  );
  const open = { address: "10.0.0.5:7070", model: undefined, scheme: "https" as const };
  const { run } = await daemon(t, { status: () => ({ ...status, listeners: [...listeners, open] }) });
  const shown = "localhost:7070, localhost:7100 (flux-dev), [::1]:7101, https://10.0.0.5:7070";
  t.true((await run("status")).stdout.includes(`\nlistening  ${shown}\n`));
});

test("a budget without a turn is told to have none only where it is for ever", async (t) => {
  const budgets = (["per_task", "infinite"] as const).map((period) => ({
    ...{
      value: undefined,
      period: always,
      unit: "usd" as const,
      limit: usd(1),
      settled: usd(0),
      held: usd(0),
    },
    budget: { ...studioDay, id: period, period },
  }));
  const { run } = await daemon(t, { status: () => ({ ...houseOf().status(), budgets }) });
  t.regex((await run("status")).stdout, /\nper_task .* per_task\ninfinite .* infinite +never\n/);
});

test("a budget that came too late for old entries says so once, whatever it is split by", async (t) => {
  const late = { ...houseOf().status().budgets[0], missedBefore: instantUs(Date.UTC(2026, 0, 2) * 1000) };
  const budgets = ["ann", "bob"].map((value) => ({ ...late, value }) as BudgetState);
  const { run } = await daemon(t, { status: () => ({ ...houseOf().status(), budgets }) });
  const { stdout } = await run("status");
  const told = stdout.match(
    /^budget studio-day: entries of before 2026-01-02 were gone when it was new.*$/gm,
  );
  t.is(told?.length, 1, stdout);
  const json = JSON.parse((await run("status --json")).stdout);
  t.is(json.budgets[0].missed_before, "2026-01-02T00:00:00.000000Z");
});

test("no line of status is wider than the screen", async (t) => {
  const state = houseOf().policy();
  const path = "/srv/studio/with/a/long/path/that/nobody/can/remember/budgetguard/policy.yaml";
  const problems = [{ line: 1, column: 1, path: "mode", text: "is wrong" }];
  const { run } = await daemon(t, { policy: () => ({ ...state, path, problems }) });
  for (const width of [60, 80]) {
    const { stdout } = await run("status", { width, hasColour: true });
    for (const line of stripVTControlCharacters(stdout).split("\n")) t.true(line.length <= width, line);
  }
});
