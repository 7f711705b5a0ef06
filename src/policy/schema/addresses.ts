// Where things are reached: URLs, Host names, browser origins. Addresses that hand out a cloud's own
// credentials (link-local and metadata) are refused wherever one is written.

import { whyForbidden } from "../forbidden-host.ts";
import { scalar, TEXT_TYPE, textOf } from "./scalar.ts";

/** Of the text itself: URL parsers forgive blanks and missing slashes, editors do not. */
const HTTP = "^[Hh][Tt][Tt][Pp][Ss]?://\\S+$";

/** Origin and path, without a trailing slash. Never shown in an error: it may carry a token. */
export function url() {
  return scalar<string>({
    what: "an address that may be used",
    write:
      "http:// or https://, a host and a path, without user, password, query or fragment; no link-local, " +
      "metadata or any-address (0.0.0.0)",
    json: { type: "string", pattern: HTTP },
    quiet: true,
    read: (raw) => {
      const text = textOf(raw) ?? "";
      const parsed = new RegExp(HTTP).test(text) ? URL.parse(text) : null;
      if (!parsed || whyForbidden(parsed.hostname) !== undefined) return undefined;
      if (parsed.username || parsed.password || parsed.search || parsed.hash) return undefined;
      return parsed.origin + parsed.pathname.replace(/\/+$/, "");
    },
    suggest: whyNotThere,
  });
}

/** Which rule it was: of the value itself nothing is shown. */
function whyNotThere(raw: unknown): string | undefined {
  const why = whyForbidden(URL.parse(textOf(raw) ?? "")?.hostname ?? "");
  return why === undefined ? undefined : ` (${why})`;
}

const DISCOVERED = "discovered";

/** An address, or the word that leaves it to the container's provider (undefined in the policy). */
export function urlOrDiscovered() {
  const address = url();
  return scalar<string>({
    what: "an address that may be used",
    write:
      "http:// or https://, a host and a path (no user, password, query; no link-local, metadata or " +
      "any-address), or discovered",
    json: { type: "string", pattern: `${HTTP}|^${DISCOVERED}$` },
    quiet: true,
    read: (raw) => (raw === DISCOVERED ? DISCOVERED : address.safeParse(raw).data),
    suggest: whyNotThere,
  }).transform((value) => (value === DISCOVERED ? undefined : value));
}

export function host() {
  return scalar<string>({
    what: "a host",
    write: "a name or address, with :port where it is not the default, such as gateway.studio.lan:7070",
    json: { type: TEXT_TYPE },
    read: (raw) => {
      const text = (textOf(raw) ?? "").toLowerCase();
      const sound = /^([a-z0-9_]([a-z0-9._-]{0,251})|\[[0-9a-f:.]+\])(:\d{1,5})?$/.test(text);
      return sound && URL.canParse(`http://${text}/`) ? text : undefined;
    },
    suggest: (raw) =>
      Number(/:(\d+)$/.exec(textOf(raw) ?? "")?.[1]) > 65_535 ? " (a port is at most 65535)" : undefined,
  });
}

export function origin() {
  return scalar<string>({
    what: "a browser origin",
    write: "http:// or https:// and a host, without a path, such as https://studio.example",
    json: { type: "string", pattern: "^[Hh][Tt][Tt][Pp][Ss]?://[^/]+$" },
    read: (raw) => {
      const text = (textOf(raw) ?? "").toLowerCase();
      const parsed = URL.parse(text);
      return parsed && /^https?:$/.test(parsed.protocol) && parsed.origin === text ? text : undefined;
    },
  });
}

/** Whether only this machine can come in at an address that is listened on. A name may be re-pointed. */
export function isLoopbackAddress(address: string): boolean {
  const parsed = URL.parse(`http://${address.includes(":") ? `[${address}]` : address}/`);
  const bare = bareHost(parsed?.hostname ?? "");
  return /^127\.\d+\.\d+\.\d+$/.test(bare) || bare === "[::1]";
}

/** Whether the machine itself is meant: localhost, 127.0.0.0/8, ::1, and "any address". */
export function isLoopback(hostname: string): boolean {
  const bare = bareHost(hostname);
  if (bare === "localhost" || bare.endsWith(".localhost")) return true;
  return /^127\.\d+\.\d+\.\d+$/.test(bare) || ["0.0.0.0", "[::]", "[::1]"].includes(bare);
}

/** Without the final dot, and with IPv4 inside IPv6 written as IPv4 (the URL parser leaves ::ffff:7f00:1). */
function bareHost(hostname: string): string {
  const name = hostname.replace(/\.$/, "");
  const [, high, low] = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/.exec(name) ?? [];
  if (high === undefined || low === undefined) return name;
  const [h, l] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [h >> 8, h & 255, l >> 8, l & 255].join(".");
}

export function portOf(address: URL): number {
  return Number(address.port || (address.protocol === "https:" ? 443 : 80));
}
