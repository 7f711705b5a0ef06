// Why an upstream that the policy offers cannot take a request at this moment, and how that is told. Values
// only: cloud/ finds it out, decide.ts weighs it, `explain` and a 503 show it.

import { type DurationUs, HOUR, MINUTE, SECOND } from "../metering/time.ts";
import type { CallRate } from "./container.ts";

export type Hindrance =
  /** Every slot that its `concurrency` allows is taken. */
  | { readonly kind: "busy"; readonly running: number; readonly concurrency: number }
  /** Requests that came earlier wait for it: nobody passes them. */
  | { readonly kind: "queued"; readonly waiting: number }
  /** Its `rate_limit` is used up for so long. */
  | { readonly kind: "rated"; readonly rate: CallRate; readonly again: DurationUs }
  /** It failed so often in a row that it is left alone for so long. */
  | { readonly kind: "ejected"; readonly failures: number; readonly why: string; readonly again: DurationUs }
  /** Its container is being stopped: it can be started again once it is off. */
  | { readonly kind: "stopping" }
  /** It was ejected, and one request is finding out whether it works again. */
  | { readonly kind: "trial"; readonly failures: number };

/** Goes on from "flux-local is". */
export function hindranceText(hindrance: Hindrance): string {
  switch (hindrance.kind) {
    case "busy": {
      const { running, concurrency } = hindrance;
      return `busy: ${running} of ${concurrency} ${running === 1 ? "runs" : "run"}`;
    }
    case "queued":
      return `waited for: ${count(hindrance.waiting, "request")} came earlier`;
    case "rated": {
      const { rate, again } = hindrance;
      const limit = `its rate_limit ${rateText(rate)} is used up`;
      return `out of calls: ${limit}, the next is free in ${inSeconds(again)}`;
    }
    case "ejected": {
      const { failures, why, again } = hindrance;
      return `${ejected(failures)}, tried again in ${inSeconds(again)}: ${why}`;
    }
    case "stopping":
      return "being stopped, and is started again once it is off";
    case "trial":
      return `${ejected(hindrance.failures)}, and one request tries it now`;
  }
}

/** How long it lasts at least, where that is known; the others end with an event. */
export function lastsFor(hindrance: Hindrance): DurationUs | undefined {
  return "again" in hindrance ? hindrance.again : undefined;
}

function ejected(failures: number): string {
  return `ejected after ${count(failures, "failure")} in a row`;
}

/** As the policy writes it: "40/min". */
function rateText({ calls, per }: CallRate): string {
  const unit = per === HOUR ? "h" : per === MINUTE ? "min" : "s";
  return `${calls}/${unit}`;
}

/** Rounded up: nobody is told to come before there is something to get. */
function inSeconds(duration: DurationUs): string {
  return `${Math.max(1, Math.ceil(duration / SECOND))} s`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
