// How much work a request asks for, so coarsely that requests of one bucket take about equally long at one
// upstream: the time of one tells something of the next. Each bucket is twice as wide as the one below it. It
// knows no upstream and no time.

/**
 * "p24": pictures of 2^24 up to 2^25 pixels x steps x images (1024 x 1024 at 16 to 31 steps). "t9":
 * LLMs' prompt and answer of 2^9 up to 2^10 tokens. What a body leaves out is named behind it
 * ("p2-size-steps"): what a NIM puts in its place is the same each time, and not known here. "u":
 * nothing is said at all.
 */
export type WorkBucket = string;

/** Counts are numbers >= 0. */
export type WorkFacts =
  | {
      readonly kind: "picture";
      readonly width: number | undefined;
      readonly height: number | undefined;
      readonly steps: number | undefined;
      readonly images: number;
    }
  /** Of the prompt, and of the longest answer that is allowed, over all choices. */
  | { readonly kind: "tokens"; readonly prompt: number; readonly answer: number | undefined }
  | { readonly kind: "unsaid" };

/** Clients choose the numbers: past this all work is one bucket. */
const LAST_OCTAVE = 60;

export function bucketOf(work: WorkFacts): WorkBucket {
  switch (work.kind) {
    case "picture": {
      const { width, height, steps, images } = work;
      const hasSize = width !== undefined && height !== undefined;
      const amount = (hasSize ? width * height : 1) * (steps ?? 1) * images;
      return `p${octave(amount)}${hasSize ? "" : "-size"}${steps === undefined ? "-steps" : ""}`;
    }
    case "tokens": {
      const answer = work.answer === undefined ? "-answer" : "";
      return `t${octave(work.prompt + (work.answer ?? 0))}${answer}`;
    }
    case "unsaid":
      return "u";
  }
}

/** The power of two at or below it; by halving, which is exact where a logarithm may be off by one. */
function octave(amount: number): number {
  let power = 0;
  for (let left = amount; left >= 2 && power < LAST_OCTAVE; left /= 2) power += 1;
  return power;
}
