// The one policy that is in force, with the operator's mode switch and the raises laid over it. Both are
// workstation state in the ledger and survive restarts; the switch wins until the file's own mode next
// changes (DESIGN §5).

import type { Instant } from "../metering/time.ts";
import { MODES, type Mode, type Note, type Policy } from "../policy/policy.ts";
import { type Raise, withRaises } from "../policy/raise.ts";
import type { ReadPolicy } from "./policy-text.ts";

/** The mode that was switched to, and what the file said then. */
export interface ModeSwitch {
  readonly mode: Mode;
  readonly fileMode: Mode;
  readonly at: Instant;
}

export class InForce {
  #read: ReadPolicy;
  #effective: Policy;
  #switch: ModeSwitch | undefined;
  #loadedAt: Instant;
  #problems: readonly Note[] = [];
  #raises: readonly Raise[] = [];

  constructor(read: ReadPolicy, modeSwitch: ModeSwitch | undefined, at: Instant) {
    this.#read = read;
    this.#switch = modeSwitch;
    this.#loadedAt = at;
    this.#effective = this.#overlay();
  }

  /** What decisions are made under. */
  get policy(): Policy {
    return this.#effective;
  }

  /** As the file says, without the switch. */
  get file(): ReadPolicy {
    return this.#read;
  }

  get loadedAt(): Instant {
    return this.#loadedAt;
  }

  /** Of the file as last read; empty when that is the one in force. */
  get problems(): readonly Note[] {
    return this.#problems;
  }

  /** Undefined while the file's mode is in force. */
  get modeSwitch(): ModeSwitch | undefined {
    return this.#switch;
  }

  /** True when the operator's switch ended with it, because the file's own mode changed. */
  adopt(read: ReadPolicy, at: Instant): boolean {
    const before = this.#switch;
    this.#read = read;
    this.#loadedAt = at;
    this.#problems = [];
    this.#effective = this.#overlay();
    return before !== undefined && this.#switch === undefined;
  }

  /** The raises in force. */
  get raises(): readonly Raise[] {
    return this.#raises;
  }

  /** Whoever reads a limit from now on reads it with these. */
  lay(raises: readonly Raise[]): void {
    this.#raises = raises;
    this.#effective = this.#overlay();
  }

  refuse(problems: readonly Note[]): void {
    this.#problems = problems;
  }

  /** Asking for the file's own mode ends the switch. */
  switchMode(mode: Mode, at: Instant): ModeSwitch | undefined {
    const fileMode = this.#read.policy.mode;
    this.#switch = mode === fileMode ? undefined : { mode, fileMode, at };
    this.#effective = this.#overlay();
    return this.#switch;
  }

  #overlay(): Policy {
    const { policy } = this.#read;
    if (this.#switch !== undefined && this.#switch.fileMode !== policy.mode) this.#switch = undefined;
    const raised = withRaises(policy, this.#raises);
    return this.#switch === undefined ? raised : Object.freeze({ ...raised, mode: this.#switch.mode });
  }
}

/** Reads a stored switch; one that this version does not understand is no switch. */
export function parseModeSwitch(text: string | undefined): ModeSwitch | undefined {
  if (text === undefined || text === "") return undefined;
  const value = JSON.parse(text) as Partial<ModeSwitch>;
  const { mode, fileMode, at } = value;
  if (mode === undefined || fileMode === undefined || at === undefined) return undefined;
  return MODES.includes(mode) && MODES.includes(fileMode) ? { mode, fileMode, at } : undefined;
}
