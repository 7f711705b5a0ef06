// The Docker adapter against a real podman: what runs is found whoever started it, start and stop do what
// they say, and the engine's own clock says since when.

import test from "ava";
import type { Sighting } from "../../src/cloud/adapter.ts";
import { DockerContainer } from "../../src/cloud/docker.ts";
import { DockerEngine } from "../../src/cloud/docker-engine.ts";
import { eventually } from "../support/gateway-client.ts";
import { startPodman } from "../support/podman.ts";
import { needs } from "../support/real.ts";

const SIGNAL = new AbortController().signal;

test(
  "a container of podman is seen, started, served from, stopped, and watched whoever touches it",
  needs("podman", async (t, program) => {
    const podman = await startPodman(t, program);
    let [told, lost] = [0, 0];
    const engine = new DockerEngine(podman.socket);
    t.teardown(() => engine.close());
    // Only a stream that was lost is followed anew.
    const after = () => {
      lost += 1;
      return () => undefined;
    };
    const container = new DockerContainer({ engine, name: podman.container, after });
    const look = () => container.observe(SIGNAL);
    t.teardown(container.watch(() => (told += 1)));

    t.like(await look(), { kind: "off", stopped: undefined, why: undefined });
    await container.stop(SIGNAL);

    const before = Date.now() * 1000;
    await container.start(SIGNAL);
    const up = await look();
    if (up.kind !== "up") return t.fail(`it is ${up.kind}`);
    t.like(up, { isHealthy: undefined, isStopping: false, url: undefined });
    t.regex(up.id, /^[0-9a-f]{64}$/);
    t.true(up.since >= before - 1_000_000 && up.since <= Date.now() * 1000, `${up.since}`);
    await container.start(SIGNAL);
    t.deepEqual(await look(), up, "one that runs is started anew");
    const ready = await eventually(
      "it serves",
      async () => (await fetch(`${podman.url}/v1/health/ready`)).ok,
    );
    t.true(ready);

    await container.stop(SIGNAL);
    const off = (await look()) as Extract<Sighting, { kind: "off" }>;
    t.is(off.kind, "off");
    t.true((off.stopped ?? 0) > up.since);
    t.is(off.why, undefined);

    const heard = told;
    await podman.type("start", podman.container);
    await eventually("somebody else's start is told", () => told > heard);
    const again = await look();
    t.true(
      again.kind === "up" && again.id === up.id && again.since > up.since,
      "another start is another lease",
    );
    t.is(
      (again as { stoppedBefore?: unknown }).stoppedBefore,
      off.stopped,
      "it says when the one before ended",
    );
    t.is(lost, 0, "its events ended");
    await podman.type("kill", "--signal", "KILL", podman.container);
    t.is((await eventually("it is seen off", async () => offOr(await look()))).kind, "off");
  }),
);

function offOr(seen: Sighting): Sighting | undefined {
  return seen.kind === "off" ? seen : undefined;
}
