// The certificate that TLS listeners show. A renewed one is put in force without a restart: connections that
// come after it see it, those that are open go on. One that cannot be used leaves the last good one in force.
//
//   in force ──files change──► read ──good──► in force, every server told
//                                └──bad, still so at the next look──► the old one in force, said once

import {
  type CertificateFiles,
  type Pem,
  type ReadCertificate,
  readCertificate,
} from "./certificate-files.ts";
import { identityOf } from "./file-identity.ts";

/** What a TLS server is made with. Older versions than 1.2 are broken. */
export interface Shown extends Pem {
  readonly minVersion: "TLSv1.2";
}

/** A tls.Server. */
interface Server {
  setSecureContext(shown: Shown): void;
}

export interface CertificateLog {
  info(text: string): void;
  warn(text: string): void;
}

/** Between two looks at the files; a pair is renewed file by file, and whole at the second look. */
const LOOK_MS = 2_000;
/** What renews certificates does so a month before their end: this late something is wrong with it. */
const LATE_MS = 14 * 24 * 3_600_000;

export class Certificate {
  readonly #files: CertificateFiles;
  readonly #log: CertificateLog;
  readonly #servers = new Set<Server>();
  #looking: NodeJS.Timeout | undefined;
  #pem: Pem;
  #seen: string;
  #doubted: string | undefined;

  constructor(
    files: CertificateFiles,
    read: Extract<ReadCertificate, { kind: "read" }>,
    log: CertificateLog,
  ) {
    this.#files = files;
    this.#log = log;
    this.#pem = read.pem;
    this.#seen = this.#identity();
    this.#warnIfLate(read.expires);
  }

  /** Looks at the files from now on. */
  watch(): void {
    this.#looking = setInterval(() => this.#look(), LOOK_MS);
    this.#looking.unref();
  }

  shown(): Shown {
    return { ...this.#pem, minVersion: "TLSv1.2" };
  }

  /** Until what is returned is called, the server is told of each renewal. */
  follow(server: Server): () => void {
    this.#servers.add(server);
    return () => void this.#servers.delete(server);
  }

  /** Reads both files now, changed or not. */
  renew(): void {
    this.#seen = this.#identity();
    const read = this.#read();
    if (read.kind === "refused") this.#refuse(read.why);
    else this.#adopt(read);
  }

  close(): void {
    clearInterval(this.#looking);
  }

  #look(): void {
    const now = this.#identity();
    if (now === this.#seen) return;
    const read = this.#read();
    if (read.kind === "read") this.#adopt(read);
    else if (this.#doubted === now) this.#refuse(read.why);
    else {
      this.#doubted = now;
      return;
    }
    this.#seen = now;
  }

  #adopt({ pem, expires }: Extract<ReadCertificate, { kind: "read" }>): void {
    if (pem.cert === this.#pem.cert && pem.key === this.#pem.key) return;
    this.#pem = pem;
    for (const server of this.#servers) server.setSecureContext(this.shown());
    this.#log.info(`the certificate ${this.#files.certPath} was renewed, until ${dayOf(expires)}`);
    this.#warnIfLate(expires);
  }

  #refuse(why: string): void {
    this.#log.warn(`the certificate stays as it was: ${why}`);
  }

  #warnIfLate(expires: number): void {
    if (expires - Date.now() > LATE_MS) return;
    this.#log.warn(`the certificate ${this.#files.certPath} expires ${dayOf(expires)}: renew it`);
  }

  #read(): ReadCertificate {
    return readCertificate(this.#files, Date.now());
  }

  #identity(): string {
    return `${identityOf(this.#files.certPath)} ${identityOf(this.#files.keyPath)}`;
  }
}

function dayOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(0, 10);
}
