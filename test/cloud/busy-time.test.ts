import test from "ava";
import { BusyTime } from "../../src/cloud/busy-time.ts";
import { seconds } from "../../src/metering/time.ts";

test("D48: the share of time in use is that since the last start, whoever was in then", (t) => {
  const busy = new BusyTime(seconds(100));
  t.is(busy.share(seconds(100)), undefined);
  busy.begin(seconds(110));
  busy.begin(seconds(115));
  busy.end(seconds(120));
  t.is(busy.share(seconds(140)), 0.25);
  busy.begin(seconds(140));
  busy.restart(seconds(150));
  t.is(busy.share(seconds(160)), 1);
});
