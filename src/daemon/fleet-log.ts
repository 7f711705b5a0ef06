// The fleet, with its turns told in the log: one line when an upstream is ejected, one when it works again.

import { Fleet } from "../cloud/fleet.ts";
import { SECOND } from "../metering/time.ts";
import { systemClock } from "./clock.ts";
import type { Logger } from "./log.ts";

export function makeFleet(log: Logger): Fleet {
  return new Fleet({
    monotonic: () => systemClock.monotonic(),
    random: Math.random,
    turned: (upstream, turned) => {
      switch (turned.kind) {
        case "ejected": {
          const { failures, why, time } = turned;
          const what = `upstream ${upstream} is ejected after ${failures} failures in a row`;
          const next = `it is tried again in ${Math.ceil(time / SECOND)} s, or as the last resort`;
          log.warn({ upstream, failures, why }, `${what}: ${why}; ${next}`);
          return;
        }
        case "recovered":
          log.info({ upstream, by: turned.by }, `upstream ${upstream} works again`);
      }
    },
  });
}
