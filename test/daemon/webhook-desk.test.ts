// Webhooks over real HTTP: receivers that fail, hang, ask for patience, refuse for good, or are no place at all.

import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { PACE, type Pace, WebhookDesk } from "../../src/daemon/webhook-desk.ts";
import { webhookName } from "../../src/daemon/webhook-post.ts";
import type { AlertRow } from "../../src/ledger/alert-rows.ts";
import { DAY, earlier, FOREVER, type Instant, instantUs, later, SECOND } from "../../src/metering/time.ts";
import type { Webhook } from "../../src/policy/settings.ts";
import { eventually } from "../support/gateway-client.ts";
import { TEN } from "../support/policies.ts";
import { type Answer, startReceiver } from "../support/webhook.ts";

const HOOK: Webhook = { url: { kind: "env", name: "HOOK" }, format: "json", events: ["limit"] };
const NAME = webhookName(HOOK);
/** A second of the product is 20 ms here; the receiver has 300 ms to answer. */
const QUICK: Pace = { ...PACE, timeoutMs: 300, firstMs: 20, longestMs: 100, grantedMs: 400 };

interface Given {
  readonly answers?: Answer[];
  readonly pace?: Partial<Pace>;
  readonly address?: (url: string) => string | undefined;
}

async function begin(t: ExecutionContext, { answers = [], pace = {}, address = (url) => url }: Given = {}) {
  const receiver = await startReceiver();
  receiver.answers = answers;
  const rows = new Map<string, AlertRow>();
  const log: string[] = [];
  const state = { hooks: [HOOK] as readonly Webhook[], now: TEN as Instant, waiting: 0 };
  const note = (fields: object, text: string) => void log.push(`${JSON.stringify(fields)} ${text}`);
  const desk = new WebhookDesk(
    {
      outbox: {
        write: async ({ alerts = [] }) => {
          for (const row of alerts) rows.set(row.id, row);
        },
      },
      metrics: {
        delivery: () => undefined,
        undelivered: (count) => {
          state.waiting = count;
        },
      },
      log: { info: note, warn: note, error: note } as never,
      configured: () => state.hooks,
      secretOf: () => address(receiver.url),
      now: () => state.now,
      random: Math.random,
    },
    { ...QUICK, ...pace },
  );
  t.teardown(async () => {
    await desk.close();
    await receiver.close();
    const said = log.join("\n");
    if (/a-secret-path|127\.0\.0\.1/.test(said)) throw new Error(`the log says the address: ${said}`);
  });
  const stateOf = (id: string) => rows.get(id)?.deliveries[NAME];
  const ended = (id: string) => eventually(`alert ${id} to end`, async () => stateOf(id));
  return { desk, receiver, log, state, rows, stateOf, ended };
}

function row(id: string, over: Partial<AlertRow> = {}): AlertRow {
  return {
    ...{ id, at: TEN, version: 1, event: "limit", severity: "critical", topic: "budget", subject: "day" },
    ...{ value: undefined, unit: "usd", period: { start: instantUs(0), end: FOREVER }, timezone: "UTC" },
    ...{ text: "budget day has reached its limit", advice: undefined, figures: {} },
    deliveries: { [NAME]: "pending" },
    ...over,
  };
}

test("a receiver that breaks off, fails, hangs and refuses for now is told in the end", async (t) => {
  const answers: Answer[] = ["reset", { status: 500 }, "hang", { status: 429 }, { status: 503 }];
  const { desk, receiver, log, ended, rows } = await begin(t, { answers });
  desk.send(row("a-1"));
  t.is(await ended("a-1"), "delivered");
  t.is(receiver.bodies.length, 6);
  t.is(new Set(receiver.bodies.map(({ id }) => id)).size, 1);
  t.is(rows.get("a-1")?.version, 2);
  t.is(log.length, 2, "one line when it begins to fail, and one when it goes on");
});

test("Retry-After is granted, up to its bound", async (t) => {
  const wait = (seconds: string): Answer => ({ status: 429, headers: { "retry-after": seconds } });
  const { desk, receiver, ended } = await begin(t, { answers: [wait("86400"), wait("soon")] });
  desk.send(row("a-1"));
  t.is(await ended("a-1"), "delivered");
  const [first = 0, second = 0, third = 0] = receiver.times;
  t.true(second - first >= 395, `after ${second - first} ms: the bound`);
  t.true(third > second);
});

