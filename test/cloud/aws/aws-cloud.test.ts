// The adapters of AWS, through AWS' own clients against a server that speaks their wire.

import test, { type ExecutionContext } from "ava";
import { type Adapter, type Host, Trouble, type TroubleKind } from "../../../src/cloud/adapter.ts";
import { openAws } from "../../../src/cloud/aws/aws-cloud.ts";
import type { Login } from "../../../src/cloud/cloud-access.ts";
import { AWS_KEY, type AwsFake, awsFake } from "../../support/clouds/aws-fake.ts";
import { TEN } from "../../support/policies.ts";

const START = TEN / 1000;
const MINUTE = 60_000;
const never = new AbortController().signal;

interface Rig {
  readonly fake: AwsFake;
  readonly nim: Adapter;
  readonly pool: Host;
}

async function rig(t: ExecutionContext, login?: Login<"aws">): Promise<Rig> {
  const fake = await awsFake(START);
  const key = { kind: "text", text: AWS_KEY } as const;
  const aws = openAws({ login: login ?? key, endpoint: fake.origin });
  t.teardown(async () => {
    aws.close();
    await fake.close();
  });
  const where = { region: "us-east-1" };
  return {
    fake,
    nim: aws.adapterFor({ kind: "ecs", ...where, cluster: "nim", service: "flux" }),
    pool: aws.hostFor({ kind: "asg", ...where, name: "pool" }),
  };
}

const at = (ms: number) => (START + ms) * 1000;

test("a cold start: the machine from its launch, the task from its start, its address when it has one", async (t) => {
  const { fake, nim, pool } = await rig(t);
  fake.world.group("pool");
  fake.world.service("flux", "pool");
  t.like(await nim.observe(never), { kind: "off", stopped: undefined });
  t.like(await pool.observe(never), { instances: [], wanted: 0, scaledByOthers: undefined });
  await pool.raise(never);
  await nim.start(never);
  fake.world.pass(MINUTE);
  const cold = await nim.observe(never);
  t.like(cold, { kind: "up", isHealthy: false, url: undefined, isStopping: false, under: undefined });
  t.regex((cold as { said?: string }).said ?? "", /unable to place a task/);
  const { instances, wanted } = await pool.observe(never);
  t.is(wanted, 1);
  t.like(instances[0], { since: at(0), isStopping: false });
  fake.world.pass(4 * MINUTE);
  const warm = await nim.observe(never);
  t.like(warm, { kind: "up", isHealthy: undefined, url: "http://203.0.113.1:8000", isStopping: false });
  t.deepEqual((warm as { under?: object }).under, { id: instances[0]?.id, since: at(0) });
  t.is((warm as { since: number }).since, at(4 * MINUTE));
  t.is((warm as { said?: string }).said, undefined);
});

test("A70: a stop: the task until its end, the machine until AWS bills it no more; its next address is another", async (t) => {
  const { fake, nim, pool } = await rig(t);
  fake.world.group("pool", { desired: 1 });
  fake.world.service("flux", "pool", { desired: 1 });
  fake.world.pass(5 * MINUTE);
  const [before] = (await pool.observe(never)).instances;
  t.like(await nim.observe(never), { kind: "up", url: "http://203.0.113.1:8000" });
  await nim.stop(never);
  fake.world.pass(2000);
  t.like(await nim.observe(never), { kind: "up", isStopping: true });
  fake.world.pass(20_000);
  t.like(await nim.observe(never), { kind: "off", stopped: at(5 * MINUTE + 10_000) });
  await pool.lower(never);
  fake.world.pass(1000);
  const off = await pool.observe(never);
  t.deepEqual(off.instances, []);
  t.deepEqual(off.ended, [{ id: before?.id ?? "", since: at(0), stopped: at(5 * MINUTE + 22_000) }] as never);
  await pool.raise(never);
  await nim.start(never);
  fake.world.pass(5 * MINUTE);
  const again = await nim.observe(never);
  t.regex((again as { url?: string }).url ?? "", /^http:\/\/203\.0\.113\.[^1]:8000$/);
});

