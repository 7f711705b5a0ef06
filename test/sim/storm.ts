// What befalls a house that runs: its policy is edited, its clocks are set, all spending is stopped, its disk
// stalls. Each event is one row of a table: a further one is one line. It has a source of chance of its own, so
// that a calm run of a seed stays what it was.

import { type DurationUs, HOUR, MINUTE, SECOND } from "../../src/metering/time.ts";
import { groundsOf } from "../../src/policy/match.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { edited, withAttributionTurned, withContainersEdited, withPricesMoved } from "./edits.ts";
import type { Operator } from "./operator.ts";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

/** What the storm may do to the house; whoever stops spending resumes it later. */
export interface Shaken {
  reload(edit: Edit): void;
  stepWall(by: number): void;
  stop(time: DurationUs): void;
  /** The process does not run meanwhile. */
  stall(by: number): void;
  /** A container is started, turned off or started again. */
  turnContainer(): void;
  /** Undefined where nobody does anything by hand. */
  operator(): Operator | undefined;
}

/** The policy in force, and the one that the run began with: what an edit took away may come back. */
export type Edit = (policy: Policy, first: Policy) => Policy;

type Blow = (house: Shaken, random: Random) => void;

/** Events that befall a house: a new kind is a row more. Policies are edited twice as often. */
const BLOWS: readonly Blow[] = [
  (house, random) => house.reload((policy, first) => edited(policy, first, random)),
  (house, random) => house.reload((policy, first) => edited(policy, first, random)),
  (house, random) => house.stepWall(-random.whole(1, 10) * MINUTE),
  (house, random) => house.stepWall(random.whole(1, 240) * SECOND),
  (house, random) => house.stepWall(random.pick([HOUR, 25 * HOUR])),
  (house, random) => house.stop(random.whole(SECOND, 40 * SECOND) as DurationUs),
];

/** What befalls a house with containers besides: machines sleep (the wall goes on) and hang (beats come late). */
const CONTAINER_BLOWS: readonly Blow[] = [
  (house) => house.turnContainer(),
  (house) => house.turnContainer(),
  (house) => house.turnContainer(),
  (house, random) => house.stepWall(random.whole(3, 100) * SECOND),
  (house, random) => house.stall(random.whole(7, 30) * SECOND),
  (house, random) => house.reload((policy, first) => withContainersEdited(policy, first, random)),
];

/** What somebody does by hand: not through the policy file, and not for good. */
const HAND_BLOWS: readonly Blow[] = [
  (house) => house.operator()?.reset(),
  (house) => house.operator()?.reset(),
  (house) => house.operator()?.raise(),
  (house) => house.operator()?.raise(),
  (house) => house.operator()?.endRaise(),
  (house) => house.operator()?.allocate(),
  (house) => house.operator()?.allocate(),
  (house) => house.operator()?.endAllocation(),
];

/** What moves prices where there are no containers, and who pays them. */
const PRICE_BLOWS: readonly Blow[] = [
  (house, random) => house.reload((policy) => withPricesMoved(policy, random)),
  (house, random) => house.reload((policy) => withPricesMoved(policy, random)),
  (house, random) => house.reload((policy) => withPricesMoved(policy, random)),
  (house) => house.reload(withAttributionTurned),
];

/** Each has its own source of chance: a run without one of them is the run that it was. */
export interface Chances {
  readonly storm: Random | undefined;
  readonly weather: Random | undefined;
  readonly hand: Random | undefined;
}

export function planStorm(
  world: World,
  { storm, weather, hand }: Chances,
  within: number,
  house: Shaken,
): void {
  if (storm !== undefined) planBlows(world, storm, BLOWS, within, house);
  if (weather !== undefined) planBlows(world, weather, CONTAINER_BLOWS, within, house);
  if (hand?.chance(0.6)) planBlows(world, hand, HAND_BLOWS, within, house);
  if (hand?.chance(0.3)) planBlows(world, hand, PRICE_BLOWS, within, house);
}

/** One to six of them, each at its time within the next microseconds. */
function planBlows(
  world: World,
  random: Random,
  blows: readonly Blow[],
  within: number,
  house: Shaken,
): void {
  for (let left = random.whole(1, 6); left > 0; left -= 1) {
    const at = random.whole(0, within) as DurationUs;
    const blow = random.pick(blows);
    world.after(at, () => blow(house, random));
  }
}

/** The names of what a policy counts: the disk knows for which of them it has counted all. */
export function countedBy(policy: Policy): readonly string[] {
  return groundsOf(policy).map(({ key }) => key);
}

/**
 * The one of the two that the disk has counted for, the newer if both. A daemon prepares the policy that it
 * starts with: what that one does not count is complete no more.
 */
export function startable(tracked: readonly string[], newer: Policy | undefined, older: Policy): Policy {
  const known = new Set(tracked);
  return newer !== undefined && countedBy(newer).every((key) => known.has(key)) ? newer : older;
}
