import { setImmediate as turn } from "node:timers/promises";
import test from "ava";
import { InTurn } from "../../src/ledger/in-turn.ts";

test("the next one begins once the one before has ended, however that ended", async (t) => {
  const turns = new InTurn();
  const seen: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = turns.take(async () => {
    seen.push("first begins");
    await gate.promise;
    seen.push("first ends");
    throw new Error("first failed");
  });
  const second = turns.take(async () => {
    seen.push("second");
    return 2;
  });
  await turn();
  t.deepEqual(seen, ["first begins"]);
  gate.resolve();
  await t.throwsAsync(first, { message: "first failed" });
  t.is(await second, 2);
  t.deepEqual(seen, ["first begins", "first ends", "second"]);
});
