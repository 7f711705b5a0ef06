// Paints the pictures that the simulated NIM answers with: a colour plasma that depends on prompt and seed
// alone, as a valid PNG of any size. It knows nothing of HTTP, and of PNG only 8-bit RGB.

import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { promisify } from "node:util";
import { crc32, deflate } from "node:zlib";

export interface Picture {
  /** Pixels, each at least 1. */
  readonly width: number;
  readonly height: number;
  readonly prompt: string;
  readonly seed: number;
}

const SIGNATURE = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
const CHANNELS = 3;
/** Each row says how it was filtered; 2 is "the difference to the row above", which a plasma keeps tiny. */
const FILTER_UP = 2;
/** Rows painted before other work of the process gets its turn. */
const STRIP = 128;

const compress = promisify(deflate);

/** Equal pictures give equal bytes. Rejects when `signal` fires. */
export async function paintPng(picture: Picture, signal?: AbortSignal): Promise<Buffer> {
  const rows = await paintRows(picture, signal);
  const data = await compress(rows, { level: 1 });
  return Buffer.concat([SIGNATURE, header(picture), chunk("IDAT", data), chunk("IEND", Buffer.alloc(0))]);
}

function header({ width, height }: Picture): Buffer {
  const fields = Buffer.alloc(13);
  fields.writeUInt32BE(width, 0);
  fields.writeUInt32BE(height, 4);
  fields.writeUInt8(8, 8); // bits a channel; the three bytes after the colour type stay 0
  fields.writeUInt8(2, 9); // colour type RGB
  return chunk("IHDR", fields);
}

function chunk(type: string, data: Buffer): Buffer {
  const framed = Buffer.alloc(data.length + 12);
  framed.writeUInt32BE(data.length, 0);
  framed.write(type, 4, "latin1");
  data.copy(framed, 8);
  framed.writeUInt32BE(crc32(framed.subarray(4, data.length + 8)), data.length + 8);
  return framed;
}

/** Filtered scan lines, ready to be compressed. */
async function paintRows(picture: Picture, signal: AbortSignal | undefined): Promise<Buffer> {
  const { width, height } = picture;
  const waves = wavesOf(picture);
  const stride = 1 + width * CHANNELS;
  const rows = Buffer.alloc(height * stride);
  let above = new Uint8Array(width * CHANNELS);
  let line = new Uint8Array(width * CHANNELS);
  for (let y = 0; y < height; y++) {
    if (y % STRIP === 0) await nextTurn(undefined, signal && { signal });
    paintLine(waves, y, line);
    const start = y * stride;
    rows[start] = FILTER_UP;
    for (let i = 0; i < line.length; i++) rows[start + 1 + i] = (line[i] ?? 0) - (above[i] ?? 0);
    [above, line] = [line, above];
  }
  return rows;
}

/** One channel's colour at (x, y) is across[x] + down[y] + slant[x + y]: no sine in the inner loop. */
interface Wave {
  readonly across: Int16Array;
  readonly down: Int16Array;
  readonly slant: Int16Array;
}

function paintLine(waves: readonly Wave[], y: number, line: Uint8Array): void {
  waves.forEach(({ across, down, slant }, channel) => {
    const level = down[y] ?? 0;
    for (let x = 0, i = channel; i < line.length; x++, i += CHANNELS) {
      line[i] = (across[x] ?? 0) + level + (slant[x + y] ?? 0);
    }
  });
}

function wavesOf({ width, height, prompt, seed }: Picture): readonly Wave[] {
  const bytes = createHash("sha256").update(`${seed}\n${prompt}`).digest();
  return [0, 1, 2].map((channel) => {
    const pick = (at: number): number => (bytes[channel * 6 + at] ?? 0) / 256;
    // The middle and the three heights add up to 3 and 253, so that no sum leaves a byte.
    return {
      across: sines(width, width, 0.5 + 2 * pick(0), pick(1), 128, 50),
      down: sines(height, height, 0.5 + 2 * pick(2), pick(3), 0, 45),
      slant: sines(width + height, width + height, 1 + 3 * pick(4), pick(5), 0, 30),
    };
  });
}

function sines(
  count: number,
  over: number,
  cycles: number,
  phase: number,
  middle: number,
  swing: number,
): Int16Array {
  const turn = 2 * Math.PI;
  return Int16Array.from({ length: count }, (_, i) =>
    Math.round(middle + swing * Math.sin(turn * ((i / over) * cycles + phase))),
  );
}
