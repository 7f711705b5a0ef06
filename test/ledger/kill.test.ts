// kill -9 in the middle of everything: what was said to be durable is there exactly once, and what was open
// is settled, charged and no longer held.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import test from "ava";
import { verify } from "../../src/ledger/verify.ts";
import { DOOMED_POLICY } from "../support/doomed-ledger.ts";
import { HandClock, ledgerFolder, onDisk, openHouse, rows, stored } from "../support/ledger.ts";
import { usd } from "../support/policies.ts";

const PROGRAM = fileURLToPath(new URL("../support/doomed-ledger.ts", import.meta.url));

for (const after of [1, 37, 150]) {
  test(`killed after ${after} settlements, the ledger is right`, async (t) => {
    const folder = ledgerFolder(t);
    const child = spawn(process.execPath, [PROGRAM], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
    t.teardown(() => child.kill("SIGKILL"));
    let said = "";
    child.stdout.on("data", (text) => {
      said += text;
      if (said.split("\n").length > after) child.kill("SIGKILL");
    });
    await once(child, "close");
    const told = said.split("\n").slice(0, -1);
    t.true(told.length >= after);

    t.true(addsUp(folder), "as it was left");
    const house = await openHouse(folder, new HandClock(), DOOMED_POLICY);
    t.teardown(() => house.crash());
    const charged = rows(
      folder,
      "SELECT request, count(*) AS n FROM entries WHERE kind = 'settled' GROUP BY 1",
    );
    t.true(charged.every(({ n }) => n === 1n));
    const requests = new Set(charged.map(({ request }) => request));
    t.deepEqual(
      told.filter((id) => !requests.has(id)),
      [],
    );
    const reserved = rows(folder, "SELECT DISTINCT request FROM entries WHERE kind = 'reserved'");
    t.is(reserved.length, requests.size, "a hold was neither settled nor released");
    const settled = usd("0.01") * BigInt(requests.size);
    t.deepEqual(stored(folder) as unknown, [{ settled, held: 0n }]);
    t.true(addsUp(folder), "after the restart");
  });
}

function addsUp(folder: string): boolean {
  return onDisk(folder, (database) => verify(database).ok);
}
