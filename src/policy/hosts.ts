// By which names this machine may be called, and which browser pages may call it. Exact, never by suffix:
// a page whose own name was re-pointed at 127.0.0.1 still sends that name.

export interface AllowedHosts {
  /** Ports that the loopback names, and names of the policy without a port, may be followed by. */
  readonly ports: readonly number[];
  /** Further names of the policy, with or without a port. */
  readonly hosts: readonly string[];
}

export interface AllowedOrigins extends AllowedHosts {
  /** Further origins of the policy: "https://studio.example". */
  readonly origins: readonly string[];
}

const LOOPBACK_NAMES: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];
/** What a Host value without a port stands for. */
const DEFAULT_PORTS: readonly number[] = [80, 443];
const HOST = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?$/;
const ORIGIN = /^https?:\/\/([^/?#@]+)$/;

/** `host` as the request says it: "localhost:7070". Undefined, empty and odd ones are not allowed. */
export function isAllowedHost(host: string | undefined, allowed: AllowedHosts): boolean {
  const match = HOST.exec((host ?? "").toLowerCase());
  const [whole, name, digits] = match ?? [];
  if (whole === undefined || name === undefined) return false;
  const port = digits === undefined ? undefined : Number(digits);
  if (LOOPBACK_NAMES.includes(name)) return isOwnPort(port, allowed.ports);
  if (allowed.hosts.some((each) => each.toLowerCase() === whole)) return true;
  const isNamed = allowed.hosts.some((each) => each.toLowerCase() === name);
  return isNamed && port !== undefined && allowed.ports.includes(port);
}

/** A loopback name without a port is meant only where the gateway itself listens on a default port. */
function isOwnPort(port: number | undefined, ports: readonly number[]): boolean {
  return port === undefined ? DEFAULT_PORTS.some((each) => ports.includes(each)) : ports.includes(port);
}

/** Whether a page of `origin` may call. "null" and everything that is not scheme://host[:port] may not. */
export function isAllowedOrigin(origin: string, allowed: AllowedOrigins): boolean {
  if (listedOrigin(origin, allowed.origins) !== undefined) return true;
  return isAllowedHost(ORIGIN.exec(origin.toLowerCase())?.[1], allowed);
}

/** The origin as the policy writes it, where it lists exactly this one: what a browser may be told. */
export function listedOrigin(origin: string | undefined, origins: readonly string[]): string | undefined {
  const given = origin?.toLowerCase();
  return given === "null" ? undefined : origins.find((each) => each.toLowerCase() === given);
}
