// What fake containers should have cost, beside what the ledger says of it (MONEY §1, §2): the lease law of each
// that is over, what a decision counts of one that runs, and by how much a budget may be past its limit for it.

import type { LocalAccounts } from "../../src/ledger/accounts.ts";
import { factsOfContainer } from "../../src/ledger/container.ts";
import type { Entry, Write } from "../../src/ledger/store.ts";
import type { Instant } from "../../src/metering/time.ts";
import type { Balances } from "../../src/policy/admission.ts";
import { coveringContainer, periodFor } from "../../src/policy/match.ts";
import type { Budget, Policy } from "../../src/policy/policy.ts";
import type { Attempt } from "../../src/proxy/exchange.ts";
import type { FakeDisk } from "../support/fake-disk.ts";
import { growthOf, isBeside, LeaseModel, RAW, slackOf } from "./lease-model.ts";
import type { Machine } from "./machines.ts";
import { receivesContainers } from "./recount.ts";

/** One machine of the provider, and all its leases that the ledger was told of. */
export interface Account {
  readonly id: string;
  /** By all names that it had, and where it is. */
  readonly names: Map<"machine" | "upstream" | "provider" | "gpu_tier", Set<string>>;
  about: Machine["about"];
  known: LeaseModel | undefined;
  readonly ended: Map<LeaseModel, number>;
  /** What a crash charged of requests that had left, and more than their share (shares.ts). */
  overcharged: bigint;
  /** Posted since the disk was read last: of its own time, and beside it (minimum, unheld). */
  own: bigint;
  beside: bigint;
  /** The same when growth was asked for last. */
  grown: { readonly own: bigint; readonly beside: bigint };
  /** A lease of it has ended, and the law was not looked at since. */
  isDue: boolean;
}

export class Bill {
  readonly accounts = new Map<string, Account>();
  /** Requests that share a machine of which nobody has told, by its name. */
  readonly uses = new Map<string, LeaseModel>();
  readonly lastUse = new Map<string, number>();
  /** By hold: its request. Each joins once. */
  readonly holds = new Map<string, string>();
  /** By request: the machine of which it pays a share. */
  readonly whose = new Map<string, string>();
  #seen = new WeakSet<Entry>();
  /** Handed over, and not on disk. */
  readonly #underWay = new Set<Entry>();
  /** Entries of requests that were handed over: a slice may be, in the tick of a heartbeat. */
  #ofRequests = 0;
  #read = 0;
  readonly #count: (what: string) => void;
  #lastBeat = 0;
  /** By the policy in force. */
  #isExclusive = false;
  #hadGap = false;
  /** Up to when each lease was brought by the last event: a slice of a tunnel is posted up to then. */
  readonly #advanced = new Map<string, number>();

  constructor(count: (what: string) => void) {
    this.#count = count;
  }

  joined(machine: Machine, { held, upstream }: Attempt, now: Instant): void {
    if (this.holds.has(held.id)) return;
    this.holds.set(held.id, held.task.id);
    const { price } = held.quote.upstream;
    const account = this.#account(machine);
    // Decided before a rename, and sent to one that was first told after it: the ledger cannot know that it is one.
    const known = account.known?.names.has(upstream.machine) ? account.known : undefined;
    const use = this.uses.get(upstream.machine) ?? this.#newLease(now);
    if (known === undefined) this.uses.set(upstream.machine, use);
    else this.whose.set(held.task.id, machine.id);
    (known ?? use).join(held.id, price.kind === "hour" ? price.rate : 0n, now);
  }

  left(hold: string, now: Instant): void {
    for (const { known } of this.accounts.values()) known?.leave(hold, now);
    for (const [name, use] of this.uses) {
      use.leave(hold, now);
      if (use.active > 0) continue;
      this.uses.delete(name);
      this.lastUse.set(name, now);
    }
  }

  isKnown({ id }: Machine): boolean {
    return this.accounts.get(id)?.known !== undefined;
  }

