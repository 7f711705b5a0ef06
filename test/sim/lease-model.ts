// What one container costs, written down as it is: a rate from each moment on, and who was there. No shares, no
// floors, no posts: the integral of MONEY §2, counted apart. It refuses to know the ledger.

/** Nano-dollar microseconds per hour in one nano-dollar. */
export const RAW = 3_600_000_000n;

interface Change {
  readonly at: number;
  readonly rate: bigint;
  readonly isShared: boolean;
  /** Nobody shares it, and it is watched: the container pays, and decisions count it at once. */
  readonly isOwn: boolean;
  /** How many pay the rate beside the one that would. */
  readonly others: number;
  /** Raw, up to `at`: of all that it cost, and of what no request pays and is known to be due. */
  readonly total: bigint;
  readonly own: bigint;
  /** Raw: what requests that run together pay above its cost, as each pays all of it. */
  readonly beyond: bigint;
}

interface Guest {
  /** What it was asked last. */
  rate: bigint;
  readonly from: number;
  to: number | undefined;
}

export class LeaseModel {
  /** By its provider's word; undefined while requests share its machine and nobody has told of it. */
  start0: number | undefined;
  /** From where it is charged. */
  start: number;
  /** As it was told last. */
  price: bigint | undefined;
  idle = 0n;
  minBilled = 0;
  isStarting = false;
  isWatched = true;
  /** Each of its requests pays the whole price. */
  isExclusive = false;
  /** A restart has found that it is over. */
  isForGood = false;
  lastLeft: number | undefined;
  /** What its machine was called when it was told, each time. */
  readonly names = new Set<string>();
  /** By hold. */
  readonly guests = new Map<string, Guest>();
  #changes: Change[] = [];
  /** Up to these moments nobody watched, and nobody has said yet that it lived. */
  #skipped: { readonly at: number; readonly raw: bigint }[] = [];

  constructor(start: number) {
    this.start = start;
  }

  get active(): number {
    return this.#active().length;
  }

  get lastChange(): number {
    return this.#changes.at(-1)?.at ?? this.start;
  }

  get changes(): number {
    return this.#changes.length;
  }

  /** It says nothing of the time before, that nobody watched. */
  join(hold: string, rate: bigint, at: number): void {
    if (!this.isWatched && this.active === 0) this.#skip(at);
    this.guests.set(hold, { rate, from: Math.max(at, this.lastChange), to: undefined });
    this.note(at);
  }

  /** It is known to live: what nobody watched is due. */
  watch(at: number): void {
    if (this.isWatched) return;
    if (this.active === 0) this.#skip(at);
    // Whoever shares it goes on as before: its lease stands where it last changed.
    const until = this.active > 0 ? this.lastChange : Math.max(at, this.lastChange);
    this.isWatched = true;
    const own = this.own(until) + this.#skipped.reduce((sum, { raw }) => sum + raw, 0n);
    this.#skipped = [];
    this.#add(until, own);
  }

  #skip(at: number): void {
    const until = Math.max(at, this.lastChange);
    const raw = this.total(until) - (this.#changes.at(-1)?.total ?? 0n);
    this.#skipped.push({ at: until, raw });
    this.note(until);
  }

  /** Nobody watches it since `at`, and nobody shares it then. */
  unwatch(at: number): void {
    this.leaveAll(at);
    if (!this.isWatched) return;
    this.isWatched = false;
    this.note(at);
  }

  /** It has been asked another price: the machine may cost that once all have. */
  asked(hold: string, rate: bigint, at: number): void {
    const guest = this.guests.get(hold);
    if (guest === undefined || guest.to !== undefined || guest.rate === rate) return;
    guest.rate = rate;
    this.note(at);
  }

  leave(hold: string, at: number): void {
    const guest = this.guests.get(hold);
    if (guest === undefined || guest.to !== undefined) return;
    guest.to = Math.max(at, this.lastChange);
    this.lastLeft = guest.to;
    this.note(at);
  }

