// Keeps a running request held: asks for the next slice in good time, and calls the cut when a budget
// that said `overrun: cut` has no more (MONEY §3), or when nobody watched its machine for a while. It ends
// with the call that it returns.

import { GUARD } from "../metering/quote.ts";
import { between, type DurationUs, FOREVER, SECOND } from "../metering/time.ts";
import type { Reservation } from "../policy/admission.ts";
import type { Timers } from "./timers.ts";

/** Asked this much earlier than the guard, so that a slow disk can still answer in time. */
const LEAD = SECOND;
/** Refused, it is asked this often until it must be cut: another request may give money back. */
const AGAIN = SECOND / 4;
/** A request that still waits for its connection is given no slice: asked again, but not in every tick. */
const SOONEST = SECOND / 20;

/** Who knows when money is freed: a running request asks in that tick, before anyone who waits. */
export interface Freeing {
  isShort(again: () => void): () => void;
}

export function keepHeld(held: Reservation, timers: Timers, cut: () => void, freeing: Freeing): () => void {
  let isOver = false;
  let isAsking = false;
  let forget: () => void = () => undefined;

  const left = () => between(timers.now(), held.horizon);
  const later = (delay: number, call: () => void) => {
    forget = timers.after(Math.max(0, delay) as DurationUs, call);
  };
  /** Refused: at the latest after `delay`, and as soon as something is freed. */
  const whenFreed = (delay: number, call: () => void) => {
    let isAsked = false;
    const once = () => {
      if (isAsked) return;
      isAsked = true;
      forget();
      call();
    };
    const forgetTime = timers.after(Math.max(0, delay) as DurationUs, once);
    const forgetFreed = freeing.isShort(once);
    forget = () => {
      forgetTime();
      forgetFreed();
    };
  };
  const plan = (soonest: number) => {
    if (held.horizon !== FOREVER) later(Math.max(soonest, left() - GUARD - LEAD), ask);
  };
  const ask = async () => {
    isAsking = true;
    cutInTime();
    const answer = await held.extend();
    isAsking = false;
    if (isOver) return;
    forget();
    if (answer === "extended") plan(SOONEST);
    else if (held.cuts) whenFreed(Math.min(AGAIN, left() - GUARD), askOrCut);
    else whenFreed(LEAD, ask);
  };
  const askOrCut = () => void (left() > GUARD ? ask() : cut());
  /** A disk that stalls answers late or never, and what it has not written is not held. */
  const cutInTime = () =>
    later(left() - GUARD, () => void (left() > GUARD ? cutInTime() : held.cuts && cut()));

  plan(0);
  held.onShortened(() => {
    // Who is asking plans anew with the answer.
    if (isOver || isAsking) return;
    forget();
    plan(0);
  });
  return () => {
    isOver = true;
    forget();
  };
}
