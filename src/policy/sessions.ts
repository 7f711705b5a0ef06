// Which session a request belongs to that names none: its client's own, until that has been silent for
// `session_idle`. A request under way is no silence. It knows clients by their names, and reads no clock.

import { between, type DurationUs, type Instant, MINUTE } from "../metering/time.ts";

export const SESSION_IDLE = (30 * MINUTE) as DurationUs;
/** At most so many clients have a session of this kind at a time. */
export const MOST_CLIENTS = 10_000;
/** A client that comes while all places are taken may have that of one of these, if its session is over. */
const LOOKED_AT = 100;

interface Open {
  readonly name: string;
  /** When it was last heard of. */
  last: Instant;
  running: number;
}

export class Sessions {
  /** Who was heard of longest ago comes first. */
  readonly #open = new Map<string, Open>();

  /**
   * The session of a request that begins; `named` is the one that it names itself. Undefined where there are
   * too many clients: such a request counts in the one session that all those without have, which never ends.
   */
  begin(client: string, named: string | undefined, at: Instant, idle: DurationUs): string | undefined {
    const known = this.#open.get(client);
    if (named !== undefined && named !== known?.name) return named;
    if (known !== undefined && (named !== undefined || !isOver(known, at, idle))) {
      known.running += 1;
      this.#touch(client, known, at);
      return known.name;
    }
    if (known === undefined && !this.#hasRoom(at, idle)) return undefined;
    const begun = { name: `s-${at}`, last: at, running: 1 };
    this.#touch(client, begun, at);
    return begun.name;
  }

  /** A request that `begin` was asked about has ended. */
  end(client: string, session: string | undefined, at: Instant): void {
    const known = this.#open.get(client);
    if (known === undefined || known.name !== session) return;
    known.running -= 1;
    this.#touch(client, known, at);
  }

  /** From the ledger, at start: the one last heard of comes last. */
  remember(client: string, session: string, last: Instant): void {
    if (!OWN_NAME.test(session)) return;
    if (!this.#open.has(client) && this.#open.size >= MOST_CLIENTS) return;
    this.#touch(client, { name: session, last, running: 0 }, last);
  }

  #touch(client: string, session: Open, at: Instant): void {
    session.last = at > session.last ? at : session.last;
    this.#open.delete(client);
    this.#open.set(client, session);
  }

  #hasRoom(at: Instant, idle: DurationUs): boolean {
    if (this.#open.size < MOST_CLIENTS) return true;
    let looked = 0;
    for (const [client, session] of this.#open) {
      if (isOver(session, at, idle)) return this.#open.delete(client);
      looked += 1;
      if (looked === LOOKED_AT) return false;
    }
    return false;
  }
}

/** Names of ours say when the session began, so that a later one of the same client has another. */
const OWN_NAME = /^s-\d{1,16}$/;

function isOver({ last, running }: Open, at: Instant, idle: DurationUs): boolean {
  return running <= 0 && between(last, at) >= idle;
}
