// The disk of one run: slow or fast, failing or not, and in a storm it stalls.

import { type DurationUs, SECOND } from "../../src/metering/time.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

export function newDisk(world: World, random: Random, storm: Random | undefined): FakeDisk {
  const slowest = random.pick([0, 2_000, 200_000, 3 * SECOND]);
  const failing = random.pick([0, 0, 0.05]);
  return new FakeDisk({
    delay: () =>
      new Promise((resolve) => {
        const stall = storm?.chance(0.01) ? storm.whole(5, 20) * SECOND : 0;
        world.after((random.whole(0, slowest) + stall) as DurationUs, resolve);
      }),
    fails: () => random.chance(failing),
  });
}
