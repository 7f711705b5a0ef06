// Google Cloud from the thread that speaks to clouds, as the running gateway asks it: what is seen, ordered and
// refused comes back as it was said.

import test from "ava";
import { Trouble } from "../../../src/cloud/adapter.ts";
import { CloudThread } from "../../../src/cloud/cloud-thread.ts";
import { CloudClock } from "../../support/clouds/cloud-clock.ts";
import { GKE, gcpFake } from "../../support/clouds/gcp-fake.ts";
import { kubeFake } from "../../support/clouds/k8s-fake.ts";

const SIGNAL = new AbortController().signal;

test("A29, A68, A69, A72: a container and its pool are turned on and off through the thread, and a new login counts at once", async (t) => {
  const clock = new CloudClock();
  const kube = await kubeFake(t, clock, "nobody's");
  kube.cluster.deploy("flux-dev", "nim");
  const fake = await gcpFake(t, clock, kube, true);
  let text = "{}";
  const thread = new CloudThread({
    accessTo: () => ({ login: { kind: "text", text }, endpoint: fake.origin }),
    callsPerMinute: () => 600,
    isDryRun: () => false,
  });
  t.teardown(() => thread.close());
  const pool = thread.hostFor({ kind: "gke_pool", ...GKE });
  const nim = thread.adapterFor({ kind: "gke", ...GKE, namespace: "nim", deployment: "flux-dev" });
  const trouble = await t.throwsAsync(pool.observe(SIGNAL), { instanceOf: Trouble });
  t.regex(trouble?.message ?? "", /is not the key file of a service account/);
  text = fake.keyFile;
  t.deepEqual(await pool.observe(SIGNAL), { instances: [], ended: [], wanted: 0, scaledByOthers: undefined });
  await pool.raise(SIGNAL);
  await nim.start(SIGNAL);
  clock.pass(100);
  t.is((await pool.observe(SIGNAL)).instances.length, 1);
  clock.pass(300);
  t.like(await nim.observe(SIGNAL), { kind: "up", isHealthy: true, url: "http://20.1.2.3:8000" });
  await nim.stop(SIGNAL);
  await pool.lower(SIGNAL);
  clock.pass(100);
  t.like(await nim.observe(SIGNAL), { kind: "off" });
  t.is((await pool.observe(SIGNAL)).instances.length, 0);
});
