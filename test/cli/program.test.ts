// The command line as such: names, help, examples, exit codes.

import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { COMMANDS, LATER } from "../../src/cli/commands.ts";
import { openLedger } from "../../src/ledger/sqlite-open.ts";
import { explanation, houseOf, openAdmin } from "../admin/house-of-functions.ts";
import { cli, spawned, temporaryFolder } from "../support/cli.ts";
import { perHour, upstream } from "../support/policies.ts";
import { BACKEND, techopsPath } from "../support/techops-files.ts";

test("without a command it shows its help and ends with 2", async (t) => {
  const { code, stdout, stderr } = await cli([]);
  t.deepEqual([code, stdout], [2, ""]);
  t.regex(stderr, /^Usage: budgetguard /);
});

test("help lists the commands of this version and no others", async (t) => {
  const { code, stdout } = await cli(["--help"]);
  t.is(code, 0);
  const listed = [...stdout.matchAll(/^ {2}([a-z][a-z|-]*) /gm)].map((match) => match[1]?.split("|")[0]);
  t.deepEqual(listed, [...COMMANDS.map(({ name }) => name), "help"]);
});

test("a name that is promised for later says so and ends with 2, in either spelling", async (t) => {
  for (const name of LATER) {
    const { code, stderr } = await cli(name.split(" "));
    t.is(code, 2, name);
    t.regex(stderr, new RegExp(`^${name} comes with a later version`));
  }
  t.regex((await cli(["set_limit", "daily", "10"])).stderr, /^set-limit comes with a later version/);
  t.regex((await cli(["help", "doctor"])).stderr, /^doctor comes with a later version/);
});

test("a later subcommand is not offered by the name of its own command", async (t) => {
  t.is(
    (await cli(["token", "list"])).stderr,
    "token list comes with a later version of budgetguard; of token, this one has: create\n",
  );
  t.regex((await cli(["help", "ledger", "reconcile"])).stderr, /of ledger, this one has: export, verify/);
  t.regex((await cli(["set_limit"])).stderr, /^set-limit comes with .*; this one has: serve, check, /);
});

test("help takes every name that a command has, and subcommands", async (t) => {
  for (const [words, usage] of [
    ["help get_usage", /^Usage: budgetguard usage\|get-usage /],
    ["help get-usage", /^Usage: budgetguard usage\|get-usage /],
    ["help token create", /^Usage: budgetguard token create /],
    ["help start", /^Usage: budgetguard serve\|start /],
    ["help", /^Usage: budgetguard \[options\]/],
  ] as const) {
    const { code, stdout } = await cli(words.split(" "));
    t.is(code, 0, words);
    t.regex(stdout, usage, words);
  }
});

test("wrong usage ends with 2 and says what is allowed", async (t) => {
  const wrong = [
    [["usag"], /Did you mean usage\?/],
    [["serve", "--colour"], /unknown option '--colour'/],
    [["serve", "--listen", "nonsense"], /--listen nonsense is no address: write HOST:PORT/],
    [["serve", "here"], /too many arguments/],
    [["explain"], /missing required argument 'id'/],
    [["mode", "set", "cheapest"], /Allowed choices are manual, lowest_price, local/],
    [["demo", "nim"], /required option '--port <port>'/],
    [["demo", "nim", "--port", "70000"], /Write a port from 0 to 65535/],
    [["demo", "nim", "--port", "1", "--scale", "-1"], /Write a number/],
    [["ledger"], /Usage: budgetguard ledger/],
    [["ledger", "export", "--format", "xml"], /Allowed choices are jsonl, csv/],
    [["ledger", "export", "--format", "csv", "--json"], /exclude each other/],
  ] as const;
  for (const [args, text] of wrong) {
    const { code, stdout, stderr } = await cli(args);
    t.deepEqual([code, stdout], [2, ""], args.join(" "));
    t.regex(stderr, text);
  }
});

const helps = [
  ...COMMANDS.map(({ name }) => [name]),
  ...[
    ["start"],
    ["get_usage"],
    ["import", "techops"],
    ["mode", "set"],
    ["token", "create"],
    ["ledger", "export"],
    ["demo", "nim"],
  ],
];

