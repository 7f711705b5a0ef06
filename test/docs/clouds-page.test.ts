// docs/clouds.md names the very permissions that the gateway asks for: no fewer, and none besides.

import { readFileSync } from "node:fs";
import test from "ava";
import { nim, Studio } from "../support/clouds/aws-studio.ts";

const PAGE = readFileSync(new URL("../../docs/clouds.md", import.meta.url), "utf8");
const MINUTE = 60_000;

interface Statement {
  readonly Sid: string;
  readonly Action: readonly string[];
}

function statements(): readonly Statement[] {
  const json = PAGE.split("```json\n")[1]?.split("```")[0] ?? "";
  return (JSON.parse(json) as { Statement: readonly Statement[] }).Statement;
}

test("the IAM policy has each action that a life of a container takes, and no other", async (t) => {
  const studio = await Studio.open(t, [nim("flux")], false);
  const { world, log } = studio.fake;
  world.group("pool");
  world.service("flux", "pool");
  await studio.begin();
  await studio.order("start", "flux");
  await studio.pass(5 * MINUTE);
  await studio.order("stop", "flux");
  await studio.pass(2 * MINUTE);
  t.is(studio.machine?.view.state, "off");
  const asked = [...new Set(log)].toSorted();
  t.deepEqual(
    statements()
      .flatMap(({ Action }) => Action)
      .toSorted(),
    asked,
  );
  const changing = asked.filter((action) => !/:(Describe|List)/.test(action));
  t.deepEqual(statements().find(({ Sid }) => Sid === "StartAndStop")?.Action, changing);
});
