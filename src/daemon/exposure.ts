// Whether the gateway can be reached from other machines, and what it takes to be allowed to (DESIGN §11: off
// loopback it wants client tokens, and TLS of its own or of a server in front).

import { isLoopbackAddress } from "../policy/schema/addresses.ts";
import type { ListenTarget } from "../proxy/listen-address.ts";
import { Certificate, type CertificateLog } from "./certificate.ts";
import { readCertificate } from "./certificate-files.ts";

export interface ExposureOptions {
  readonly behindProxy?: boolean;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

export type Exposure =
  /** `certificate` is that of every address off loopback; loopback ones speak plain http. */
  | { readonly kind: "allowed"; readonly certificate: Certificate | undefined }
  | { readonly kind: "refused"; readonly why: string };

export function checkExposure(
  { behindProxy, tlsCert, tlsKey }: ExposureOptions,
  places: readonly Pick<ListenTarget, "hosts">[],
  log: CertificateLog,
): Exposure {
  const exposed = isExposed(places);
  if (tlsCert === undefined && tlsKey === undefined) {
    if (exposed && behindProxy !== true) return { kind: "refused", why: NEEDS_TLS };
    return { kind: "allowed", certificate: undefined };
  }
  if (tlsCert === undefined || tlsKey === undefined) {
    const [given, missing] = tlsKey === undefined ? ["cert", "key"] : ["key", "cert"];
    return { kind: "refused", why: `--tls-${given} needs --tls-${missing} beside it: name both files` };
  }
  const files = { certPath: tlsCert, keyPath: tlsKey };
  const read = readCertificate(files, Date.now());
  if (read.kind === "refused") return read;
  if (!exposed)
    log.warn("--tls-cert serves nobody: every address is this machine's own, and those speak http");
  return { kind: "allowed", certificate: new Certificate(files, read, log) };
}

/** Where one of the hosts is no loopback address, other machines can come in. */
function isExposed(places: readonly Pick<ListenTarget, "hosts">[]): boolean {
  return places.some(({ hosts }) => !hosts.every(isLoopbackAddress));
}

const NEEDS_TLS =
  "listening off loopback needs TLS and client tokens: give --tls-cert and --tls-key, or put nginx in " +
  "front and start with --behind-proxy (BUDGETGUARD_BEHIND_PROXY=1), either with `identity: token` in the " +
  "policy; or listen on localhost";

export const TRUSTS_THE_PROXY =
  "--behind-proxy with `identity: trusted`: whoever the server in front lets in may spend in anybody's " +
  "name, unless it sets X-BudgetGuard-User itself; see docs/behind-nginx.md";
