// What the fleet remembers of an upstream that the policy has lost, and gets back.

import test from "ava";
import { Fleet } from "../../src/cloud/fleet.ts";
import { type DurationUs, MINUTE, SECOND } from "../../src/metering/time.ts";
import { model, policy, upstream } from "../support/policies.ts";

const rated = upstream("pod", { rateLimit: { calls: 1, per: MINUTE as DurationUs } });
const named = policy({ upstreams: [rated], models: [model("flux-dev", ["pod"])] });
const gone = policy({ upstreams: [upstream("other")] });

test("an upstream that comes back within its rate_limit keeps to it", (t) => {
  let now = 0;
  const monotonic = () => now as DurationUs;
  const fleet = new Fleet({ monotonic, random: () => 0.5, turned: () => undefined });
  fleet.follow(named);
  fleet.take(rated).free({ kind: "unclear" });
  for (const one of [gone, named]) {
    now += SECOND;
    fleet.follow(one);
  }
  t.like(fleet.hindrance(rated), { kind: "rated" });
  now += 2 * MINUTE;
  t.is(fleet.hindrance(rated), undefined);
});
