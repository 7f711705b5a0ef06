// The gateway's own request ids: "r-" and a UUIDv7 without dashes, so that they sort by time.

import { randomBytes } from "node:crypto";

/** RFC 9562 §5.7: 48 bits of milliseconds, then the version, the variant and 74 random bits. */
export function newTaskId(nowMs: number = Date.now(), random: Uint8Array = randomBytes(10)): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes.set(random, 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return `r-${bytes.toString("hex")}`;
}