test("a Retry-After that is a date counts from the receiver's own Date, within the same bound", async (t) => {
  const wait = (until: string, date = "Sat, 28 Nov 2026 10:00:00 GMT"): Answer => ({
    status: 429,
    headers: { date, "retry-after": until },
  });
  const answers = [
    wait("Sat, 28 Nov 2026 12:00:00 GMT"),
    wait("Sat, 28 Nov 2026 09:00:00 GMT"),
    wait("2026"),
  ];
  const { desk, receiver, ended } = await begin(t, { answers });
  desk.send(row("a-1"));
  t.is(await ended("a-1"), "delivered");
  const [first = 0, second = 0] = receiver.times;
  t.true(second - first >= 395, `after ${second - first} ms: the bound`);
  t.is(receiver.times.length, 4);
});

test("what is refused for good is not tried again, and the next one is told", async (t) => {
  const { desk, receiver, log, ended } = await begin(t, { answers: [{ status: 404 }, { status: 302 }] });
  for (const id of ["a-1", "a-2", "a-3"]) desk.send(row(id));
  t.is(await ended("a-3"), "delivered");
  t.is(await ended("a-1"), "failed");
  t.is(await ended("a-2"), "failed", "a redirect is not followed");
  t.is(receiver.bodies.length, 3);
  t.true(log.some((line) => line.includes("it answered 404")));
});

test("attempts, age and the queue have bounds", async (t) => {
  const answers = Array.from({ length: 3 }, (): Answer => ({ status: 500 }));
  const { desk, receiver, state, ended, stateOf } = await begin(t, {
    answers,
    pace: { attempts: 3, queued: 2 },
  });
  desk.send(row("a-1"));
  desk.send(row("a-2", { at: earlier(TEN, DAY) }));
  desk.send(row("a-3"));
  t.is(stateOf("a-3"), "failed", "two wait already");
  state.now = later(TEN, SECOND);
  t.is(await ended("a-1"), "failed");
  t.is(receiver.bodies.length, 3);
  t.is(await ended("a-2"), "failed");
  t.is(receiver.bodies.length, 3, "a day old: not even tried");
  t.is(state.waiting, 0);
});

test("the places where clouds hand out credentials are never told anything", async (t) => {
  for (const address of [
    "http://169.254.169.254/x",
    "http://metadata.google.internal/",
    "file:///etc/passwd",
  ]) {
    const { desk, ended, receiver, log } = await begin(t, { address: () => address });
    desk.send(row("a-1"));
    t.is(await ended("a-1"), "failed", address);
    t.regex(log.join("\n"), /its address is (forbidden|no http)/);
    t.is(receiver.bodies.length, 0);
  }
});

test("an address that is missing may come; a webhook that the policy no longer names is told no more", async (t) => {
  let isThere = false;
  const { desk, ended, state, receiver } = await begin(t, { address: (url) => (isThere ? url : undefined) });
  desk.send(row("a-1"));
  await sleep(60);
  t.is(receiver.bodies.length, 0);
  isThere = true;
  t.is(await ended("a-1"), "delivered");
  state.hooks = [];
  desk.send(row("a-2"));
  t.is(await ended("a-2"), "failed");
});

test("one webhook that hangs holds up no other, and not the end", async (t) => {
  const other: Webhook = { ...HOOK, format: "slack" };
  const { desk, receiver, state, rows } = await begin(t, { answers: ["hang"], pace: { timeoutMs: 60_000 } });
  state.hooks = [HOOK, other];
  desk.send(row("a-1"));
  await eventually("the first to hang", async () => (receiver.bodies.length === 1 ? true : undefined));
  desk.send(row("a-2", { deliveries: { [webhookName(other)]: "pending" } }));
  await eventually("the other to be told", async () =>
    rows.get("a-2")?.deliveries[webhookName(other)] === "delivered" ? true : undefined,
  );
  const from = performance.now();
  await desk.close();
  t.true(performance.now() - from < 30_000, "it waited for the one that hangs");
  t.is(rows.get("a-1"), undefined, "it stays pending on disk");
});
