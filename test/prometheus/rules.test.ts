// The alert rules are valid and fire when, and only when, config/prometheus/rules*.test.yml say.

import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import test from "ava";
import { run } from "../support/program.ts";
import { needs } from "../support/real.ts";
import { CONFIG_FILE, ruleQueries } from "./queries.ts";

const folder = dirname(CONFIG_FILE);
const CASES = ["rules.test.yml", "rules.week.test.yml"];

test(
  "Prometheus accepts the configuration and the rules",
  needs("promtool", async (t, promtool) => {
    const { code, stdout, stderr } = await run(promtool, ["check", "config", "prometheus.yml"], {
      cwd: folder,
    });
    t.is(code, 0, stdout + stderr);
    t.regex(stdout, /\d+ rules found/);
  }),
);

test(
  "each alert fires when it should, and keeps still when it should",
  needs("promtool", async (t, promtool) => {
    const { code, stdout, stderr } = await run(promtool, ["test", "rules", ...CASES], {
      cwd: folder,
    });
    t.is(code, 0, stdout + stderr);
  }),
);

test("each alert has a case in which it fires", async (t) => {
  const cases = (await Promise.all(CASES.map((file) => readFile(`${folder}/${file}`, "utf8")))).join("\n");
  const fires = (alert: string) => new RegExp(`alertname: ${alert}\\n\\s+exp_alerts:\\n`).test(cases);
  const alerts = (await ruleQueries()).map(({ where }) => where).filter((where) => !where.includes(":"));
  t.true(alerts.length > 8);
  t.deepEqual(
    alerts.filter((alert) => !fires(alert)),
    [],
  );
});
