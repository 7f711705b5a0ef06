// A failed test leaves nothing running: what nobody told to end is ended, and its process with it.

import { readFileSync } from "node:fs";
import test from "ava";
import { eventually } from "./gateway-client.ts";
import { makeFolder } from "./gateway-folder.ts";
import { spawnGateway } from "./gateway-process.ts";
import { endLeftovers, mayBeLeft } from "./leftovers.ts";

test.serial("what nobody has ended is ended, once; where all was, there is nothing to do", (t) => {
  const ended: string[] = [];
  const forget = mayBeLeft(() => ended.push("in good order"));
  forget();
  t.false(endLeftovers());
  mayBeLeft(() => ended.push("left"));
  t.true(endLeftovers());
  t.false(endLeftovers());
  t.deepEqual(ended, ["left"]);
});

test.serial("a gateway that does not become ready is killed", async (t) => {
  const folder = makeFolder("version: 1\n");
  t.teardown(() => folder.remove());
  const stopped = { under: ["sh", "-c", `echo $$ > ${folder.path}/pid; exec sleep 600`] };
  await t.throwsAsync(spawnGateway(folder, { ...stopped, patienceMs: 300 }), { message: /is ready/ });
  const pid = Number(readFileSync(`${folder.path}/pid`, "utf8"));
  await eventually("it is gone", () => !isAlive(pid));
  t.true(endLeftovers(), "whoever wanted it may have left something too");
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
