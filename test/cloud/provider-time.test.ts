// Times as the clouds write them, and what is made of none.

import test from "ava";
import { Trouble } from "../../src/cloud/adapter.ts";
import { instanceOf } from "../../src/cloud/kubernetes/nodes.ts";
import { providerInstant, providerStart } from "../../src/cloud/provider-time.ts";
import { instantUs } from "../../src/metering/time.ts";

const AT = instantUs(Date.UTC(2026, 10, 22, 1) * 1000);

test("any fraction and zone is read to the microsecond, and the year 1 means never", (t) => {
  t.is(providerInstant("2026-11-22T01:00:00.4618763Z"), instantUs(AT + 461_876));
  t.is(providerInstant("2026-11-21T17:00:00-08:00"), AT);
  t.is(providerInstant("0001-01-01T00:00:00Z"), undefined);
  t.is(providerInstant("soon"), undefined);
});

test("a machine that tells no start is not charged since 1970, but is trouble", (t) => {
  t.is(providerStart("it", undefined, "2026-11-22T01:00:00Z"), AT);
  t.throws(() => providerStart("instance 7", "soon", undefined), {
    instanceOf: Trouble,
    message: /^instance 7 does not say since when it is there: what it costs is not counted/,
  });
  const metadata = { name: "n1", uid: "u1", creationTimestamp: "soon" };
  const node = { metadata, spec: {}, status: { conditions: [] } };
  t.throws(() => instanceOf(node as never, false), { instanceOf: Trouble, message: /node n1/ });
});
