// Which of TechOps' credentials there are and whether they could be true: a status for each cloud, the one
// line that artists know from TechOps' own windows, and the credentials themselves, sealed.

import { type ConfigFile, OWNERS, type Owner, type StoredCredentials } from "./config-file.ts";
import { type CredentialsOf, parseCredentials } from "./credentials.ts";
import { DEFAULT_STUDIO_KEY, type Opened, openToken } from "./fernet.ts";
import { Sealed } from "./sealed.ts";

/**
 * `found`: complete, and looks like the real thing. `invalid`: there, and cannot be used. `test`: what
 * TechOps' tools write to be tried out. `missing`: there is none.
 */
export type CredentialStatus = "found" | "invalid" | "test" | "missing";

export interface OwnerStatus {
  readonly status: CredentialStatus;
  /** What is wrong and what to do; never a value. Undefined where nothing is. */
  readonly why: string | undefined;
}

export interface Banner {
  readonly text: string;
  readonly level: "green" | "yellow";
}

const FOUND: Banner = { text: "✓ Server Credentials Found", level: "green" };
const NOT_FOUND: Banner = {
  text: "⚠ Server Credentials Not Found - call your TechOps technician",
  level: "yellow",
};

type SealedOf = { readonly [O in Owner]?: Sealed<CredentialsOf[O]> };

export interface CredentialReport {
  readonly status: Readonly<Record<Owner, OwnerStatus>>;
  /** Of `found` and `test`: what a test's credentials are worth is for whoever is shown them to say. */
  readonly credentials: SealedOf;
  readonly notes: readonly string[];
}

export function bannerOf(status: CredentialReport["status"]): Banner {
  return OWNERS.some((owner) => status[owner].status === "found") ? FOUND : NOT_FOUND;
}

/** The same of everybody, such as for a file that is not there. */
export function allAre(status: CredentialStatus, why: string | undefined): CredentialReport {
  const one = { status, why };
  return { status: { aws: one, azure: one, gcp: one, nvidia: one }, credentials: {}, notes: [] };
}

export interface Judging {
  readonly studioKey: Sealed<string>;
  /** Whether a file is on this machine: of Google's credentials TechOps store only the path. */
  exists(path: string): boolean;
}

export async function judgeCredentials(file: ConfigFile, judging: Judging): Promise<CredentialReport> {
  const opened = await open(file.credentials, judging.studioKey);
  if (opened.kind === "none") return allAre("missing", undefined);
  if (opened.kind === "refused") return unopened(file, opened.why);
  const status = { ...allAre("missing", undefined).status };
  const credentials: { -readonly [O in Owner]?: Sealed<CredentialsOf[Owner]> } = {};
  for (const owner of OWNERS) {
    const { sealed, ...judged } = judge(opened.values.open(), owner, judging);
    status[owner] = judged;
    if (sealed !== undefined) credentials[owner] = sealed;
  }
  const isOpenToAll =
    file.credentials.kind === "encrypted" && judging.studioKey.open() === DEFAULT_STUDIO_KEY;
  return { status, credentials: credentials as SealedOf, notes: isOpenToAll ? [EVERYBODYS_KEY] : [] };
}

const EVERYBODYS_KEY =
  "the credentials open with TechOps' default key, which everybody knows: install them again with " +
  "install_credentials.py --studio-key, and name that key (techops.studio_key)";

type Read =
  | { readonly kind: "none" }
  | { readonly kind: "values"; readonly values: Sealed<unknown> }
  | { readonly kind: "refused"; readonly why: string };

async function open(stored: StoredCredentials, key: Sealed<string>): Promise<Read> {
  if (stored.kind === "none") return stored;
  if (stored.kind === "plain") return { kind: "values", values: stored.values };
  const opened = await openToken(stored.token, key.open());
  if (opened.kind !== "opened") return { kind: "refused", why: WHY[opened.kind] };
  try {
    return { kind: "values", values: new Sealed<unknown>(JSON.parse(opened.text.open())) };
  } catch {
    // The parser's own words quote the text.
    return { kind: "refused", why: WHY.broken };
  }
}

const WHY: Readonly<Record<Exclude<Opened["kind"], "opened">, string>> = {
  broken: "what is encrypted in the file is damaged or cut short: run install_credentials.py again",
  not_this_key:
    "the studio key does not open them: name the one that they were installed with (techops.studio_key, or " +
    "--studio-key-file), or run install_credentials.py again",
};

/** Whose they are, only the file's own word tells. */
function unopened({ claimed }: ConfigFile, why: string): CredentialReport {
  const invalid = { status: "invalid", why } as const;
  const missing = { status: "missing", why: undefined } as const;
  const of = (owner: Owner) => (claimed?.get(owner) === false ? missing : invalid);
  const status = { aws: of("aws"), azure: of("azure"), gcp: of("gcp"), nvidia: of("nvidia") };
  return { status, credentials: {}, notes: [`credentials: ${why}`] };
}

interface Judged extends OwnerStatus {
  readonly sealed?: Sealed<CredentialsOf[Owner]>;
}

function judge(all: unknown, owner: Owner, { exists }: Judging): Judged {
  const parsed = parseCredentials(all, owner);
  if (parsed.kind === "missing") return { status: "missing", why: undefined };
  const cure = "give it in TechOps and run install_credentials.py again";
  if (parsed.kind === "incomplete") {
    return { status: "invalid", why: `without ${parsed.lacking.join(" and ")}: ${cure}` };
  }
  const sealed = new Sealed<CredentialsOf[Owner]>(parsed.values);
  if (parsed.isDummy) {
    return { status: "test", why: "a test's, as the tools make them: no cloud will take them", sealed };
  }
  if (parsed.doubtful.length > 0) {
    return { status: "invalid", why: `${parsed.doubtful.join(" and ")}: does not look like one; ${cure}` };
  }
  const { values } = parsed;
  if ("keyFile" in values && !exists(values.keyFile)) {
    const how = "copy it here to the same path, or write providers.gcp.credentials: { file: PATH }";
    return { status: "invalid", why: `the service account's file is not on this machine: ${how}` };
  }
  return { status: "found", why: undefined, sealed };
}
