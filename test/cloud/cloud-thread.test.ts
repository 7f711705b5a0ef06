// The thread that speaks to clouds: what is asked there is answered, whatever becomes of it. With AWS' own
// clients, against a server that speaks their wire.

import test, { type ExecutionContext } from "ava";
import { Trouble } from "../../src/cloud/adapter.ts";
import type { CloudAccess } from "../../src/cloud/cloud-access.ts";
import { CloudThread, type CloudThreadParts } from "../../src/cloud/cloud-thread.ts";
import { AWS_KEY, type AwsFake, awsFake } from "../support/clouds/aws-fake.ts";
import { eventually } from "../support/gateway-client.ts";
import { TEN } from "../support/policies.ts";

const never = new AbortController().signal;
const FLUX = { kind: "ecs", region: "us-east-1", cluster: "nim", service: "flux" } as const;
const POOL = { kind: "asg", region: "us-east-1", name: "pool" } as const;

async function rig(t: ExecutionContext, over: Partial<CloudThreadParts> = {}) {
  const fake: AwsFake = await awsFake(TEN / 1000);
  fake.world.group("pool", { desired: 1 });
  fake.world.service("flux", "pool");
  const access: CloudAccess = { login: { kind: "text", text: AWS_KEY }, endpoint: fake.origin };
  const thread = new CloudThread({
    accessTo: () => access,
    callsPerMinute: () => 6000,
    isDryRun: () => false,
    ...over,
  });
  t.teardown(async () => {
    await thread.close();
    await fake.close();
  });
  return { fake, thread, flux: thread.adapterFor(FLUX), pool: thread.hostFor(POOL), access };
}

test("a container and its machine are seen and ordered through the thread", async (t) => {
  const { fake, flux, pool } = await rig(t);
  t.like(await flux.observe(never), { kind: "off" });
  t.is((await pool.observe(never)).instances[0]?.since, TEN);
  await flux.start(never);
  await pool.lower(never);
  t.is(fake.world.state.services[0]?.desired, 1);
  t.is(fake.world.state.groups[0]?.desired, 0);
});

test("trouble comes back as what it is, a time-out and a hanging thread as trouble too", async (t) => {
  const limits = { lookMs: 30_000, orderMs: 30_000, graceMs: 60_000 };
  const { fake, flux } = await rig(t, { limits });
  await flux.observe(never);
  fake.faults.set("*", { kind: "hang" });
  limits.lookMs = 300;
  const late = await t.throwsAsync(flux.observe(never), { instanceOf: Trouble });
  t.like(late, { kind: "timeout", message: "AWS did not answer within 0.3 s" });
  fake.faults.clear();
  limits.lookMs = 30_000;
  fake.denied.add("ecs:DescribeServices");
  t.like(await t.throwsAsync(flux.observe(never)), { kind: "denied" });
});

test("a look that nobody wants any more ends at once, and leaves the thread in order", async (t) => {
  const { fake, flux } = await rig(t);
  fake.faults.set("*", { kind: "hang" });
  const ended = new AbortController();
  const look = flux.observe(ended.signal);
  ended.abort(new Error("given up"));
  await t.throwsAsync(look, { message: "given up" });
  fake.faults.clear();
  t.like(await flux.observe(never), { kind: "off" });
});

test("a thread that hangs is ended, whoever asked is told, and the next question has another one", async (t) => {
  const { fake, thread, flux } = await rig(t, { limits: { lookMs: 20_000, orderMs: 20_000, graceMs: 0 } });
  await flux.observe(never);
  fake.faults.set("*", { kind: "hang" });
  const look = flux.observe(never);
  await thread.close();
  const error = await t.throwsAsync(look, { instanceOf: Trouble });
  t.like(error, { kind: "unreachable" });
  t.regex(error?.message ?? "", /gave no answer/);
  await t.throwsAsync(flux.observe(never), { message: "the gateway stops" });
});

test("a new key counts from the next question on", async (t) => {
  let text = "AKIAWRONGWRONGWRONG1:secret";
  const { fake, flux, access } = await rig(t, {
    accessTo: () => ({ ...access2, login: { kind: "text", text } }),
  });
  const access2 = access;
  t.like(await t.throwsAsync(flux.observe(never)), { kind: "unauthenticated" });
  text = AWS_KEY;
  t.like(await flux.observe(never), { kind: "off" });
  t.is(fake.log.length, 2);
});

test("no order leaves in a dry run, whoever gives it", async (t) => {
  const { fake, flux, pool } = await rig(t, { isDryRun: () => true });
  for (const order of [flux.start(never), flux.stop(never), pool.raise(never), pool.lower(never)])
    t.like(await t.throwsAsync(order), {
      kind: "denied",
      message: "providers.aws.dry_run: nothing was changed",
    });
  t.like(await flux.observe(never), { kind: "off" });
  t.true(fake.log.every((action) => action.includes("Describe")));
});

test("a budget of calls that is used up is said with its key, and orders have their own part", async (t) => {
  const limits = { lookMs: 3000, orderMs: 20_000, graceMs: 60_000 };
  let calls = 6000;
  const { fake, flux } = await rig(t, { callsPerMinute: () => calls, limits });
  // The first call loads the SDKs.
  while (fake.log.length === 0) await flux.observe(never).catch(() => undefined);
  // Four fifths of them are for looks, and used up.
  calls = fake.log.length + 1;
  const error = await t.throwsAsync(flux.observe(never), { instanceOf: Trouble });
  t.like(error, { kind: "throttled" });
  t.regex(
    error?.message ?? "",
    /calls_per_minute \(\d\) are used up: raise providers\.aws\.calls_per_minute/,
  );
  await flux.stop(never);
  t.is(fake.log.at(-1), "ecs:UpdateService");
});

test("what an SDK prints is told, and stands on nobody's standard error", async (t) => {
  const [id = "", secret = ""] = AWS_KEY.split(":");
  const own = { AWS_PROFILE: "studio", AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret };
  const before = Object.keys(own).map((name) => [name, process.env[name]] as const);
  const printed: string[] = [];
  const found = await rig(t, {
    accessTo: () => ({ login: { kind: "default" }, endpoint: found.fake.origin }),
    printed: (line) => printed.push(line),
  });
  Object.assign(process.env, own);
  const seen = found.flux.observe(never).catch(() => undefined);
  for (const [name, value] of before)
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  await seen;
  await eventually("it is told", () => printed.length > 0);
  t.regex(printed.join(" "), /Multiple credential sources detected/);
  t.false(printed.join(" ").includes(secret));
});