test("what others scale is seen, kept, and said with what to do", async (t) => {
  const { fake, nim, pool } = await rig(t);
  const group = fake.world.group("pool", { desired: 2 });
  fake.world.service("flux", "pool", { desired: 3 });
  fake.world.pass(5 * MINUTE);
  const { instances, wanted } = await pool.observe(never);
  t.deepEqual([instances.length, wanted], [2, 2]);
  fake.log.length = 0;
  await pool.raise(never);
  await nim.start(never);
  t.false(
    fake.log.some((action) => /Set|Update/.test(action)),
    "nobody's two machines become one",
  );
  group.tags.push("AmazonECSManaged");
  t.regex((await pool.observe(never)).scaledByOthers ?? "", /managed scaling off/);
  group.isProtected = true;
  t.regex((await pool.observe(never)).scaledByOthers ?? "", /protected from scale-in/);
  group.min = 1;
  t.regex((await pool.observe(never)).scaledByOthers ?? "", /MinSize is 1.*set it to 0/);
  await t.throwsAsync(pool.lower(never), { instanceOf: Trouble, message: /--min-size 0/ });
  group.max = 0;
  fake.world.setGroup("pool", 0);
  await t.throwsAsync(pool.raise(never), { message: /MaxSize to 1/ });
});

test("a task that ends by itself is told of with its reason, and another life begins", async (t) => {
  const { fake, nim } = await rig(t);
  fake.world.group("pool", { desired: 1 });
  fake.world.service("flux", "pool", { desired: 1, health: "HEALTHY" });
  fake.world.pass(5 * MINUTE);
  const before = await nim.observe(never);
  t.like(before, { kind: "up", isHealthy: true });
  fake.world.kill("flux", "OutOfMemoryError: Container killed due to memory usage");
  fake.world.pass(5000);
  const after = await nim.observe(never);
  t.like(after, { kind: "up", isHealthy: false });
  t.not((after as { id: string }).id, (before as { id: string }).id);
  t.regex((after as { said?: string }).said ?? "", /OutOfMemoryError.*ECS starts another one/);
  fake.world.pass(MINUTE);
  t.like(await nim.observe(never), { kind: "up", isHealthy: true, said: undefined });
});

test("a start that ends half way says why, each time that it does", async (t) => {
  const { fake, nim } = await rig(t);
  fake.world.group("pool", { desired: 1 });
  const service = fake.world.service("flux", "pool");
  fake.world.pass(5 * MINUTE);
  await nim.start(never);
  await nim.observe(never);
  service.fails = "CannotPullContainerError: no such image";
  fake.world.pass(45_000);
  const seen = await nim.observe(never);
  t.like(seen, { kind: "up", isHealthy: false });
  t.regex((seen as { said?: string }).said ?? "", /CannotPullContainerError/);
});

test("reads that lag behind a write show what was so, and no end of a machine that runs", async (t) => {
  const { fake, nim, pool } = await rig(t);
  fake.world.group("pool", { desired: 1 });
  fake.world.service("flux", "pool");
  fake.world.pass(5 * MINUTE);
  fake.world.lag = 5000;
  await nim.start(never);
  t.is((await nim.observe(never)).kind, "off");
  fake.world.pass(6000);
  t.is((await nim.observe(never)).kind, "up");
  await pool.lower(never);
  t.is((await pool.observe(never)).instances.length, 1);
  fake.world.pass(6000);
  t.is((await pool.observe(never)).ended.length, 1);
});

