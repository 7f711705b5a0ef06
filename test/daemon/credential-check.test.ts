// What clouds say of TechOps' credentials, beside what their file says.

import test from "ava";
import type { ProbeAsk, Probed } from "../../src/cloud/probes/probe.ts";
import { allAre, bannerOf, type OwnerStatus } from "../../src/cloud/techops/credential-status.ts";
import { Sealed } from "../../src/cloud/techops/sealed.ts";
import { CredentialCheck } from "../../src/daemon/credential-check.ts";
import { earlier, later, MINUTE, SECOND } from "../../src/metering/time.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { TEN } from "../support/policies.ts";

const FOUND: OwnerStatus = { status: "found", why: undefined };

function place(found: Partial<Record<"aws" | "azure" | "gcp", OwnerStatus>> = { aws: FOUND }) {
  const asked: string[] = [];
  const logged: string[] = [];
  const world = {
    now: TEN,
    answer: { kind: "valid" } as Probed | Promise<Probed>,
    techops: { aws: new Sealed({ accessKeyId: "A" }), azure: new Sealed({}), gcp: new Sealed({}) },
    providers: new Map([["aws", { credentials: { kind: "techops" }, endpoint: "http://127.0.0.1:1" }]]),
  };
  const status = { ...allAre("missing", undefined).status, ...found };
  const state = { path: "/f", readAt: TEN, banner: bannerOf(status), status, notes: [] };
  const check = new CredentialCheck({
    techops: {
      state: () => state,
      credentialsOf: (owner) => world.techops[owner as "aws"] as never,
    },
    policy: () => ({ providers: world.providers }) as unknown as Policy,
    probe: async ({ owner, endpoint, values }: ProbeAsk) => {
      asked.push(`${owner} ${endpoint} ${JSON.stringify(values)}`);
      return world.answer;
    },
    now: () => world.now,
    log: {
      info: (_about, text) => void logged.push(text),
      warn: (text) => void logged.push(text),
    },
  });
  return { check, asked, logged, world };
}

const INVALID: Probed = { kind: "invalid", why: "the key was deleted: make a new one" };

test("A06, A63: a login that its cloud refuses is invalid, and no longer what artists are told is found", async (t) => {
  const { check, world, logged } = place();
  t.like(check.state(), { status: { aws: { status: "found" } }, banner: { level: "green" } });
  world.answer = INVALID;
  const { status, banner } = await check.check();
  t.deepEqual(status.aws, {
    ...{ status: "invalid", why: INVALID.why },
    checked: { at: TEN, result: "invalid", why: INVALID.why },
  });
  t.is(banner.level, "yellow");
  t.deepEqual(logged, ["TechOps: aws refuses the credentials: the key was deleted: make a new one"]);
});

test("a cloud that does not answer says nothing about a login", async (t) => {
  const { check, world } = place();
  world.answer = { kind: "unknown", why: "this machine has no network" };
  const { status, banner } = await check.check();
  t.like(status.aws, { status: "found", why: undefined, checked: { result: "unknown" } });
  t.is(banner.level, "green");
});

test("credentials that were replaced are not judged by what was said of those before", async (t) => {
  const { check, world } = place();
  world.answer = INVALID;
  await check.check();
  world.techops = { ...world.techops, aws: new Sealed({ accessKeyId: "B" }) };
  t.deepEqual(check.state().status.aws, FOUND);
  world.answer = { kind: "valid" };
  t.like((await check.check()).status.aws, { status: "found", checked: { result: "valid" } });
});

test("an answer about credentials that were replaced meanwhile is dropped", async (t) => {
  const { check, world, asked } = place();
  const late = Promise.withResolvers<Probed>();
  world.answer = late.promise;
  const first = check.check();
  world.techops = { ...world.techops, aws: new Sealed({ accessKeyId: "B" }) };
  world.answer = { kind: "valid" };
  await check.check();
  late.resolve(INVALID);
  await first;
  t.like(check.state().status.aws, { status: "found", checked: { result: "valid" } });
  t.is(asked.length, 2);
});

test("a cloud is asked once a minute, however many want to know", async (t) => {
  const { check, world, asked } = place();
  await Promise.all([check.check(), check.check(), check.check()]);
  t.deepEqual(asked, ['aws http://127.0.0.1:1 {"accessKeyId":"A"}']);
  world.now = earlier(later(TEN, MINUTE), SECOND);
  await check.check();
  t.is(asked.length, 1);
  world.now = later(TEN, MINUTE);
  await check.check();
  t.is(asked.length, 2);
});

test("no cloud is shown a test's credentials, nor broken ones", async (t) => {
  const azure: OwnerStatus = { status: "test", why: "a test's" };
  const { check, asked } = place({ azure, gcp: { status: "invalid", why: "no file" } });
  t.like((await check.check()).status, { azure, gcp: { status: "invalid", why: "no file" } });
  t.deepEqual(asked, []);
});

test("new credentials are checked by themselves where the policy uses them", async (t) => {
  const { check, asked, world } = place({ aws: FOUND, azure: FOUND });
  check.renewed();
  t.is(asked.length, 1);
  await check.check();
  t.is(asked.length, 2);
  world.providers.clear();
  world.techops = { ...world.techops, aws: new Sealed({ accessKeyId: "B" }) };
  check.renewed();
  t.is(asked.length, 2);
});
