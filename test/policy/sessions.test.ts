// Sessions of clients that name none: where one ends, what goes on after a restart, how many there can be.

import test from "ava";
import fc from "fast-check";
import { type DurationUs, type Instant, later, MINUTE, SECOND } from "../../src/metering/time.ts";
import { MOST_CLIENTS, Sessions } from "../../src/policy/sessions.ts";
import { TEN } from "../support/policies.ts";

const IDLE = (30 * MINUTE) as DurationUs;
const after = (time: number): Instant => later(TEN, time as DurationUs);

function made() {
  const sessions = new Sessions();
  const begin = (client: string, at: Instant, named?: string) => sessions.begin(client, named, at, IDLE);
  /** Begins and ends at once. */
  const ask = (client: string, at: Instant) => {
    const name = begin(client, at);
    sessions.end(client, name, at);
    return name;
  };
  return { sessions, begin, ask };
}

test("silence of session_idle ends a session, one microsecond less does not", (t) => {
  const { ask } = made();
  const first = ask("ann", TEN);
  t.is(ask("ann", after(IDLE - 1)), first);
  const second = ask("ann", after(2 * IDLE - 1));
  t.not(second, first);
  t.is(second, `s-${after(2 * IDLE - 1)}`);
});

test("each client has its own", (t) => {
  const { ask } = made();
  const first = ask("ann", TEN);
  t.not(ask("bob", after(SECOND)), first);
  t.is(ask("ann", after(2 * SECOND)), first);
});

test("a request under way is no silence, and silence is counted from its end", (t) => {
  const { sessions, begin, ask } = made();
  const first = begin("ann", TEN);
  t.is(ask("ann", after(2 * IDLE)), first, "it still runs");
  sessions.end("ann", first, after(3 * IDLE));
  t.is(ask("ann", after(4 * IDLE - 1)), first);
  t.not(ask("ann", after(5 * IDLE)), first);
});

test("a session that the request names is taken as it is, and touches no other", (t) => {
  const { begin, ask } = made();
  const first = ask("ann", TEN);
  t.is(begin("ann", after(IDLE - 1), "poster"), "poster");
  t.not(ask("ann", after(IDLE)), first);
});

test("what the ledger remembers goes on; a name that is not of ours does not", (t) => {
  const { sessions, ask } = made();
  sessions.remember("ann", "s-1", TEN);
  sessions.remember("ann", "s-2", after(SECOND));
  sessions.remember("bob", "poster", TEN);
  t.is(ask("ann", after(MINUTE)), "s-2");
  t.is(ask("bob", after(MINUTE)), `s-${after(MINUTE)}`);
});

test("one client too many has none, until the session of another is over", (t) => {
  const { ask } = made();
  for (let number = 0; number < MOST_CLIENTS; number += 1) ask(`client-${number}`, TEN);
  t.is(ask("late", after(SECOND)), undefined);
  t.is(ask("client-7", after(SECOND)), `s-${TEN}`, "those that are there keep theirs");
  t.is(ask("late", after(IDLE)), `s-${after(IDLE)}`);
});

test("of any requests one at a time, two have one session exactly where no silence lies between them", (t) => {
  const steps = fc.array(fc.tuple(fc.constantFrom("ann", "bob"), fc.integer({ min: 0, max: 2 * IDLE })), {
    minLength: 1,
    maxLength: 40,
  });
  fc.assert(
    fc.property(steps, (all) => {
      const { ask } = made();
      const last = new Map<string, { at: Instant; name: string | undefined }>();
      let at = TEN;
      for (const [client, pause] of all) {
        at = later(at, pause as DurationUs);
        const name = ask(client, at);
        const before = last.get(client);
        const goesOn = before !== undefined && at - before.at < IDLE;
        t.is(name === before?.name, goesOn);
        last.set(client, { at, name });
      }
    }),
    { numRuns: 300 },
  );
});
