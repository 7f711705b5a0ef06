// Where an upstream points a client to. A client that followed it past the gateway would be served for free,
// so what leads to the same upstream is said in the gateway's own paths, and nothing else is passed on.

export interface Asked {
  readonly method: string;
  /** The upstream's own address in the policy. */
  readonly base: string;
  /** What was asked for there, with its query, below the base. */
  readonly path: string;
  /** How the client names the model in its path: "/m/flux-dev", or nothing. */
  readonly prefix: string;
}

/** As a path of the gateway; undefined where it leads anywhere else. */
export function ownLocation(location: string, { base, path, prefix }: Asked): string | undefined {
  const root = URL.parse(base);
  if (root === null) return undefined;
  const folder = root.pathname.replace(/\/$/, "");
  const to = URL.parse(location, root.origin + folder + path);
  if (to === null || to.origin !== root.origin || !to.pathname.startsWith(`${folder}/`)) return undefined;
  const below = to.pathname.slice(folder.length);
  // "//host/x" would be another host to the client, which is not where the upstream's own path began.
  return below.startsWith("//") ? undefined : prefix + below + to.search;
}

/** Headers as the client may see them: name, value, name, value. */
export function relocated(raw: readonly string[], asked: Asked): string[] {
  const headers: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const [name = "", value = ""] = [raw[at], raw[at + 1]];
    const isPlace = POINTERS.has(name.toLowerCase());
    const shown = isPlace ? ownLocation(value, asked) : value;
    if (shown !== undefined) headers.push(name, shown);
  }
  return headers;
}

const POINTERS: ReadonlySet<string> = new Set(["location", "content-location"]);
