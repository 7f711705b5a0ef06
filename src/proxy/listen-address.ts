// How an address to listen on is written, and what it means when one cannot be had.

export interface ListenTarget {
  /** In the order in which they are opened. */
  readonly hosts: readonly string[];
  /** 0: any that is free. */
  readonly port: number;
}

/** Undefined where it is not HOST:PORT. `localhost` is both loopback addresses: clients try either first. */
export function parseAddress(address: string): ListenTarget | undefined {
  const [, six, name, digits] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/\s]+)):(\d{1,5})$/i.exec(address) ?? [];
  const port = Number(digits);
  const host = six ?? name;
  if (host === undefined || !(port <= 65_535)) return undefined;
  return { hosts: host.toLowerCase() === "localhost" ? ["127.0.0.1", "::1"] : [host], port };
}

/** The machine does not have this address at all, as many have no IPv6. */
export function isAbsentAddress(error: Error): boolean {
  return codeOf(error) === "EADDRNOTAVAIL" || codeOf(error) === "EAFNOSUPPORT";
}

/** `other` says how another address is chosen: "choose another with …". */
export function explainListenError(error: Error, host: string, port: number, other: string): string {
  const where = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  switch (codeOf(error)) {
    case "EADDRINUSE":
      return `${where} is taken by another program: end it, or ${other}`;
    case "EACCES":
      return `${where} may not be opened by this user: ${other}, from 1024 on`;
    case "EADDRNOTAVAIL":
    case "EAFNOSUPPORT":
      return `${where} is not an address of this machine: ${other}`;
    default:
      return `${where} cannot be listened on: ${error.message}`;
  }
}

function codeOf(error: Error): string | undefined {
  return "code" in error && typeof error.code === "string" ? error.code : undefined;
}
