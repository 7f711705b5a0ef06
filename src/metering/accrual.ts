// How the sums of a lease grow while nothing about it changes, and how they are cut into parts: the
// algorithm of MONEY §2. Which events may happen when is lease.ts's affair.

import type { Join, LiveState, Piece } from "./lease-state.ts";
import { type HourlyRate, nanoUsd, US_PER_HOUR } from "./money.ts";
import { cutAtQuarters, type Part } from "./part.ts";
import {
  between,
  durationUs,
  earliest,
  type Instant,
  later,
  latest,
  QUARTER_HOUR,
  quarterHourOf,
} from "./time.ts";

/** Brings the sums up to `at`, quarter-hour by quarter-hour; how often it is called changes nothing. */
export function accrue(live: LiveState, at: Instant): void {
  for (;;) {
    const boundary = later(quarterHourOf(live.t), QUARTER_HOUR);
    if (at < boundary) break;
    run(live, boundary);
    if (live.n > 0) live.marks.set(boundary, live.V);
    cutPiece(live);
  }
  if (at > live.t) run(live, at);
}

function run(live: LiveState, to: Instant): void {
  const elapsed = between(live.t, to);
  const full = live.P * BigInt(elapsed);
  live.t = to;
  if (live.n > 0) {
    const n = BigInt(live.n);
    live.total += full;
    if (live.attribution === "exclusive") {
      live.V += full;
      live.beyond += full * (n - 1n);
      return;
    }
    const due = full + live.c;
    live.V += due / n;
    live.c = due % n;
  } else if (live.phase.kind === "starting") {
    live.startup.raw += full;
    live.total += full;
    live.piece = { ...live.piece, startup: durationUs(live.piece.startup + elapsed) };
  } else {
    const idle = live.I * BigInt(elapsed);
    live.idle.raw += idle;
    live.total += idle;
    live.discount += full - idle;
    live.piece = { ...live.piece, idle: durationUs(live.piece.idle + elapsed) };
  }
}

/** The parts of an active request from its start to now. */
export function shareOf(live: LiveState, join: Join): readonly Part[] {
  const V0 = BigInt(join.V0);
  const rawAt = (at: Instant) => V(live, at, join) - V0;
  const { phase } = live;
  if (phase.kind === "starting") return cutAtQuarters("startup", join.start, live.t, rawAt);
  if (phase.at <= join.start) return cutAtQuarters("request", join.start, live.t, rawAt);
  return [
    ...cutAtQuarters("startup", join.start, phase.at, rawAt),
    ...cutAtQuarters("request", phase.at, live.t, rawAt),
  ];
}

function V(live: LiveState, at: Instant, join: Join): bigint {
  if (at === live.t) return live.V;
  if (at === join.start) return BigInt(join.V0);
  if (live.phase.kind === "ready" && at === live.phase.at) return live.phase.V;
  const mark = live.marks.get(at);
  if (mark === undefined)
    throw new Error(`this lease does not know V at ${at}: no request of its own was there`);
  return mark;
}

/** A quarter-hour is needed only by requests that joined before it. */
export function forgetMarks(live: LiveState): void {
  const [oldest] = live.joined.keys();
  for (const boundary of live.marks.keys()) {
    if (oldest !== undefined && boundary > oldest) return;
    live.marks.delete(boundary);
  }
}

/**
 * The fraction of a nano-dollar that start-up leaves behind becomes idle, so that it is posted in the end.
 */
export function endStartup(live: LiveState): void {
  const fraction = live.startup.raw % US_PER_HOUR;
  live.startup.raw -= fraction;
  live.idle.raw += fraction;
}

/** Ends the container's current piece: what is due less what was posted (slices by difference of floors). */
export function cutPiece(live: LiveState): void {
  for (const kind of ["startup", "idle"] as const) {
    const account = live[kind];
    const due = account.raw / US_PER_HOUR;
    const amount = nanoUsd(due - account.posted);
    account.posted = due;
    post(live.pending, { kind, at: live.piece.at, elapsed: live.piece[kind], amount });
  }
  live.piece = noTime(live.t);
}

/** Free time is not cut: where nobody asks for it, it would pile up for as long as the lease lasts. */
function post(pending: Part[], part: Part): void {
  if (part.amount === 0n && part.elapsed === 0) return;
  const last = pending.at(-1);
  if (last?.kind === part.kind && last.amount === 0n && part.amount === 0n) {
    pending[pending.length - 1] = { ...last, elapsed: durationUs(last.elapsed + part.elapsed) };
  } else {
    pending.push(part);
  }
}

/** All parts that were not handed out yet. */
export function takePosts(live: LiveState): readonly Part[] {
  cutPiece(live);
  const parts = live.pending;
  live.pending = [];
  return parts;
}

export function noTime(at: Instant): Piece {
  return { at, idle: durationUs(0), startup: durationUs(0) };
}

/** What was accrued less what was handed out as parts, raw. */
export function unposted({ idle, startup, pending }: LiveState): bigint {
  const kept = pending.reduce((sum, { amount }) => sum + amount, 0n);
  return idle.raw + startup.raw - (idle.posted + startup.posted - kept) * US_PER_HOUR;
}

/** What accrued to the container by the hour from an instant on. */
export interface RateSince {
  readonly at: Instant;
  readonly rate: HourlyRate;
}

/**
 * Takes the container's time from `to` on back; everything due has been handed out. By difference of running
 * totals, like what it takes back, so that what stays is the floor of what was accrued up to `to`. Each rate
 * is taken back apart: one that is said again cuts it.
 */
export function retract(live: LiveState, to: Instant, rates: readonly RateSince[]): readonly Part[] {
  const until = live.t;
  const rawAt = (at: Instant) => rawBetween(rates, to, at);
  const raw = rawAt(until);
  const left = live.idle.raw + live.startup.raw - raw;
  const fraction = ((left % US_PER_HOUR) + US_PER_HOUR) % US_PER_HOUR;
  live.total -= raw;
  live.discount -= live.P * BigInt(between(to, until)) - raw;
  live.idle.raw = fraction;
  live.idle.posted = 0n;
  live.startup.raw = 0n;
  live.startup.posted = 0n;
  live.t = to;
  live.piece = noTime(to);
  const cuts = [to, ...rates.flatMap(({ at }) => (at > to && at < until ? [at] : [])), until];
  return cuts
    .slice(1)
    .flatMap((end, index) => cutAtQuarters("adjusted", cuts[index] ?? to, end, (at) => fraction + rawAt(at)))
    .filter(({ amount }) => amount > 0n)
    .map((part) => ({ ...part, elapsed: durationUs(0), amount: nanoUsd(-part.amount) }));
}

/** The first rate counts for what lies before it too. */
function rawBetween(rates: readonly RateSince[], from: Instant, to: Instant): bigint {
  return rates.reduce((sum, { at, rate }, index) => {
    const begin = index === 0 ? from : latest(from, at);
    const end = earliest(to, rates[index + 1]?.at ?? to);
    return end > begin ? sum + rate * BigInt(between(begin, end)) : sum;
  }, 0n);
}