const failures: readonly [string, (fake: AwsFake) => void, TroubleKind, RegExp][] = [
  [
    "a service that is not there",
    (f) => void f.world.state.services.splice(0),
    "not_found",
    /not in cluster nim of us-east-1: aws ecs list-services/,
  ],
  [
    "a permission that is missing",
    (f) => void f.denied.add("ecs:DescribeServices"),
    "denied",
    /may not do ecs:DescribeServices: add it/,
  ],
  [
    "an expired login",
    (f) => fail(f, 400, "ExpiredTokenException"),
    "unauthenticated",
    /expired.*providers\.aws\.credentials/,
  ],
  [
    "a login that AWS does not know",
    (f) => fail(f, 400, "UnrecognizedClientException"),
    "unauthenticated",
    /does not know the credentials/,
  ],
  ["throttling", (f) => fail(f, 400, "ThrottlingException"), "throttled", /asked too often/],
  ["a server's failure", (f) => fail(f, 500, "ServerException"), "unreachable", /status 500/],
  [
    "a connection that breaks",
    (f) => void f.faults.set("*", { kind: "cut" }),
    "unreachable",
    /cannot be reached/,
  ],
  [
    "a cluster that is not there",
    (f) => fail(f, 400, "ClusterNotFoundException"),
    "not_found",
    /ecs:DescribeServices/,
  ],
];

function fail(fake: AwsFake, status: number, code: string): void {
  fake.faults.set("*", { kind: "error", status, code, message: "of arn:aws:iam::111122223333:user/x" });
}

for (const [what, broken, kind, text] of failures) {
  test(`${what} is ${kind}, never "off", and says what to do`, async (t) => {
    const { fake, nim } = await rig(t);
    fake.world.service("flux", "pool", { desired: 1 });
    broken(fake);
    const error = await t.throwsAsync(nim.observe(never), { instanceOf: Trouble, message: text });
    t.is((error as Trouble).kind, kind);
    t.notRegex(error?.message ?? "", /111122223333|user\/x/);
  });
}

test("a permission for the machines that is missing is named, of EC2 and of Auto Scaling", async (t) => {
  const { fake, pool } = await rig(t);
  fake.world.group("pool", { desired: 1 });
  for (const action of ["autoscaling:DescribeAutoScalingGroups", "ec2:DescribeInstances"]) {
    fake.denied.clear();
    fake.denied.add(action);
    const error = await t.throwsAsync(pool.observe(never), { instanceOf: Trouble });
    t.like(error, { kind: "denied" });
    t.true(error?.message.includes(action));
  }
  fake.denied.clear();
  fake.denied.add("autoscaling:SetDesiredCapacity");
  await t.throwsAsync(pool.lower(never), { message: /may not do autoscaling:SetDesiredCapacity/ });
});

test("throttling that passes is waited for by the client itself", async (t) => {
  const { fake, nim } = await rig(t);
  fake.world.service("flux", "pool");
  fake.once.push({ kind: "error", status: 400, code: "ThrottlingException" });
  t.is((await nim.observe(never)).kind, "off");
  t.is(fake.log.length, 2);
});

test("a group that is not there, and a region that is not, say so", async (t) => {
  const { fake, pool } = await rig(t);
  await t.throwsAsync(pool.observe(never), { message: /no Auto Scaling group pool in us-east-1/ });
  fake.world.group("pool");
  const lost = openAws({ login: { kind: "text", text: AWS_KEY }, endpoint: "http://nowhere.invalid" });
  t.teardown(() => lost.close());
  const host = lost.hostFor({ kind: "asg", region: "us-nowhere-9", name: "pool" });
  await t.throwsAsync(host.observe(never), { message: /is us-nowhere-9 a region of AWS/ });
});

test("a key that is none is told of before anything is asked", (t) => {
  const login = { kind: "text", text: "secret" } as const;
  const error = t.throws(() => openAws({ login, endpoint: undefined }), { instanceOf: Trouble });
  t.regex(error?.message ?? "", /write KEY_ID:SECRET/);
  t.notRegex(error?.message ?? "", /"secret"/);
});

test("a look that is given up ends its requests", async (t) => {
  const { fake, nim } = await rig(t);
  fake.faults.set("*", { kind: "hang" });
  const ended = new AbortController();
  const look = nim.observe(ended.signal);
  setTimeout(() => ended.abort(new Error("given up")), 50);
  const error = await t.throwsAsync(look);
  t.false(error instanceof Trouble);
});
