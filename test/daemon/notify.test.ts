// What systemd is told, by a systemd-notify that only writes down its words.

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import test from "ava";
import { makeNotifier } from "../../src/daemon/notify.ts";
import { eventually } from "../support/gateway-client.ts";

test("the watchdog's beat goes on through trouble, which is told when it begins and when it ends", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "budgetguard-notify-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const told = join(folder, "told");
  writeFileSync(told, "");
  writeFileSync(join(folder, "systemd-notify"), `#!/bin/sh\necho "$@" >> '${told}'\n`);
  chmodSync(join(folder, "systemd-notify"), 0o755);
  const lines = () => readFileSync(told, "utf8").split("\n").slice(0, -1);
  const until = (what: string, isSo: () => boolean) => eventually(what, async () => isSo() || undefined);
  let trouble: string | undefined = "the ledger cannot be written";
  const notifier = makeNotifier(
    {
      NOTIFY_SOCKET: "/nowhere",
      WATCHDOG_USEC: "150000",
      PATH: `${folder}${delimiter}${process.env.PATH ?? ""}`,
    },
    { trouble: () => trouble, onError: (error) => t.fail(error.message) },
  );
  t.teardown(() => notifier.close());
  notifier.ready("serving 1 models");
  const beats = () => lines().filter((line) => line === "WATCHDOG=1").length;
  await until("it beats in trouble", () => beats() >= 2);
  await until("it tells of the trouble", () => lines().includes("--status=the ledger cannot be written"));
  trouble = undefined;
  await until("it tells of its end", () => lines().includes("--status=serving 1 models"));
  notifier.close();
  const statuses = lines().filter((line) => line.startsWith("--status"));
  t.deepEqual(statuses, ["--status=the ledger cannot be written", "--status=serving 1 models"]);
});
