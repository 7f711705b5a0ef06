import test from "ava";
import { nanoUsd } from "../../src/metering/money.ts";
import { StartupTimes } from "../../src/metering/startup-times.ts";
import { perSuccess, SuccessShares } from "../../src/metering/success-share.ts";
import { DAY, type DurationUs, type Instant, later, seconds } from "../../src/metering/time.ts";
import { seeded } from "../sim/random.ts";

const NOW = 1_800_000_000_000_000 as Instant;

function told(outcomes: readonly boolean[]): SuccessShares {
  const shares = new SuccessShares();
  for (const isSuccess of outcomes) shares.tell("a", isSuccess, NOW);
  return shares;
}

test("a share is known from the twentieth request on, of the newest fifty, within a week", (t) => {
  t.is(told(Array(19).fill(false)).of("a", NOW), undefined);
  t.deepEqual(told(Array(20).fill(false)).of("a", NOW), { requests: 20, successes: 0 });
  t.is(told(Array(50).fill(true)).of("a", NOW), undefined, "nothing failed");
  const turned = told([...Array(50).fill(false), ...Array(40).fill(true)]);
  t.deepEqual(turned.of("a", NOW), { requests: 50, successes: 40 });
  t.is(turned.of("a", later(NOW, (7 * DAY) as DurationUs)), undefined);
  t.is(turned.of("b", NOW), undefined);
});

for (let seed = 1; seed <= 20; seed += 1) {
  test(`a success costs no less than a request, at most four of them, and what its share says, seed ${seed}`, (t) => {
    const random = seeded(seed);
    const requests = random.whole(20, 50);
    const successes = random.whole(0, requests);
    const amount = nanoUsd(BigInt(random.whole(0, 1_000_000_000)));
    const found = perSuccess(amount, { requests, successes });
    t.true(found >= amount && found <= 4n * amount);
    if (successes * 4 < requests) {
      t.is(found, nanoUsd(4n * amount));
      return;
    }
    // Rounded up: never less than the exact quotient, by less than one nano-dollar.
    t.true(found * BigInt(successes) >= amount * BigInt(requests));
    t.true((found - 1n) * BigInt(successes) < amount * BigInt(requests));
  });
}

test("of starts the median of the last seven counts, the longer one of two", (t) => {
  const times = new StartupTimes();
  t.is(times.of("a"), undefined);
  times.learn("a", seconds(10));
  times.learn("a", seconds(30));
  t.deepEqual(times.of("a"), { median: seconds(30), starts: 2 });
  for (const took of [600, 11, 12, 13, 14, 15, 16]) times.learn("a", seconds(took));
  t.deepEqual(times.of("a"), { median: seconds(14), starts: 7 });
  times.learn("a", seconds(-1));
  t.is(times.of("a")?.starts, 7);
});