  /** Says to the ledger that it lives, and notes what that must mean. */
  tell(machine: Machine, accounts: LocalAccounts): void {
    const account = this.#account(machine);
    const { id, start, state } = machine;
    const about = { ...machine.about, id, start, phase: state === "ready" ? "ready" : "starting" } as const;
    const seen = () => accounts.containers.seen(about);
    const now = accounts.now();
    this.#name(account, machine.about);
    const isOther = account.known !== undefined && account.known.start0 !== start;
    // Whoever came since a restart is let run.
    const isLetRun = isOther && account.known?.isWatched === false && account.known.active > 0;
    if (isOther && !isLetRun) this.#end(account, start, accounts, seen);
    else seen();
    if (isLetRun) return;
    const known = account.known ?? this.#begun(account, start, now);
    known.names.add(about.machine);
    known.watch(now);
    known.price = about.price.rate;
    known.idle = about.idlePrice;
    known.minBilled = about.minBilled;
    if (state === "ready") known.isStarting = false;
    known.note(account.known === undefined && known.changes === 0 ? known.start : now);
    account.known = known;
  }

  off(machine: Machine, stop: Instant, accounts: LocalAccounts): void {
    const account = this.#account(machine);
    const say = () => accounts.containers.off(machine.id, stop);
    if (account.known === undefined) say();
    else this.#end(account, stop, accounts, say);
  }

