// What one of TechOps' JSON files is, and what stands in it: the backend's configuration, the artists'
// export, the list of deployments, or the plain credentials. It never refuses: what is odd becomes a note.

import { type Deployment, type Endpoint, readDeployments, readEndpoints } from "./endpoints.ts";
import { isMapping, lineOf, named, Oddities } from "./oddities.ts";
import { Sealed } from "./sealed.ts";

/** Whose credentials TechOps store. */
export const OWNERS = ["aws", "azure", "gcp", "nvidia"] as const;
export type Owner = (typeof OWNERS)[number];

export type StoredCredentials =
  | { readonly kind: "none" }
  | { readonly kind: "encrypted"; readonly token: string }
  | { readonly kind: "plain"; readonly values: Sealed<unknown> };

export interface ConfigFile {
  readonly endpoints: readonly Endpoint[];
  readonly deployments: readonly Deployment[];
  readonly credentials: StoredCredentials;
  /** `credentials_status`: whose the file itself says it has; undefined where it does not say. */
  readonly claimed: ReadonlyMap<Owner, boolean> | undefined;
  readonly notes: readonly string[];
}

const VERSION = "1.0";
const NONE: StoredCredentials = { kind: "none" };

export function readConfig(value: unknown): ConfigFile {
  const odd = new Oddities();
  const found = read(value, odd);
  return {
    endpoints: [],
    deployments: [],
    credentials: NONE,
    claimed: undefined,
    ...found,
    notes: odd.all(),
  };
}

function read(value: unknown, odd: Oddities): Partial<ConfigFile> {
  if (Array.isArray(value)) return { deployments: readDeployments(value, odd) };
  if (!isMapping(value)) {
    odd.tell("the file is neither a mapping nor a list: nothing is read from it");
    return {};
  }
  if (isCredentialsOnly(value)) return { credentials: plain(value, odd) };
  if (value.version !== undefined && value.version !== VERSION) {
    odd.tell(`the file's version is not ${VERSION}: it is read as if it were`);
  }
  return {
    ...places(value, odd),
    credentials: storedIn(value.credentials, odd),
    claimed: claimedIn(value.credentials_status, odd),
  };
}

/** Keys of a file that has its endpoints under one of them, or none. */
const ABOUT: ReadonlySet<string> = new Set([
  ...["version", "installed_at", "generated_at", "mode", "credentials", "credentials_status"],
]);

function places(value: Readonly<Record<string, unknown>>, odd: Oddities): Partial<ConfigFile> {
  const key = ["nim_endpoints", "endpoints"].find((each) => value[each] !== undefined);
  if (key === "endpoints") odd.tell("the endpoints stand under endpoints, where nim_endpoints is usual");
  const map =
    key === undefined
      ? Object.fromEntries(Object.entries(value).filter(([each]) => !ABOUT.has(each)))
      : value[key];
  if (Array.isArray(map)) return { deployments: readDeployments(map, odd) };
  if (!isMapping(map)) {
    odd.tell(`${key} is no mapping: no endpoint is read`);
    return {};
  }
  if (key === undefined && Object.keys(map).length > 0)
    odd.tell("there is no nim_endpoints: the whole file is read as that mapping");
  return { endpoints: readEndpoints(map, odd) };
}

/** `{"aws": {"Access Key ID": …}}`: export.py --credentials writes that. */
function isCredentialsOnly(value: Readonly<Record<string, unknown>>): boolean {
  const entries = Object.entries(value);
  return (
    entries.length > 0 &&
    entries.every(
      ([key, inner]) =>
        OWNERS.includes(key as Owner) &&
        isMapping(inner) &&
        Object.values(inner).every((each) => typeof each === "string"),
    )
  );
}

function storedIn(stored: unknown, odd: Oddities): StoredCredentials {
  if (stored === undefined || stored === null) return NONE;
  if (!isMapping(stored)) {
    odd.tell("credentials is no mapping: none are read");
    return NONE;
  }
  const { encrypted, encrypted_data, encryption_method } = stored;
  if (encrypted !== true && typeof encrypted_data !== "string")
    return plain(stored.credentials ?? stored, odd);
  if (encryption_method !== undefined && encryption_method !== "Fernet") {
    odd.tell("the credentials say that they are not encrypted by Fernet: tried as if they were");
  }
  if (typeof encrypted_data === "string") return { kind: "encrypted", token: encrypted_data };
  odd.tell("the credentials say that they are encrypted, and encrypted_data is missing");
  return { kind: "encrypted", token: "" };
}

function plain(values: unknown, odd: Oddities): StoredCredentials {
  if (!isMapping(values)) {
    odd.tell("the credentials are no mapping: none are read");
    return NONE;
  }
  odd.tell(
    "the credentials stand in the file unencrypted: whoever can read it has them; install them again with " +
      "install_credentials.py --studio-key",
  );
  return { kind: "plain", values: new Sealed(values) };
}

function claimedIn(value: unknown, odd: Oddities): ReadonlyMap<Owner, boolean> | undefined {
  if (!isMapping(value)) return undefined;
  const claimed = new Map<Owner, boolean>();
  for (const [key, has] of Object.entries(value)) {
    const owner = OWNERS.find((each) => each === key);
    if (owner === undefined) odd.tell(`credentials_status names ${named(key)}, which is nobody known`);
    else claimed.set(owner, has === true || lineOf(has)?.toLowerCase() === "true");
  }
  return claimed;
}
