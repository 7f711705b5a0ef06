// The time of a fake cloud: it passes when a test says so, and what is due by then happens, in order.

export class CloudClock {
  /** Milliseconds since 1970. */
  now: number;
  #due: { readonly at: number; readonly call: () => void }[] = [];

  constructor(now = Date.UTC(2026, 10, 22, 1)) {
    this.now = now;
  }

  after(seconds: number, call: () => void): void {
    this.#due.push({ at: this.now + seconds * 1000, call });
    this.#due.sort((a, b) => a.at - b.at);
  }

  pass(seconds: number): void {
    const until = this.now + seconds * 1000;
    for (let next = this.#due[0]; next !== undefined && next.at <= until; next = this.#due[0]) {
      this.#due.shift();
      this.now = next.at;
      next.call();
    }
    this.now = until;
  }

  /** What its dates say, in milliseconds since 1970. */
  get date(): number {
    return this.now;
  }

  /** "2026-11-22T01:00:00Z" */
  get text(): string {
    return `${new Date(this.date).toISOString().slice(0, 19)}Z`;
  }
}

/** Dated by this machine, however much of its time passes: for a gateway that is a process of its own. */
export class DatedClock extends CloudClock {
  override get date(): number {
    return Date.now();
  }
}