test("every command has help with an example and, where it does something, --json", async (t) => {
  for (const words of helps) {
    const { code, stdout } = await cli([...words, "--help"]);
    t.is(code, 0, words.join(" "));
    t.regex(stdout, /\nExample:\n {2}\$ budgetguard \S/, words.join(" "));
    if (!["alerts", "import", "ledger", "nodes", "prices", "token"].includes(words.join(" ")))
      t.regex(stdout, /--json/, words.join(" "));
  }
});

/** Those run on until they are stopped, and have tests of their own (process.test.ts). */
const RUNS_ON = /^(?:serve|demo)\b/;

test("every example of the help works as it stands", async (t) => {
  const [candidate] = explanation.candidates;
  if (candidate === undefined) throw new Error("the explanation has a candidate");
  const quote = {
    ...{ upstream: upstream("flux-aws", { price: perHour("1.006") }), time: candidate.time, inFlight: 0 },
    ...{ amount: candidate.estimate, hold: candidate.hold, holdTime: candidate.time, rank: candidate.rank },
    ...{ span: candidate.time, tokens: { input: 0, output: 0 } },
    ...{ bucket: "u", most: candidate.time, source: { kind: "guess" as const } },
  };
  const forward = {
    ...{ degraded: undefined, cheaper: [] },
    kind: "forward" as const,
    model: "flux-dev",
    quote,
    claims: [],
    warnings: [],
    explanation,
  };
  const { admin, port } = await openAdmin(
    houseOf({
      estimate: async () => forward,
      createToken: async () => ({ kind: "created", token: "bg-secret", at: explanation.at }),
    }),
  );
  t.teardown(() => admin.close());
  const cwd = await temporaryFolder(t);
  await writeFile(join(cwd, "policy.yaml"), "version: 1\n");
  await copyFile(techopsPath(BACKEND), join(cwd, BACKEND));
  await mkdir(join(cwd, "data"));
  openLedger(join(cwd, "data")).close();
  await writeFile(join(cwd, "data", "admin-token"), "admin-token\n");
  const environment = { BUDGETGUARD_ADMIN: `127.0.0.1:${port}`, BUDGETGUARD_DATA: join(cwd, "data") };
  const examples = new Set<string>();
  for (const words of helps) {
    const { stdout } = await cli([...words, "--help"]);
    for (const [, line = ""] of stdout.matchAll(/^ {2}\$ budgetguard (.+)$/gm)) examples.add(line);
  }
  t.true(examples.size > 10);
  for (const line of examples) {
    if (RUNS_ON.test(line)) continue;
    const { code, stdout, stderr } = await cli(line.split(" "), { cwd, environment });
    t.is(code, 0, `${line}: ${stderr}`);
    if (!line.startsWith("ledger export")) t.regex(stdout, /\S/, line);
  }
});

test("version is the package's, in text and as JSON", async (t) => {
  const { version } = JSON.parse((await cli(["version", "--json"])).stdout) as { version: string };
  t.regex(version, /^\d+\.\d+\.\d+$/);
  t.regex(
    (await cli(["version"])).stdout,
    new RegExp(`^budgetguard ${version} \\(Node ${process.versions.node}, `),
  );
  t.deepEqual(await cli(["--version"]), { code: 0, stdout: `${version}\n`, stderr: "" });
});

test("the real command ends with 2 for wrong usage and with 3 when no daemon answers", async (t) => {
  const nobody = { BUDGETGUARD_ADMIN: "127.0.0.1:1" };
  const data = await temporaryFolder(t);
  const [wrong, later, ...down] = await Promise.all([
    spawned(["nonsense"]),
    spawned(["set-limit"]),
    ...[["status"], ["mode"], ["mode", "set", "local"], ["usage"], ["explain", "last"], ["resume"]].map(
      (args) => spawned(args, { ...nobody, BUDGETGUARD_DATA: data }),
    ),
    ...[
      ["estimate", "flux-dev"],
      ["token", "create", "alice"],
    ].map((args) => spawned(args, nobody)),
  ]);
  t.deepEqual([wrong?.code, later?.code], [2, 2]);
  for (const { code, stdout, stderr } of down) {
    t.deepEqual([code, stdout], [3, ""]);
    t.regex(stderr, /^no daemon answers at http:\/\/127\.0\.0\.1:1; start it with: budgetguard serve\n$/);
  }
  const asJson = await spawned(["status", "--json"], nobody);
  t.is(asJson.code, 3);
  t.like(JSON.parse(asJson.stdout).error, { code: "unreachable" });
  t.regex(JSON.parse(asJson.stdout).error.detail, /budgetguard serve/);
});
