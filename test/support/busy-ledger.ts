// A ledger that has seen everything that accounts do, at random: requests of several users on machines that
// they share, by the hour, the request and the image, that are extended, cut, released and sent elsewhere;
// periods that turn, reloads, a disk that refuses, and deaths.

import { setImmediate as tick } from "node:timers/promises";
import { HOUR, MINUTE, SECOND } from "../../src/metering/time.ts";
import type { Reservation } from "../../src/policy/admission.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { HandClock, type House, openHouse, RELAYED } from "./ledger.ts";
import { budget, perHour, perRequest, policy, task, upstream } from "./policies.ts";

const upstreams = [
  upstream("shared", { price: perHour("3.6"), machine: "pool" }),
  upstream("sharing", { price: perHour("1.0000001"), machine: "pool" }),
  upstream("hosted", { price: perRequest("0.01"), provider: "nvidia-hosted" }),
  upstream("free", { price: perRequest("0.00"), provider: "local" }),
];

const MODES = upstreams.map(({ id, provider }) => ({ id, provider }));

export const BUDGETS = [
  budget("hour", { limit_usd: "5", period: "hourly" }),
  budget("day", { limit_usd: "40", timezone: "Europe/Berlin" } as never),
  budget("ever", { limit_usd: "900", period: "infinite", includeIdle: false }),
  budget("each", { limit_usd: "9", per: "user", period: "hourly", onLimit: "warn" }),
  budget("ann", { limit_usd: "9", when: { user: "ann" }, period: "hourly" }),
  budget("odd", { limit_usd: "9", when: { workflow: ['a"];b|c', "plain"], provider: ["aws", "local"] } }),
  budget("session", { limit_usd: "3", period: "per_session" }),
  budget("task", { limit_usd: "1", period: "per_task", overrun: "cut" }),
  budget("counts", {
    ...{ per: "user", period: "hourly", onLimit: "warn" },
    limits: { requests: 5, images: 4, seconds: 3000, tokens: 900 },
  }),
  budget("time", { limits: { seconds: 9000 }, overrun: "cut", limit_usd: "90" }),
  budget("model", { limit_usd: "100", per: "model", period: "monthly", onLimit: "ignore" }),
];

export function busyPolicy(random: () => number): Policy {
  const budgets = BUDGETS.filter(() => random() < 0.7);
  const { id } = MODES[Math.floor(random() * MODES.length)] ?? { id: "shared" };
  const names = upstreams.map((one) => one.id);
  const manual = { id: "flux-dev", upstreams: [id, ...names.filter((one) => one !== id)] };
  const models = [...policy({ upstreams }).models.values()].map((model) => ({ ...model, ...manual }));
  return policy({
    mode: "manual",
    upstreams,
    models,
    budgets,
    timezone: random() < 0.5 ? "UTC" : "Asia/Kolkata",
  });
}

/** The same for every seed: mulberry32. */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Busy {
  house: House;
  /** Called between any two steps, whatever is under way. */
  look(house: House): Promise<void>;
}

/** Awake, with heartbeats; of more than a minute it sleeps, and whoever runs by the hour has ended then. */
async function live({ clock, accounts }: House, time: number): Promise<void> {
  const most = time > MINUTE ? time : 5 * SECOND;
  for (let left = time; left > 0; left -= most) {
    if (left < time) await accounts.heartbeat().catch(() => undefined);
    clock.pass(Math.min(left, most));
  }
}

const OUTCOMES = ["relayed", "failed", "aborted", "truncated", "cut"] as const;

/** Plays `steps` random steps on a folder; returns the house as it stands, with requests still open. */
export async function playBusy(
  folder: string,
  seed: number,
  steps: number,
  look: Busy["look"],
): Promise<House> {
  const random = randomOf(seed);
  const one = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T;
  const clock = new HandClock();
  let house = await openHouse(folder, clock, busyPolicy(random));
  let open: Reservation[] = [];
  const take = () => open.splice(Math.floor(random() * open.length), 1)[0];
  const settle = (held: Reservation | undefined) =>
    held
      ?.settle({ ...RELAYED, outcome: one(OUTCOMES), status: one([200, 500, undefined]) })
      .catch(() => undefined);
  for (let step = 0; step < steps; step += 1) {
    await live(house, Math.floor(random() * one([SECOND, MINUTE, 20 * MINUTE])));
    const what = random();
    if (what < 0.4) {
      const labels = { user: one(["ann", "bob", "unknown"]), session: one([undefined, "s\n1"]) };
      const asked = task({
        labels: { ...labels, workflow: one(['a"];b|c', "plain", undefined]), task: one([undefined, "t"]) },
      });
      const admission = await house.admit(asked);
      if (admission.kind === "admitted") {
        if (random() < 0.15)
          await admission.reservation.release(one(["retry", "over"])).catch(() => undefined);
        else {
          admission.reservation.begin();
          open.push(admission.reservation);
        }
      }
    } else if (what < 0.75) await settle(take());
    else if (what < 0.82) await one(open.length > 0 ? open : [undefined])?.extend();
    else if (what < 0.9) await house.accounts.heartbeat().catch(() => undefined);
    else if (what < 0.93) {
      house.disk.refuses = () => random() < 0.3;
      await Promise.all([settle(take()), house.accounts.heartbeat().catch(() => undefined)]);
      house.disk.refuses = () => false;
      await house.accounts.heartbeat();
    } else if (what < 0.97) {
      const adopting = house.adopt(busyPolicy(random)).catch(() => undefined);
      // Settled while the fold is under way: counted by the old budgets and by the new ones.
      await Promise.all([adopting, settle(take()), settle(take())]);
    } else {
      await house.crash();
      clock.pass(Math.floor(random() * HOUR));
      open = [];
      house = await openHouse(folder, clock, random() < 0.7 ? house.policy : busyPolicy(random));
    }
    await tick();
    await look(house).catch(async (error) => {
      await house.crash();
      throw error;
    });
  }
  return house;
}
