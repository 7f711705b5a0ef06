// Which addresses are this machine talking to itself.

import { BlockList, isIP } from "node:net";

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8);
LOOPBACK.addAddress("::1", "ipv6");

/** Only addresses: a name may be re-pointed elsewhere, and is none. IPv4 written as IPv6 is known too. */
export function isLoopback(address: string | undefined): boolean {
  const family = isIP(address ?? "");
  return address !== undefined && family !== 0 && LOOPBACK.check(address, family === 6 ? "ipv6" : "ipv4");
}
