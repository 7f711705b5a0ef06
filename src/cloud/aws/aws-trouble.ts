// What AWS says went wrong, in words that say what to do next. AWS' own texts name accounts and users: those
// are left out.

import { Trouble, type TroubleKind } from "../adapter.ts";

const LOGIN = "providers.aws.credentials";
/** Of AWS' own words. */
const MOST_WORDS = 300;

/** No order of AWS' comes to nothing later. */
type AwsKind = Exclude<TroubleKind, "operation_failed">;

const KINDS: readonly (readonly [RegExp, AwsKind])[] = [
  [/^(Expired|RequestExpired)/, "unauthenticated"],
  [/UnrecognizedClient|InvalidClientTokenId|SignatureDoesNotMatch|InvalidSignature/, "unauthenticated"],
  [/AuthFailure|MissingAuthenticationToken|IncompleteSignature|InvalidAccessKeyId/, "unauthenticated"],
  [/CredentialsProviderError|TokenProviderError/, "unauthenticated"],
  [/AccessDenied|UnauthorizedOperation|NotAuthorized|OptInRequired/, "denied"],
  [/Throttl|TooManyRequests|RequestLimitExceeded|ScalingActivityInProgress/, "throttled"],
  [/NotFound|ServiceNotActive/, "not_found"],
  [/^TimeoutError$|ETIMEDOUT/, "timeout"],
];

/** `action`: what was asked, as a policy of IAM calls it. */
export function awsTrouble(error: unknown, action: string, region: string): Trouble {
  if (error instanceof Trouble) return error;
  const name = error instanceof Error ? error.name : "";
  const code = (error as { code?: unknown } | undefined)?.code;
  const status = (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata;
  // AWS' client calls a connection that broke a time-out, too.
  const isBroken = code === "ECONNRESET" || code === "EPIPE";
  const label = name === "Error" || name === "" || isBroken ? String(code ?? "") : name;
  if (label === "ENOTFOUND" || label === "EAI_AGAIN") {
    const cure = `is ${region} a region of AWS, and is this machine online?`;
    return new Trouble(
      "unreachable",
      `no address of AWS is found for ${action} in ${region}: ${cure}`,
      error,
    );
  }
  if ((status?.httpStatusCode ?? 0) >= 500 && !/RequestLimit|Throttl/.test(label)) {
    const text = `AWS could not answer ${action} (status ${status?.httpStatusCode}): it is asked again`;
    return new Trouble("unreachable", text, error);
  }
  const kind = KINDS.find(([pattern]) => pattern.test(label))?.[1];
  if (kind !== undefined) return new Trouble(kind, CURES[kind](label, action, region, error), error);
  if (isConnection(label))
    return new Trouble("unreachable", `AWS cannot be reached for ${action} (${label})`, error);
  return new Trouble("failed", `${action}: ${wordsOf(error)}`, error);
}

const CURES: Readonly<
  Record<AwsKind, (name: string, action: string, region: string, error: unknown) => string>
> = {
  unauthenticated: (name, action) => {
    if (/^CredentialsProviderError|^TokenProviderError/.test(name)) {
      const forms = "{ profile: NAME }, { env | file | credential: KEY_ID:SECRET } or { techops: true }";
      return `no credentials of AWS were found: write ${LOGIN}: ${forms}`;
    }
    if (/Expired/.test(name))
      return `the credentials of AWS have expired (${action}): log in again, or renew what ${LOGIN} names`;
    return `AWS does not know the credentials (${name} of ${action}): renew what ${LOGIN} names`;
  },
  denied: (_name, action) =>
    `the credentials of AWS may not do ${action}: add it to their IAM policy (docs/clouds.md has it whole)`,
  throttled: (name, action) => `AWS is asked too often (${name} of ${action}): it is asked again later`,
  not_found: (_name, action, region, error) =>
    `AWS knows no such thing in ${region} (${action}): ${wordsOf(error)}`,
  timeout: (_name, action) => `AWS did not answer ${action} in time: it is asked again`,
  unreachable: (name, action) => `AWS cannot be reached for ${action} (${name})`,
  failed: (_name, action, _region, error) => `${action}: ${wordsOf(error)}`,
};

function isConnection(label: string): boolean {
  return /^(E[A-Z]{4,}|UND_ERR_\w+|CERT_\w+|.*(CERT|SELF_SIGNED).*)$/.test(label);
}

function wordsOf(error: unknown): string {
  const said = error instanceof Error ? (error.message.split("\n", 1)[0] ?? "") : String(error);
  return said
    .replace(/\barn:aws[\w-]*:[^\s,]*/g, "…")
    .replace(/\b\d{12}\b/g, "…")
    .slice(0, MOST_WORDS);
}
