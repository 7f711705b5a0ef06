// Reads a PNG as strictly as its specification allows: signature, order and CRC of the chunks, header, and
// the exact length of the pixels. Throws with a sentence on anything else than 8-bit RGB without interlace.

import { crc32, inflateSync } from "node:zlib";

export interface Png {
  readonly width: number;
  readonly height: number;
  /** Unfiltered, three bytes a pixel, row by row. */
  readonly pixels: Buffer;
}

interface Chunk {
  readonly type: string;
  readonly data: Buffer;
}

export function readPng(bytes: Buffer): Png {
  demand(bytes.toString("latin1", 0, 8) === "\x89PNG\r\n\x1a\n", "the signature is wrong");
  const chunks = [...chunksOf(bytes)];
  const order = chunks.map(({ type }) => type).join(" ");
  demand(/^IHDR( IDAT)+ IEND$/.test(order), `the chunks are ${order}`);
  const header = chunks[0]?.data ?? Buffer.alloc(0);
  demand(header.length === 13, "IHDR is not 13 bytes long");
  demand(header.toString("hex", 8) === "0802000000", "not 8-bit RGB without interlace");
  const width = header.readUInt32BE(0);
  const height = header.readUInt32BE(4);
  const lines = inflateSync(Buffer.concat(chunks.slice(1, -1).map(({ data }) => data)));
  demand(lines.length === height * (1 + width * 3), `${lines.length} bytes for ${width}x${height}`);
  return { width, height, pixels: unfilter(lines, 1 + width * 3) };
}

function* chunksOf(bytes: Buffer): Iterable<Chunk> {
  let at = 8;
  while (at < bytes.length) {
    const length = bytes.readUInt32BE(at);
    const end = at + 8 + length;
    demand(end + 4 <= bytes.length, "a chunk is cut off");
    demand(bytes.readUInt32BE(end) === crc32(bytes.subarray(at + 4, end)), "a chunk's CRC is wrong");
    yield { type: bytes.toString("latin1", at + 4, at + 8), data: bytes.subarray(at + 8, end) };
    at = end + 4;
  }
}

/** Only for the filters "none" and "up". */
function unfilter(lines: Buffer, stride: number): Buffer {
  const pixels = Buffer.alloc((lines.length / stride) * (stride - 1));
  for (let row = 0; row * stride < lines.length; row++) {
    const filter = lines[row * stride];
    demand(filter === 0 || filter === 2, `row ${row} has filter ${filter}`);
    for (let i = 0; i < stride - 1; i++) {
      const at = row * (stride - 1) + i;
      const above = filter === 2 && row > 0 ? (pixels[at - stride + 1] ?? 0) : 0;
      pixels[at] = (lines[row * stride + 1 + i] ?? 0) + above;
    }
  }
  return pixels;
}

function demand(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(`not a valid PNG: ${otherwise}`);
}
