// What a source of prices is asked with: the policy's access to it, the secrets that this names, and regions.

import type { PriceAsk } from "../cloud/prices/price-source.ts";
import type { RateCard } from "../metering/rate-card.ts";
import type { Policy, SecretRef } from "../policy/policy.ts";
import type { PriceSourceName } from "../policy/settings.ts";

/** A source is read within this, or not at all this time. */
const TIMEOUT_MS = 5 * 60_000;
/** As long as others wait when Azure turns them away. */
const PAUSE_MS = 3000;

export type Access =
  | { readonly kind: "ask"; readonly ask: PriceAsk }
  | { readonly kind: "missing"; readonly why: string };

export function accessTo(
  source: PriceSourceName,
  policy: Policy,
  shipped: RateCard,
  secretOf: (ref: SecretRef) => string | undefined,
  asOf: string,
  /** TechOps' credentials of AWS, as such a secret. */
  techopsLogin: () => string | undefined,
): Access {
  const access = policy.prices?.access.get(source);
  const own = { source, asOf, endpoint: access?.endpoint, timeoutMs: TIMEOUT_MS, pauseMs: PAUSE_MS };
  const asked = { ...own, regions: access?.regions ?? regionsOf(source, policy, shipped) };
  if (source === "aws") {
    const login = policy.providers?.get("aws")?.credentials;
    if (login === undefined) return { kind: "ask", ask: { ...asked, key: undefined, profile: undefined } };
    if (login.kind === "profile") {
      return { kind: "ask", ask: { ...asked, key: undefined, profile: login.name } };
    }
    if (login.kind === "techops") {
      const key = techopsLogin();
      if (key !== undefined) return { kind: "ask", ask: { ...asked, key, profile: undefined } };
      return { kind: "missing", why: "TechOps have installed no credentials of AWS that can be used" };
    }
    return withKey(asked, login, secretOf);
  }
  return access?.key === undefined
    ? { kind: "ask", ask: { ...asked, key: undefined, profile: undefined } }
    : withKey(asked, access.key, secretOf);
}

function withKey(
  asked: Omit<PriceAsk, "key" | "profile">,
  ref: SecretRef,
  secretOf: (ref: SecretRef) => string | undefined,
): Access {
  const key = secretOf(ref);
  if (key === undefined) return { kind: "missing", why: "its key cannot be read: the log says why" };
  return { kind: "ask", ask: { ...asked, key, profile: undefined } };
}

/** Those of the shipped list, and those whose machines the policy is charged by. */
function regionsOf(source: PriceSourceName, policy: Policy, shipped: RateCard): readonly string[] {
  const used = [...policy.upstreams.values()].map(({ price }) =>
    "rate" in price.source ? price.source.rate : "",
  );
  const found = [...shipped.keys(), ...used].flatMap((key) => {
    const [provider, region, type] = key.split("/");
    return provider === source && region !== undefined && type !== undefined ? [region] : [];
  });
  return [...new Set(found)];
}