  leaveAll(at: number): void {
    for (const hold of this.#active()) this.leave(hold, at);
  }

  /** From `at` on it costs what it costs now; never earlier than what is known already. */
  note(at: number): void {
    const from = Math.max(at, this.lastChange);
    this.#add(from, this.own(from));
  }

  #add(at: number, own: bigint): void {
    const isShared = this.active > 0;
    const isOwn = this.isWatched && !isShared;
    const [total, beyond] = [this.total(at), this.#beyond(at)];
    const others = this.isExclusive ? Math.max(0, this.active - 1) : 0;
    this.#changes.push({ at, rate: this.#rate(), isShared, isOwn, others, total, own, beyond });
  }

  /** It turns out to have run since `start`, before anybody shared it: nobody watched that. */
  precede(start: number): void {
    if (start >= this.start) return;
    const raw = (this.isStarting ? (this.price ?? 0n) : this.idle) * BigInt(this.start - start);
    this.#changes = this.#changes.map((one) => ({ ...one, total: one.total + raw, own: one.own + raw }));
    this.start = start;
  }

  /** What happened after `at` is on no disk. */
  forget(at: number): void {
    this.#changes = this.#changes.filter((one) => one.at <= at);
    for (const [hold, { from, to }] of this.guests) {
      if (from > at) this.guests.delete(hold);
      else if (to === undefined || to > at) this.guests.delete(hold);
    }
    const left = [...this.guests.values()].flatMap(({ to }) => to ?? []);
    this.lastLeft = left.length === 0 ? undefined : Math.max(...left);
  }

  /** As the disk has it: from, to, and the rate of each. */
  resumeSkipped(rows: readonly (readonly [from: number, to: number, rate: string, price: string])[]): void {
    this.#skipped = rows.map(([from, to, rate]) => ({ at: to, raw: BigInt(rate) * BigInt(to - from) }));
  }

  /** Who shared it just before `at`. */
  guestsAt(at: number): readonly string[] {
    return [...this.guests]
      .filter(([, { from, to }]) => from < at && (to === undefined || to > at))
      .map(([hold]) => hold);
  }

  total(at: number): bigint {
    const last = this.#changes.findLast((one) => one.at <= at);
    return last === undefined ? 0n : last.total + last.rate * BigInt(at - last.at);
  }

  #beyond(at: number): bigint {
    const last = this.#changes.findLast((one) => one.at <= at);
    return last === undefined ? 0n : last.beyond + last.rate * BigInt(last.others * (at - last.at));
  }

  own(at: number): bigint {
    const last = this.#changes.findLast((one) => one.at <= at);
    if (last === undefined) return 0n;
    return last.isOwn ? last.own + last.rate * BigInt(at - last.at) : last.own;
  }

  /** The same of a life that is over: it is known by then to have lived. */
  ownOf(end: number): bigint {
    const [first] = this.#changes;
    let own = first?.own ?? 0n;
    this.#changes.forEach(({ at, rate, isShared }, index) => {
      const until = Math.min(this.#changes[index + 1]?.at ?? end, end);
      if (!isShared && until > at) own += rate * BigInt(until - at);
    });
    return own;
  }

  /** Of its whole life, in nano-dollars: the minimum with it, and what requests pay each for themselves. */
  costs(end: number): bigint {
    const missing = Math.max(0, this.minBilled - (end - this.start));
    return (this.total(end) + this.#beyond(end)) / RAW + (this.full() * BigInt(missing)) / RAW;
  }

  /** The price that whoever shares it pays together: no more than anyone of them was asked. */
  full(): bigint {
    const asked = this.#active().map((hold) => this.guests.get(hold)?.rate ?? 0n);
    const all = this.price === undefined ? asked : [this.price, ...asked];
    return all.reduce((least, one) => (one < least ? one : least), all[0] ?? 0n);
  }

  #rate(): bigint {
    return this.active > 0 || this.isStarting ? this.full() : this.idle;
  }

  #active(): readonly string[] {
    return [...this.guests].filter(([, { to }]) => to === undefined).map(([hold]) => hold);
  }
}

/** Fractions of a nano-dollar that requests leave to the container, and floors. */
export function slackOf(known: LeaseModel | undefined, ended: ReadonlyMap<LeaseModel, number>): bigint {
  const changes = [...ended.keys()].reduce((sum, lease) => sum + lease.changes, known?.changes ?? 0);
  return BigInt(2 * changes + 4);
}

export function growthOf(growth: bigint): bigint {
  return growth > 0n ? growth : 0n;
}

/** Money of a container that its lease has not cost. */
export function isBeside({ kind, priceSource }: { readonly kind: string; readonly priceSource: string }) {
  return kind === "minimum" || priceSource.endsWith("(unheld)");
}
