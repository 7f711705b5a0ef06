// Policies are parsed beside the relay, not in its way, and a thread that ended is made anew.

import test from "ava";
import { PolicyParser } from "../../src/daemon/policy-parser.ts";
import { eventually } from "../support/gateway-client.ts";

const AROUND = { path: "policy.yaml", listen: [] };
const SMALL = "version: 1\n";

/** Takes the parser far longer than a turn of the event loop. */
function large(): string {
  const upstreams = Array.from(
    { length: 800 },
    (_, i) => `  u${i}: { provider: local, url: "http://a:${1 + i}" }`,
  );
  return `version: 1\nupstreams:\n${upstreams.join("\n")}\n`;
}

test("the event loop turns while a large policy is parsed", async (t) => {
  const parser = new PolicyParser(AROUND);
  t.teardown(() => parser.close());
  await parser.parse(SMALL);
  let turns = 0;
  const counting = setInterval(() => turns++, 1);
  const read = await parser.parse(large());
  clearInterval(counting);
  t.is(read.kind === "policy" && read.read.policy.upstreams.size, 800);
  t.true(turns > 5, `${turns} turns`);
});

test("what comes back is as frozen as what was parsed here", async (t) => {
  const parser = new PolicyParser(AROUND);
  t.teardown(() => parser.close());
  const read = await parser.parse(SMALL);
  t.true(read.kind === "policy" && Object.isFrozen(read.read.policy));
});

test("texts are answered in the order in which they were given", async (t) => {
  const parser = new PolicyParser(AROUND);
  t.teardown(() => parser.close());
  const reads = await Promise.all([SMALL, "version: 2\n", SMALL].map((text) => parser.parse(text)));
  t.deepEqual(
    reads.map(({ kind }) => kind),
    ["policy", "problems", "policy"],
  );
});

test("a thread that ended is made anew", async (t) => {
  const parser = new PolicyParser(AROUND);
  await parser.parse(SMALL);
  await parser.close();
  t.is((await parser.parse(SMALL)).kind, "policy");
  await parser.close();
});

test("a thread that nobody asks ends, and the next text finds another one", async (t) => {
  const parser = new PolicyParser(AROUND, 20);
  t.teardown(() => parser.close());
  await parser.parse(SMALL);
  await eventually("the thread has ended", () => Promise.resolve(!parser.isWarm));
  t.is((await parser.parse(SMALL)).kind, "policy");
});

test("a text that comes while the idle thread is ending is parsed all the same", async (t) => {
  const parser = new PolicyParser(AROUND);
  await parser.parse(SMALL);
  const closing = parser.close();
  t.is((await parser.parse(SMALL)).kind, "policy");
  await closing;
  await parser.close();
});
