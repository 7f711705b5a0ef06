// Reads the certificate and the key of TLS listeners and says what is wrong with them in a sentence: before a
// server starts with them, and before a renewed pair takes the place of one that works.

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { createSecureContext } from "node:tls";

export interface CertificateFiles {
  /** PEM: the server's own certificate first, then those that vouch for it. */
  readonly certPath: string;
  readonly keyPath: string;
}

export type ReadCertificate =
  | { readonly kind: "read"; readonly pem: Pem /** Milliseconds since 1970. */; readonly expires: number }
  | { readonly kind: "refused"; readonly why: string };

export interface Pem {
  readonly cert: string;
  readonly key: string;
}

/** Bytes; a chain of certificates is never longer. */
const LONGEST = 256 * 1024;

/** `now` in milliseconds since 1970, by the wall: that is what certificates go by. */
export function readCertificate({ certPath, keyPath }: CertificateFiles, now: number): ReadCertificate {
  const cert = readText(certPath, "certificate", "anybody");
  if (cert.kind === "refused") return cert;
  const key = readText(keyPath, "TLS key", "its owner");
  if (key.kind === "refused") return key;
  const parsed = parse(() => new X509Certificate(cert.text));
  if (parsed === undefined) {
    return refused(`${certPath} holds no certificate: name a PEM file with --tls-cert, its chain behind it`);
  }
  const secret = readKey(key.text, keyPath);
  if ("kind" in secret) return secret;
  if (!parsed.checkPrivateKey(secret.key)) {
    const cure = "name the two that were issued together with --tls-cert and --tls-key";
    return refused(`the certificate ${certPath} is not that of the key ${keyPath}: ${cure}`);
  }
  const [begins, expires] = [Date.parse(parsed.validFrom), Date.parse(parsed.validTo)];
  if (expires <= now) return refused(`the certificate ${certPath} expired ${day(expires)}: renew it`);
  if (begins > now) {
    return refused(`the certificate ${certPath} is valid from ${day(begins)} on: wait, or set the clock`);
  }
  const pem = { cert: cert.text, key: key.text };
  try {
    createSecureContext(pem);
  } catch (error) {
    return refused(`the certificate ${certPath} cannot be used (${messageOf(error)}): have it issued anew`);
  }
  return { kind: "read", pem, expires };
}

type Text = { readonly kind: "text"; readonly text: string } | Refused;
type Refused = Extract<ReadCertificate, { kind: "refused" }>;

/** Links are followed: certbot and Kubernetes renew by swapping one. */
function readText(path: string, what: string, readers: "anybody" | "its owner"): Text {
  let file: number | undefined;
  try {
    // Without blocking: a pipe in its place would hold up the start for ever.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stat = fstatSync(file);
    if (!stat.isFile() || stat.size > LONGEST) return refused(`the ${what} ${path} is no file of a PEM`);
    if (readers === "its owner" && isOpenToOthers(stat.mode, path)) {
      return refused(`others can read or write the ${what} ${path}: chmod 600 ${path}`);
    }
    return { kind: "text", text: readFileSync(file, "latin1") };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : messageOf(error);
    const option = what === "certificate" ? "--tls-cert" : "--tls-key";
    return refused(`the ${what} ${path} cannot be read (${code}): name another with ${option}`);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Windows has no such bits; what systemd hands out is kept from others by its folder, and shows a group. */
function isOpenToOthers(mode: number, path: string): boolean {
  if (process.platform === "win32") return false;
  const isCredential = dirname(path) === process.env.CREDENTIALS_DIRECTORY;
  return (mode & (isCredential ? 0o007 : 0o077)) !== 0;
}

function readKey(text: string, path: string): { readonly key: KeyObject } | Refused {
  if (/ENCRYPTED/.test(text)) {
    const cure = `nobody could type it at a restart: openssl pkey -in ${path} writes it without`;
    return refused(`the TLS key ${path} has a passphrase, and ${cure}`);
  }
  const key = parse(() => createPrivateKey(text));
  return key === undefined
    ? refused(`${path} holds no private key: name a PEM file with --tls-key`)
    : { key };
}

function parse<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    // OpenSSL's words are for its authors; whoever asked says what should have been there.
    return undefined;
  }
}

function day(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, "Z");
}

function refused(why: string): Refused {
  return { kind: "refused", why };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
