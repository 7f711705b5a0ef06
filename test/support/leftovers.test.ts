// A failed test leaves nothing running: what nobody told to end is ended, and its process with it.

import { spawnSync } from "node:child_process";
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

test.serial(
  "a process that something keeps alive is ended, and says by what; one that ends is left alone",
  (t) => {
    const run = (rest: string) => {
      const from = new URL("./leftovers.ts", import.meta.url);
      const text = `import { watchTheEnd } from ${JSON.stringify(from)}; watchTheEnd(200); ${rest}`;
      return spawnSync(process.execPath, ["--input-type=module", "-e", text], { encoding: "utf8" });
    };
    t.like(run(""), { status: 0, stderr: "" });
    const leaking = run('import { createServer } from "node:net"; createServer().listen(0, "127.0.0.1");');
    t.is(leaking.status, 1);
    t.regex(leaking.stderr, /^not ended 0.2 s after its last test, for it waits for: .*TCPServerWrap/);
  },
);

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
