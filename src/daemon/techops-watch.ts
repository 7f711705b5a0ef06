// TechOps' credentials, as their file on this machine has them now: read at start and whenever the file, the
// studio's key or the policy's word for either changes. They are in memory alone, sealed, and go to no page.
//
//   missing ──the file appears──► read ──changes──► read again ──goes──► missing
//             what is half written is read again at the next look, before it counts

import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { OWNERS, type Owner, readConfig } from "../cloud/techops/config-file.ts";
import {
  allAre,
  type Banner,
  bannerOf,
  type CredentialReport,
  judgeCredentials,
  type OwnerStatus,
} from "../cloud/techops/credential-status.ts";
import type { CredentialsOf } from "../cloud/techops/credentials.ts";
import { DEFAULT_STUDIO_KEY } from "../cloud/techops/fernet.ts";
import { readJsonFile } from "../cloud/techops/json-file.ts";
import { existsFile } from "../cloud/techops/key-file.ts";
import { Sealed } from "../cloud/techops/sealed.ts";
import type { Instant } from "../metering/time.ts";
import type { Techops } from "../policy/settings.ts";
import { readSecret } from "./secrets.ts";

/** Where the tool puts it, below the home of whoever runs ComfyUI. */
const DEFAULT_CONFIG = "~/ComfyUI/budgetguard/budgetguard_backend_config.json";
/** Stat is asked in the background: a folder on a server that is gone must not hold up the relay. */
const LOOK_MS = 500;

export interface TechopsState {
  /** Undefined while the policy has no `techops`. */
  readonly path: string | undefined;
  /** Of the last reading. */
  readonly readAt: Instant | undefined;
  readonly banner: Banner;
  readonly status: Readonly<Record<Owner, OwnerStatus>>;
  readonly notes: readonly string[];
}

interface TechopsParts {
  /** Of the policy in force. */
  settings(): Techops | undefined;
  now(): Instant;
  /** What there is has changed. */
  changed?(): void;
  readonly log: { info(about: object, text: string): void; warn(text: string): void };
}

const NO_TECHOPS = "the policy has no techops: key: write techops: { config: PATH }";

export class TechopsWatch {
  readonly #parts: TechopsParts;
  #report: CredentialReport = allAre("missing", NO_TECHOPS);
  #path: string | undefined;
  #readAt: Instant | undefined;
  /** What the report was made of; a change of it is worth a reading. */
  #seen: string | undefined;
  #doubted: string | undefined;
  /** Of a service account, which may come later than what names it. */
  #keyFile: string | undefined;
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: TechopsParts) {
    this.#parts = parts;
  }

  /** Resolves when what is there now has been read. */
  async watch(): Promise<void> {
    await this.look();
    this.#timer = setInterval(() => void this.look(), LOOK_MS);
    this.#timer.unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  state(): TechopsState {
    const { status, notes } = this.#report;
    return { path: this.#path, readAt: this.#readAt, banner: bannerOf(status), status, notes };
  }

  /** Of a provider whose status is `found` or `test`; as they are now, for each use anew. */
  credentialsOf<O extends Owner>(owner: O): Sealed<CredentialsOf[O]> | undefined {
    return this.#report.credentials[owner];
  }

  /** Never two at a time. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const settings = this.#parts.settings();
    const path = settings && pathOf(settings.config ?? DEFAULT_CONFIG);
    const studioKey = settings?.studioKey;
    const files = [path, studioKey?.kind === "file" ? studioKey.path : undefined, this.#keyFile];
    const now = JSON.stringify([settings, ...(await Promise.all(files.map(identityOf)))]);
    if (now === this.#seen) return;
    const report = path === undefined ? allAre("missing", NO_TECHOPS) : await this.#read(path, settings, now);
    if (report === undefined) return;
    this.#path = path;
    this.#readAt = path === undefined ? undefined : this.#parts.now();
    this.#adopt(report);
    // The key's own file is looked at from the next time on: then it is new, and read once more.
    this.#seen = now;
  }

  /** Undefined: it may be half written, and the next look will tell. */
  async #read(
    path: string,
    settings: Techops | undefined,
    now: string,
  ): Promise<CredentialReport | undefined> {
    const read = readJsonFile(path);
    if (read.kind === "unusable" && read.isMissing) return allAre("missing", `${path} ${read.why}`);
    if (read.kind === "unusable") {
      const isNew = this.#seen !== undefined && this.#doubted !== now;
      this.#doubted = now;
      return isNew ? undefined : allAre("invalid", `${path} ${read.why}`);
    }
    const key = settings?.studioKey && readSecret(settings.studioKey);
    if (key?.kind === "missing") return allAre("invalid", `the studio key cannot be had: ${key.why}`);
    const file = readConfig(read.value);
    const studioKey = new Sealed(key?.value ?? DEFAULT_STUDIO_KEY);
    const report = await judgeCredentials(file, { studioKey, exists: (keyFile) => this.#exists(keyFile) });
    return { ...report, notes: [...file.notes, ...report.notes] };
  }

  #exists(keyFile: string): boolean {
    this.#keyFile = keyFile;
    return existsFile(keyFile);
  }

  #adopt(report: CredentialReport): void {
    const before = JSON.stringify(this.#report);
    this.#report = report;
    if (JSON.stringify(report) === before) return;
    this.#parts.changed?.();
    const { log } = this.#parts;
    const { banner, status, notes, path } = this.state();
    const shown = Object.fromEntries(OWNERS.map((owner) => [owner, status[owner].status]));
    log.info({ ...shown, file: path }, `TechOps: ${banner.text}`);
    for (const note of notes) log.warn(`TechOps: ${note}`);
    const whys = new Set(OWNERS.map((owner) => status[owner]).flatMap(({ why }) => why ?? []));
    for (const why of whys) log.warn(`TechOps: ${why}`);
  }
}

function pathOf(config: string): string {
  return /^~(?=[/\\]|$)/.test(config) ? join(homedir(), config.slice(1)) : resolve(config);
}

/** Of the file at the end of all links; undefined while there is none that can be looked at. */
async function identityOf(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found && `${found.dev} ${found.ino} ${found.size} ${found.mode} ${found.ctimeNs}`;
}
