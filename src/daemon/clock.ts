// The machine's two clocks, as the rest of the house sees them.

import { type Clock, durationUs, instantUs } from "../metering/time.ts";

export const systemClock: Clock = {
  // timeOrigin + now() would be the finer one, but it does not follow the wall clock when that is set.
  wall: () => instantUs(Date.now() * 1000),
  monotonic: () => durationUs(performance.now() * 1000),
};
