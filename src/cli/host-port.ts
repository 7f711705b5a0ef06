// An address on the command line, where nothing else than HOST:PORT will do.

import type { SaidAddress } from "./default-paths.ts";
import { UsageError } from "./exit-code.ts";

interface HostPort {
  /** "localhost" is both loopback addresses. */
  readonly hosts: readonly string[];
  readonly port: number;
}

/** Throws a UsageError that names the option, or the variable. */
export function hostPort({ address, by }: SaidAddress): HostPort {
  const [, six, name, digits] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/\s]+)):(\d{1,5})$/i.exec(address) ?? [];
  const host = six ?? name;
  const port = Number(digits);
  if (host === undefined || port > 65_535) {
    throw new UsageError(`${by} ${address} is no address: write HOST:PORT, such as localhost:7070`);
  }
  return { hosts: host.toLowerCase() === "localhost" ? ["127.0.0.1", "::1"] : [host], port };
}
