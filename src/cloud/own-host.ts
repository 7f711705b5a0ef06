// A machine that only the containers on it can be asked about: a Docker host, a machine without a group.
// It is up while any of them is, since the first of them; nobody can raise or lower it.

import type { Instant } from "../metering/time.ts";
import { type Host, type HostSighting, type Instance, Trouble } from "./adapter.ts";
import type { ContainerInside } from "./container-watch.ts";

/** `id`: what it is called as long as no provider has another name for it. */
export function ownHost(id: string, containers: () => readonly ContainerInside[]): Host {
  let since: Instant | undefined;
  return {
    observe: async () => {
      const all = containers();
      const up = all.flatMap((one) => one.up ?? []);
      // Who has not answered may run.
      if (up.length === 0 && all.some(({ isAsked }) => !isAsked))
        throw new Trouble("unreachable", "its containers have not answered yet");
      const instances = new Map<string, Instance>();
      for (const { under } of up)
        if (under !== undefined) instances.set(under.id, { ...under, isStopping: false });
      const own = up.filter((one) => !("under" in one));
      if (own.length > 0) {
        // One that ends leaves the machine up: it began with the first.
        since = earliest([...own.map((one) => one.since), ...(since === undefined ? [] : [since])]);
        instances.set(id, { id, since, isStopping: own.every(({ isStopping }) => isStopping) });
      }
      const ended = own.length === 0 && since !== undefined ? [{ id, stopped: latestStop(all, since) }] : [];
      if (own.length === 0) since = undefined;
      return sightingOf([...instances.values()], ended);
    },
    raise: async () => undefined,
    lower: async () => undefined,
  };
}

function sightingOf(instances: readonly Instance[], ended: HostSighting["ended"]): HostSighting {
  return { instances, ended, wanted: instances.length, scaledByOthers: undefined };
}

function earliest(all: readonly Instant[]): Instant {
  return all.reduce((a, b) => (a < b ? a : b));
}

function latestStop(all: readonly ContainerInside[], since: Instant): Instant {
  return all.reduce((last, { stopped }) => (stopped !== undefined && stopped > last ? stopped : last), since);
}
