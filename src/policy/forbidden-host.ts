// Where no upstream may be: the addresses by which clouds hand out their own credentials to whoever asks from
// inside, the link-local ones around them, and "any address", which is no place. A name in a policy and an
// address that a name resolved to are asked about alike. The machine's own and private networks are allowed:
// that is where containers run.

/** Why nothing may be sent to `host`, a name or an address as URL.hostname or a resolver writes it. */
export function whyForbidden(host: string): string | undefined {
  const name = host
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "");
  if (METADATA_NAMES.has(name)) return CREDENTIALS;
  if (IPV4.test(name)) return whyForbidden4(name);
  return name.includes(":") ? whyForbidden6(name) : undefined;
}

const CREDENTIALS = "there a cloud hands out its own credentials";
const LINK_LOCAL = "that is a link-local address, where clouds hand out their own credentials";
const NO_PLACE = "that means any address, and is no place";

const METADATA_NAMES: ReadonlySet<string> = new Set([
  "metadata",
  "metadata.google.internal",
  "metadata.goog",
  "instance-data",
  "instance-data.ec2.internal",
]);

/** Outside of link-local: Alibaba's, Azure's WireServer, Oracle's. */
const METADATA_ADDRESSES: ReadonlySet<string> = new Set(["100.100.100.200", "168.63.129.16", "192.0.0.192"]);

/** AWS's fd00:ec2::254 and, for pods, fd00:ec2::23; Google's fd20:ce::254. */
const METADATA_GROUPS: ReadonlySet<string> = new Set([
  "fd00:ec2:0:0:0:0:0:254",
  "fd00:ec2:0:0:0:0:0:23",
  "fd20:ce:0:0:0:0:0:254",
]);

const IPV4 = /^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}$/;

function whyForbidden4(address: string): string | undefined {
  if (address.startsWith("169.254.")) return LINK_LOCAL;
  if (address.startsWith("0.")) return NO_PLACE;
  return METADATA_ADDRESSES.has(address) ? CREDENTIALS : undefined;
}

function whyForbidden6(address: string): string | undefined {
  const groups = groupsOf(address);
  // What cannot be read is not known to be harmless.
  if (groups === undefined) return "that is no address that can be read";
  const [first = 0] = groups;
  if (first >= 0xfe80 && first <= 0xfebf) return LINK_LOCAL;
  if (METADATA_GROUPS.has(groups.map((group) => group.toString(16)).join(":"))) return CREDENTIALS;
  if (groups.every((group) => group === 0)) return NO_PLACE;
  const inside = embedded(groups);
  return inside === undefined ? undefined : whyForbidden4(inside);
}

/** The IPv4 address that an IPv6 one leads to: mapped, compatible, translated (NAT64) or tunnelled (6to4). */
function embedded(groups: readonly number[]): string | undefined {
  const [first, second, third] = groups;
  const starts = (...head: readonly number[]) => head.every((group, at) => groups[at] === group);
  if (first === 0x2002) return dotted(second, third);
  const isTail =
    starts(0, 0, 0, 0, 0, 0xffff) ||
    starts(0, 0, 0, 0, 0xffff, 0) ||
    starts(0x64, 0xff9b) ||
    // ::1 is the machine itself and embeds nothing.
    (starts(0, 0, 0, 0, 0, 0) && groups[6] !== 0);
  return isTail ? dotted(groups[6], groups[7]) : undefined;
}

function dotted(high = 0, low = 0): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

/** Eight numbers. The URL parser knows all ways to write them; a zone ("%eth0") only says where to go out. */
function groupsOf(address: string): readonly number[] | undefined {
  const [bare = ""] = address.split("%", 1);
  const parsed = URL.parse(`http://[${bare}]/`);
  if (parsed === null) return undefined;
  const [head = "", tail] = parsed.hostname.slice(1, -1).split("::");
  const numbers = (text: string) =>
    text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
  const [left, right] = [numbers(head), numbers(tail ?? "")];
  const gap = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array<number>(gap).fill(0), ...right];
}
