// Keeps in the ledger which policy came into force when (ledger/policy-record.ts says what of it), so that
// `explain` can tell later that a limit was lowered or came late. A disk that refuses it costs an
// explanation, never a reload.

import { POLICY, recordOf } from "../ledger/policy-record.ts";
import type { SqliteStore } from "../ledger/sqlite.ts";
import type { Instant } from "../metering/time.ts";
import type { Policy } from "../policy/policy.ts";
import type { Logger } from "./log.ts";

export interface RecordParts {
  readonly store: Pick<SqliteStore, "setSwitch">;
  readonly log: Logger;
  now(): Instant;
}

export class ReloadRecord {
  readonly #parts: RecordParts;
  #last: string | undefined;

  /** `last`: what the ledger has of the last one. */
  constructor(parts: RecordParts, last: string | undefined) {
    this.#parts = parts;
    this.#last = last;
  }

  /** Of a policy that is in force now; one that is the same as the last is not noted again. */
  note(policy: Policy): void {
    const { store, log, now } = this.#parts;
    const text = recordOf(policy);
    if (text === this.#last) return;
    this.#last = text;
    const refused = (error: unknown) => log.warn({ err: error }, "a reload could not be kept in the ledger");
    store.setSwitch(POLICY, text, "policy file", now()).catch(refused);
  }
}
