// The gateway's own request ids: "r-" and a UUIDv7 without dashes, so that they sort by time.

import { randomFillSync } from "node:crypto";

/** RFC 9562 §5.7: 48 bits of milliseconds, then the version, the variant and 74 random bits. */
export function newTaskId(nowMs: number = Date.now(), random: Uint8Array = nextRandom()): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes.set(random, 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return `r-${bytes.toString("hex")}`;
}

/** Asking the system for every id took a twentieth of the main thread; no byte is used twice. */
const pool = Buffer.alloc(10 * 512);
let used = pool.length;

function nextRandom(): Uint8Array {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += 10;
  return pool.subarray(used - 10, used);
}