  /** A policy comes into force: who pays from now on. */
  attribute({ attribution }: Policy, now: Instant): void {
    this.#isExclusive = attribution === "exclusive";
    const known = [...this.accounts.values()].flatMap(({ known }) => known ?? []);
    for (const lease of [...known, ...this.uses.values()]) {
      if (lease.isExclusive === this.#isExclusive) continue;
      lease.isExclusive = this.#isExclusive;
      lease.note(lease.isWatched || lease.active > 0 ? now : lease.lastChange);
    }
  }

  /** The prices of a policy that has come into force: of what is watched. */
  repriced(policy: Policy, now: Instant): void {
    this.attribute(policy, now);
    for (const { machine, price, idleRate } of policy.upstreams.values()) {
      if (price.kind !== "hour") continue;
      const own = [...this.accounts.values()].filter(({ about }) => about.machine === machine);
      const leases = own.flatMap(({ known }) => (known?.isWatched || known?.active ? [known] : []));
      for (const lease of leases) lease.idle = idleRate;
      const use = this.uses.get(machine);
      for (const lease of use === undefined ? leases : [...leases, use]) {
        lease.price = price.rate;
        lease.note(now);
      }
    }
  }

  /** Looks at each heartbeat from now on, whoever asks for it. */
  watch(accounts: LocalAccounts, policy: () => Policy): void {
    const beat = accounts.heartbeat.bind(accounts);
    accounts.heartbeat = () => this.#beat(accounts, policy(), beat);
  }

  /** What it posts was counted before, and who was not watched until it ended with the last one. */
  #beat(accounts: LocalAccounts, policy: Policy, beat: () => Promise<void>): Promise<void> {
    const at = accounts.now();
    const before = this.#counted(accounts, policy);
    // To be asked brings leases up to a quarter-hour that has turned.
    for (const { about, sharing } of accounts.leases.containers())
      this.#advanced.set(about.id, sharing.lease.at);
    const ofRequests = this.#ofRequests;
    const isKept = accounts.outbox.kept > 0;
    const beating = beat();
    let isWatched = true;
    for (const { id, known } of this.accounts.values()) {
      const lease = accounts.leases.find(id);
      if (known === undefined || lease === undefined || lease.isWatched) continue;
      if (!known.isWatched && (known.active === 0 || lease.sharing.lease.active > 0)) continue;
      isWatched = false;
      const ended = lease.sharing.lease.at;
      const latest = Math.max(this.#lastBeat, this.#advanced.get(id) ?? 0);
      if (known.active > 0 && (ended < this.#lastBeat || ended > latest))
        throw new Error(`${id} was watched until ${this.#lastBeat}, and its requests ended at ${ended}`);
      known.unwatch(ended);
      this.#count("unwatched");
    }
    const after = this.#counted(accounts, policy);
    // A fraction of a nano-dollar from before a gap is posted to its period, once the disk takes it.
    const isSliced = this.#ofRequests > ofRequests;
    const isExact = isWatched && !this.#hadGap && !isSliced && accounts.now() === at;
    this.#hadGap &&= isKept;
    this.#hadGap ||= [...this.accounts.values()].some(({ known }) => known?.isWatched === false);
    for (const [account, amount] of before) {
      if (!isExact || after.get(account) === amount) continue;
      throw new Error(`a heartbeat made ${after.get(account)} of the ${amount} that ${account} had counted`);
    }
    this.#lastBeat = accounts.now();
    return beating;
  }

  /** Each write as it is handed over; one that is tried again has the same entries. */
  handed({ entries }: Pick<Write, "entries">): void {
    for (const entry of entries ?? []) {
      if (NOT_CHARGED.has(entry.kind)) continue;
      this.#underWay.add(entry);
      if (this.#seen.has(entry)) continue;
      this.#seen.add(entry);
      if (entry.request !== undefined) this.#ofRequests += 1;
      if (entry.request !== undefined) continue;
      const account = this.named(entry.facts.machine);
      if (account === undefined) throw new Error(`nobody has a machine ${entry.facts.machine}`);
      account[isBeside(entry) ? "beside" : "own"] += entry.amount;
    }
  }

  /** It may be handed over again, or given up. */
  refused({ entries }: Pick<Write, "entries">): void {
    for (const entry of entries ?? []) this.#underWay.delete(entry);
  }

  /** After every event: an account is judged with all that its containers cost by now, posted or not. */
  check(accounts: LocalAccounts, view: Balances, policy: Policy): void {
    for (const { about, sharing } of accounts.leases.containers()) {
      this.#advanced.set(about.id, sharing.lease.at);
      for (const { row, price } of sharing.holds)
        if (price.kind === "hour") this.accounts.get(about.id)?.known?.asked(row.id, price.rate, view.at);
    }
    const due = new Map<string, { expected: bigint; slack: bigint; counted: bigint }>();
    for (const { id, about, known, ended, own } of this.accounts.values()) {
      if (known === undefined) continue;
      const leases = [...ended].map(([lease, end]) => lease.ownOf(end));
      const expected = leases.reduce((sum, raw) => sum + raw, known.own(view.at)) / RAW - own;
      const container = { ...about, id, start: view.at, phase: "ready" } as const;
      const counting = new Map(
        coveringContainer(policy, factsOfContainer(container)).map((one) => [one.account, one.ground]),
      );
      for (const [account, ground] of counting) {
        const { start } = periodFor(ground, view.at);
        const counted = view.balance(account, start).settled - accounts.book.balance(account, start).settled;
        const before = due.get(account) ?? { expected: 0n, slack: 0n };
        const slack = before.slack + slackOf(known, ended);
        due.set(account, { expected: before.expected + expected, slack, counted });
      }
    }
    for (const [account, { expected, slack, counted }] of due) {
      const off = counted - expected;
      if (off > slack || -off > slack)
        throw new Error(
          `${account} counts ${counted} that no entry says, and its containers cost ${expected}`,
        );
    }
  }

  /** By how much a budget can be further past its limit than at the last time, for its containers alone. */
  takeGrowth(now: Instant): (budget: Budget, unit: string) => bigint {
    const all = [...this.accounts.values()].map((account) => {
      const { known, ended, names, beside } = account;
      const leases = [...ended].map(([lease, end]) => lease.ownOf(end));
      const raw = leases.reduce((sum, own) => sum + own, known?.own(now) ?? 0n);
      const slack = slackOf(known, ended);
      const own = raw / RAW + slack;
      // What a late stop takes back may lie in another period than the minimum that it brings.
      const by = growthOf(own - account.grown.own) + growthOf(beside - account.grown.beside);
      account.grown = { own, beside };
      return { names, by: by + 2n };
    });
    return (budget, unit) => {
      if (!receivesContainers(budget, unit)) return 0n;
      const counted = all.filter(({ names }) =>
        [...budget.when].every(([scope, values]) =>
          values.some((one) => names.get(scope as "machine")?.has(one)),
        ),
      );
      return counted.reduce((sum, { by }) => sum + by, 0n);
    };
  }

  /** Once nothing is on its way: what was posted of a machine is what its leases cost, all of them. */
  checkLaw(disk: FakeDisk, { outbox }: Pick<LocalAccounts, "outbox">): void {
    for (; this.#read < disk.entries.length; this.#read += 1) {
      this.#underWay.delete(disk.entries[this.#read] as Entry);
    }
    if (this.#underWay.size > 0 || outbox.kept > 0) return;
    for (const account of this.accounts.values()) {
      if (!account.isDue || account.known !== undefined) continue;
      if ([...disk.holds.values()].some(({ request }) => this.whose.get(request) === account.id)) continue;
      account.isDue = false;
      this.#checkLaw(account, disk);
      this.#count("lease over");
    }
  }

  /** Nothing is up, and every machine was looked at since its last lease. */
  get isOver(): boolean {
    const all = [...this.accounts.values()];
    return this.#underWay.size === 0 && all.every(({ known, isDue }) => known === undefined && !isDue);
  }

  #checkLaw({ id, ended, overcharged }: Account, disk: FakeDisk): void {
    let posted = 0n;
    for (const { request, kind, facts, amount } of disk.entries) {
      if (NOT_CHARGED.has(kind)) continue;
      const owner = request === undefined ? this.named(facts.machine)?.id : this.whose.get(request);
      if (owner === id) posted += amount;
    }
    const due = [...ended].reduce((sum, [lease, end]) => sum + lease.costs(end), 0n);
    if (posted < due || posted > due + overcharged)
      throw new Error(`${id} was posted ${posted}, and its ${ended.size} leases cost ${due}`);
  }

  /** The disk is as a restart finds it: what is posted is what it says. */
  reread(disk: FakeDisk): void {
    this.#seen = new WeakSet();
    this.#underWay.clear();
    this.#hadGap = true;
    this.#read = 0;
    for (const account of this.accounts.values()) {
      account.isDue = true;
      account.own = 0n;
      account.beside = 0n;
    }
    this.handed({ entries: disk.entries });
  }

  /** What each account with containers counts now, by period. */
  #counted(accounts: LocalAccounts, policy: Policy): ReadonlyMap<string, bigint> {
    const { at, balance } = accounts.view();
    const found = new Map<string, bigint>();
    for (const { id, about } of this.accounts.values()) {
      const container = { ...about, id, start: at, phase: "ready" } as const;
      for (const { account, ground } of coveringContainer(policy, factsOfContainer(container)))
        found.set(account, balance(account, periodFor(ground, at).start).settled);
    }
    return found;
  }

  #begun(account: Account, start: number, now: number): LeaseModel {
    const { machine } = account.about;
    const lastEnd = Math.max(start, ...account.ended.values());
    const from = Math.min(Math.max(lastEnd, this.lastUse.get(machine) ?? start), now);
    const use = this.uses.get(machine);
    const lease = use ?? this.#newLease(from);
    lease.start0 = start;
    lease.isStarting = use === undefined;
    lease.idle = account.about.idlePrice;
    if (use !== undefined) {
      this.uses.delete(machine);
      use.precede(from);
      for (const hold of use.guests.keys()) this.whose.set(this.holds.get(hold) ?? "", account.id);
    }
    return lease;
  }

  #newLease(start: number): LeaseModel {
    const lease = new LeaseModel(start);
    lease.isExclusive = this.#isExclusive;
    return lease;
  }

  #end(account: Account, told: number, accounts: LocalAccounts, say: () => void): void {
    // A crash may have undone that time; nothing ends later than now.
    const stop = Math.min(told, accounts.now());
    const lease = accounts.leases.find(account.id);
    const { known, id } = account;
    if (lease === undefined || known === undefined) throw new Error(`the ledger has lost the lease of ${id}`);
    say();
    const end = lease.sharing.lease.at;
    if (known.active > 0) {
      if (end < stop || end > Math.max(stop, accounts.now()))
        throw new Error(`${id} ended at ${end}, not ${stop}`);
      known.leaveAll(end);
    }
    known.watch(stop);
    const due = Math.max(stop, known.lastLeft ?? stop, known.start);
    if (end !== due) throw new Error(`the lease of ${id} ended at ${end}, and should have at ${due}`);
    account.ended.set(known, end);
    account.known = undefined;
    account.isDue = true;
  }

  named(machine: string | undefined): Account | undefined {
    return [...this.accounts.values()].find(({ names }) => names.get("machine")?.has(machine ?? ""));
  }

  #account({ id, about }: Machine): Account {
    const known = this.accounts.get(id);
    if (known !== undefined) return known;
    const account: Account = {
      ...{ id, names: new Map(), about, known: undefined, ended: new Map() },
      ...{ overcharged: 0n, own: 0n, beside: 0n, grown: { own: 0n, beside: 0n }, isDue: false },
    };
    this.accounts.set(id, account);
    this.#name(account, about);
    return account;
  }

  #name(account: Account, about: Machine["about"]): void {
    account.about = about;
    const { machine, upstream, provider, tier } = about;
    const own = { machine, upstream, provider, gpu_tier: tier };
    for (const [scope, name] of Object.entries(own) as ["machine", string | undefined][]) {
      if (name === undefined) continue;
      const names = account.names.get(scope) ?? new Set();
      account.names.set(scope, names.add(name));
    }
  }
}

const NOT_CHARGED: ReadonlySet<string> = new Set(["reserved", "extended", "released"]);
