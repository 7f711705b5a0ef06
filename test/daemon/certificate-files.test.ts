// What is wrong with a certificate or its key is one sentence that names the file and what to do.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { readCertificate } from "../../src/daemon/certificate-files.ts";
import {
  EXPIRED_CERTIFICATE,
  FUTURE_CERTIFICATE,
  LOCKED_KEY,
  RENEWED_CERTIFICATE,
  RENEWED_KEY,
} from "../support/odd-certificates.ts";
import { CERTIFICATE, KEY } from "../support/self-signed.ts";

const NOW = Date.parse("2026-11-25T12:00:00Z");

function files(t: ExecutionContext, cert: string, key: string, mode = 0o600) {
  const folder = mkdtempSync(join(tmpdir(), "budgetguard-tls-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const [certPath, keyPath] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  writeFileSync(certPath, cert);
  writeFileSync(keyPath, key);
  chmodSync(keyPath, mode);
  return { folder, certPath, keyPath };
}

function refusal(t: ExecutionContext, cert: string, key: string, mode?: number): string {
  const read = readCertificate(files(t, cert, key, mode), NOW);
  return read.kind === "refused" ? read.why : "nothing";
}

test("a pair that belongs together is read, behind links too", (t) => {
  const { folder, certPath, keyPath } = files(t, CERTIFICATE + RENEWED_CERTIFICATE, KEY);
  const links = { certPath: join(folder, "live-cert"), keyPath: join(folder, "live-key") };
  symlinkSync(certPath, links.certPath);
  symlinkSync(keyPath, links.keyPath);
  for (const pair of [{ certPath, keyPath }, links]) {
    const read = readCertificate(pair, NOW);
    t.is(read.kind, "read");
    if (read.kind === "read") t.deepEqual(read.pem, { cert: CERTIFICATE + RENEWED_CERTIFICATE, key: KEY });
  }
});

test("a pair that does not belong together is refused", (t) => {
  t.regex(refusal(t, CERTIFICATE, RENEWED_KEY), /cert\.pem is not that of the key .*key\.pem: name the two/);
  t.regex(refusal(t, RENEWED_CERTIFICATE + CERTIFICATE, KEY), /is not that of the key/);
});

test("a certificate that is not valid now is refused with its date", (t) => {
  t.regex(refusal(t, EXPIRED_CERTIFICATE, KEY), /cert\.pem expired 2021-01-01T00:00:00Z: renew it$/);
  t.regex(refusal(t, FUTURE_CERTIFICATE, KEY), /valid from 2125-01-01T00:00:00Z on: wait, or set the clock$/);
});

test("what is no certificate or no key is refused, and never shown", (t) => {
  t.regex(refusal(t, KEY, KEY), /cert\.pem holds no certificate: name a PEM file with --tls-cert/);
  t.regex(refusal(t, "", KEY), /holds no certificate/);
  t.regex(
    refusal(t, CERTIFICATE, CERTIFICATE),
    /key\.pem holds no private key: name a PEM file with --tls-key/,
  );
  t.regex(
    refusal(t, CERTIFICATE, LOCKED_KEY),
    /has a passphrase, and nobody could type it at a restart: openssl /,
  );
  t.false(refusal(t, KEY, KEY).includes("MIGH"));
});

test("a key that others can read or write is refused with its cure", (t) => {
  if (process.platform === "win32") return t.pass();
  for (const mode of [0o640, 0o604, 0o620, 0o644, 0o666]) {
    t.regex(
      refusal(t, CERTIFICATE, KEY, mode),
      /^others can read or write the TLS key .*: chmod 600 \S*key\.pem$/,
    );
  }
  t.is(refusal(t, CERTIFICATE, KEY, 0o400), "nothing");
  return undefined;
});

test.serial("what systemd hands out may show a group, but never others", (t) => {
  const pair = files(t, CERTIFICATE, KEY, 0o440);
  process.env.CREDENTIALS_DIRECTORY = pair.folder;
  t.teardown(() => delete process.env.CREDENTIALS_DIRECTORY);
  t.is(readCertificate(pair, NOW).kind, "read");
  chmodSync(pair.keyPath, 0o444);
  t.is(readCertificate(pair, NOW).kind, "refused");
});

test("what is missing, a folder, or endless is refused", (t) => {
  const { folder, certPath, keyPath } = files(t, CERTIFICATE, KEY);
  const why = (pair: { certPath: string; keyPath: string }) => {
    const read = readCertificate(pair, NOW);
    return read.kind === "refused" ? read.why : "nothing";
  };
  const gone = join(folder, "gone.pem");
  t.regex(
    why({ certPath: gone, keyPath }),
    /the certificate .*gone\.pem cannot be read \(ENOENT\).*--tls-cert/,
  );
  t.regex(why({ certPath, keyPath: gone }), /the TLS key .*gone\.pem cannot be read \(ENOENT\).*--tls-key/);
  mkdirSync(join(folder, "folder"));
  t.regex(why({ certPath: join(folder, "folder"), keyPath }), /is no file of a PEM/);
  t.regex(why({ certPath, keyPath: "/dev/zero" }), /is no file of a PEM/);
});
