// Whether the clouds take TechOps' credentials: asked when they are new and the policy uses them, and when
// somebody wants to know. One that a cloud refuses is `invalid` until it is replaced, or taken later.

import type { ProbeAsk, Probed, ProbedOwner } from "../cloud/probes/probe.ts";
import { bannerOf, type OwnerStatus } from "../cloud/techops/credential-status.ts";
import type { CredentialsOf } from "../cloud/techops/credentials.ts";
import type { Sealed } from "../cloud/techops/sealed.ts";
import { between, type Instant, MINUTE } from "../metering/time.ts";
import type { Policy } from "../policy/policy.ts";
import type { TechopsState, TechopsWatch } from "./techops-watch.ts";

const PROBED = ["aws", "azure", "gcp"] as const satisfies readonly ProbedOwner[];
const TIMEOUT_MS = 20_000;

export interface Checked {
  readonly at: Instant;
  readonly result: Probed["kind"];
  /** Undefined where it is valid. */
  readonly why: string | undefined;
}

export type CredentialsFound = Omit<TechopsState, "status"> & {
  readonly status: {
    readonly [O in keyof TechopsState["status"]]: OwnerStatus & { readonly checked?: Checked };
  };
};

interface CheckParts {
  readonly techops: Pick<TechopsWatch, "state" | "credentialsOf">;
  policy(): Policy;
  /** Asks a cloud. */
  probe(ask: ProbeAsk): Promise<Probed>;
  now(): Instant;
  readonly log: { info(about: object, text: string): void; warn(text: string): void };
}

interface Verdict {
  /** What it is about: other credentials are not judged by it. */
  readonly of: Sealed<unknown>;
  readonly checked: Checked;
}

interface Asking {
  readonly of: Sealed<unknown>;
  readonly done: Promise<void>;
}

export class CredentialCheck {
  readonly #parts: CheckParts;
  readonly #verdicts = new Map<ProbedOwner, Verdict>();
  readonly #asking = new Map<ProbedOwner, Asking>();

  constructor(parts: CheckParts) {
    this.#parts = parts;
  }

  state(): CredentialsFound {
    const found = this.#parts.techops.state();
    const status: { -readonly [O in keyof CredentialsFound["status"]]: CredentialsFound["status"][O] } = {
      ...found.status,
    };
    for (const owner of PROBED) {
      const checked = this.#verdictOf(owner)?.checked;
      if (checked === undefined) continue;
      const isRefused = checked.result === "invalid" && status[owner].status === "found";
      const judged = isRefused ? ({ status: "invalid", why: checked.why } as const) : status[owner];
      status[owner] = { ...judged, checked };
    }
    return { ...found, status, banner: bannerOf(status) };
  }

  /** Asks about all that look sound, each at most once a minute; resolves when the answers are in. */
  async check(): Promise<CredentialsFound> {
    await Promise.all(PROBED.map((owner) => this.#ask(owner)));
    return this.state();
  }

  /** New credentials: those that the policy means to use are asked about, and nobody waits. */
  renewed(): void {
    const { providers } = this.#parts.policy();
    for (const owner of PROBED) {
      if (providers?.get(owner)?.credentials?.kind === "techops") void this.#ask(owner);
    }
  }

  #verdictOf(owner: ProbedOwner): Verdict | undefined {
    const verdict = this.#verdicts.get(owner);
    return verdict?.of === this.#parts.techops.credentialsOf(owner) ? verdict : undefined;
  }

  /** A test's credentials no cloud takes: they are not shown to one. */
  #ask(owner: ProbedOwner): Promise<void> {
    const { techops, now } = this.#parts;
    const before = this.#verdictOf(owner)?.checked.at;
    const isFresh = before !== undefined && between(before, now()) < MINUTE;
    const sealed = techops.credentialsOf(owner);
    if (sealed === undefined || techops.state().status[owner].status !== "found" || isFresh) {
      return Promise.resolve();
    }
    const running = this.#asking.get(owner);
    if (running?.of === sealed) return running.done;
    const asking: Asking = { of: sealed, done: this.#probe(owner, sealed) };
    this.#asking.set(owner, asking);
    return asking.done.finally(() => {
      if (this.#asking.get(owner) === asking) this.#asking.delete(owner);
    });
  }

  async #probe(owner: ProbedOwner, sealed: Sealed<CredentialsOf[ProbedOwner]>): Promise<void> {
    const { policy, probe, now, log } = this.#parts;
    const endpoint = policy().providers?.get(owner)?.endpoint;
    const ask = { owner, values: sealed.open(), endpoint, timeoutMs: TIMEOUT_MS } as ProbeAsk;
    const found = await probe(ask);
    // Replaced meanwhile.
    if (this.#parts.techops.credentialsOf(owner) !== sealed) return;
    const why = found.kind === "valid" ? undefined : found.why;
    this.#verdicts.set(owner, { of: sealed, checked: { at: now(), result: found.kind, why } });
    if (why === undefined) log.info({ provider: owner }, `TechOps: ${owner} takes the credentials`);
    else if (found.kind === "invalid") log.warn(`TechOps: ${owner} refuses the credentials: ${why}`);
    else log.warn(`TechOps: whether ${owner} takes the credentials is not known: ${why}`);
  }
}
