// How often one thing is looked at, also where nobody answers.

import { setImmediate as turn } from "node:timers/promises";
import test from "ava";
import { Trouble } from "../../src/cloud/adapter.ts";
import { Poll } from "../../src/cloud/poll.ts";
import { type DurationUs, MINUTE } from "../../src/metering/time.ts";

for (const isMoving of [true, false]) {
  test(`who gives no answer is asked again within a minute, ${isMoving ? "moving" : "still"}`, async (t) => {
    const delays: DurationUs[] = [];
    let again: () => void = () => undefined;
    const poll = new Poll({
      observe: async () => {
        throw new Trouble("unreachable", "no answer");
      },
      ...{ take: () => undefined, miss: () => undefined, bug: () => undefined },
      isMoving: () => isMoving,
      after: (delay, call) => {
        delays.push(delay);
        again = call;
        return () => undefined;
      },
      random: () => 0.5,
    });
    void poll.look();
    for (let look = 0; look < 12; look += 1) {
      await turn();
      again();
    }
    t.true(delays.length > 10);
    t.deepEqual(
      delays.slice(0, 4).map((delay) => delay / 1e6),
      [5, 10, 20, 40],
    );
    t.true(
      delays.every((delay) => delay <= MINUTE),
      delays.join(" "),
    );
  });
}
