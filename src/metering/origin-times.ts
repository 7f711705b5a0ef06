// How long a picture takes on a GPU, before anything was learned: the table of the ComfyUI API service
// (apps/api/services/monitoring.py; features B20, X15). It knows three sizes of work; between and beyond them
// time grows in proportion, without the jumps that the origin has, and at its three keys it is exact.

import { type DurationUs, seconds } from "./time.ts";

/** Seconds for 512 x 512 at 10 steps, the same at 20, and 1024 x 1024 at 20. Models are not told apart. */
const TIMES: Readonly<Record<string, readonly [few: number, small: number, large: number]>> = {
  cpu: [540, 1080, 3600],
  rtx_3060: [2, 4, 15],
  rtx_4000_ada: [1.5, 3, 10],
  rtx_4090: [0.8, 1.5, 5],
  local_gpu: [3, 5, 15],
};

const SMALL = 512 * 512;
const LARGE = 1024 * 1024;
const FEW_STEPS = 10;
const STEPS = 20;
/** Clients choose the numbers: no picture is expected to take longer. */
const LONGEST = seconds(86_400);

export interface PictureWork {
  readonly width: number;
  readonly height: number;
  readonly steps: number;
  readonly images: number;
}

/** Undefined for a tier that the table does not have. "RTX-4090" and "rtx_4090" are one. */
export function originTime(tier: string, work: PictureWork): DurationUs | undefined {
  const times = TIMES[tier.toLowerCase().replaceAll("-", "_")];
  if (times === undefined) return undefined;
  const [few, small, large] = times;
  const whole = along(work.width * work.height, [SMALL, small], [LARGE, large]);
  const share = along(work.steps, [FEW_STEPS, few / small], [STEPS, 1]);
  const time = Math.min(LONGEST, seconds(whole * share * work.images));
  return Number.isFinite(time) ? (time as DurationUs) : LONGEST;
}

/** Through both points and straight between them, in proportion to the nearer one outside. */
function along(x: number, [x0, y0]: Point, [x1, y1]: Point): number {
  if (x <= x0) return (y0 * x) / x0;
  if (x >= x1) return (y1 * x) / x1;
  return y0 + ((y1 - y0) * (x - x0)) / (x1 - x0);
}

type Point = readonly [x: number, y: number];
