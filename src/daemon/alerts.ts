// The alerts of the house, opened: what the ledger remembers, who watches, who is told. Everything here runs
// beside the requests, and none of it can hold one up.

import type { AlertRecord, AlertsAsked, AlertsFound } from "../admin/house.ts";
import type { Metrics } from "../admin/metrics.ts";
import { periodOf } from "../metering/period.ts";
import { earlier, type Instant } from "../metering/time.ts";
import type { Alert } from "../policy/alert.ts";
import { ruleAlerts } from "../policy/alert-rules.ts";
import type { Policy } from "../policy/policy.ts";
import { AlertDesk } from "./alert-desk.ts";
import { spendHistory } from "./alert-history.ts";
import { AlertWatch } from "./alert-watch.ts";
import type { Books } from "./books.ts";
import type { Logger } from "./log.ts";
import { Secrets } from "./secrets.ts";
import { PACE, WebhookDesk } from "./webhook-desk.ts";

export interface AlertParts {
  readonly books: Books;
  readonly metrics: Metrics;
  readonly log: Logger;
  policy(): Policy;
  now(): Instant;
  /** Calls back each time that so long has passed; the returned call ends it. A test passes its own. */
  readonly every?: (milliseconds: number, call: () => void) => () => void;
}

/** The origin's own. Rules are looked at with each sweep, balances whenever they move too. */
const SWEEP_MS = 30 * 60_000;

export class Alerts {
  readonly #parts: AlertParts;
  readonly #desk: AlertDesk;
  readonly #webhooks: WebhookDesk;
  readonly #watch: AlertWatch;
  readonly #stopSweeping: () => void;
  #rules: Promise<void> = Promise.resolve();

  static async open(parts: AlertParts): Promise<Alerts> {
    const at = parts.now();
    const memory = await parts.books.reader.alertMemory(at, earlier(at, PACE.oldest));
    for (const { event, count } of memory.counts) parts.metrics.alert(event, count);
    return new Alerts(parts, memory);
  }

  private constructor(parts: AlertParts, memory: Awaited<ReturnType<Books["reader"]["alertMemory"]>>) {
    this.#parts = parts;
    const { books, metrics, log, policy, now } = parts;
    const { outbox } = books.accounts;
    const configured = () => policy().alerts?.webhooks ?? [];
    const secrets = new Secrets((why) => log.warn(`a webhook's address is missing: ${why}`));
    const secretOf: Secrets["of"] = (ref) => secrets.of(ref);
    const random = Math.random;
    this.#webhooks = new WebhookDesk({ outbox, metrics, log, configured, secretOf, now, random });
    this.#desk = new AlertDesk(
      { outbox, webhooks: this.#webhooks, metrics, log, configured, now },
      memory.told,
    );
    this.#watch = new AlertWatch({ accounts: books.accounts, desk: this.#desk, policy, now });
    books.hooks.onOutage = () => this.#ledgerFails();
    for (const row of memory.pending) this.#webhooks.send(row);
    this.#stopSweeping = (parts.every ?? everyNow)(SWEEP_MS, () => this.sweep());
    this.sweep();
  }

  /** What any room has to tell; once in its period. */
  raise(alert: Alert): boolean {
    return this.#desk.raise(alert);
  }

  /** At start, after a reload, and every half hour. */
  sweep(): void {
    this.#watch.sweep();
    this.#rules = this.#rules.then(() => this.#lookAtRules());
  }

  /** Once an hour, however often a file with problems is saved. */
  policyRefused(problems: number): void {
    const { policy, now } = this.#parts;
    const { timezone } = policy();
    const count = problems === 1 ? "a problem" : `${problems} problems`;
    this.raise({
      ...{ event: "policy", severity: "critical", topic: "policy", subject: "reload" },
      ...{ value: undefined, unit: undefined, timezone, period: periodOf("hourly", timezone, 1, now()) },
      text: `the policy file has ${count}; the last good policy stays in force`,
      advice: "budgetguard check names each with its line",
      figures: { problems: String(problems) },
    });
  }

  /** Of a policy that is in force: ports that another program has. */
  policyHalf(problems: readonly string[]): void {
    const { policy, now } = this.#parts;
    const { timezone } = policy();
    this.raise({
      ...{ event: "policy", severity: "critical", topic: "policy", subject: "listeners" },
      ...{ value: undefined, unit: undefined, timezone, period: periodOf("hourly", timezone, 1, now()) },
      text: `the new policy is in force, but ${problems[0] ?? "not all of it works"}`,
      advice: "put it right, then save the file again or send a SIGHUP",
      figures: { problems: String(problems.length) },
    });
  }

  async list({ limit, before, where }: AlertsAsked): Promise<AlertsFound> {
    const found = await this.#parts.books.reader.alerts({ limit, before, where });
    return { rows: found.slice(0, limit), more: found.length > limit };
  }

  async acknowledge(id: string, by: string): Promise<AlertRecord | undefined> {
    const { reader, store } = this.#parts.books;
    const known = await reader.alert(id);
    if (known === undefined || known.acknowledged !== undefined) return known;
    await store.acknowledgeAlert(id, by, this.#parts.now());
    return reader.alert(id);
  }

  /** Before the ledger is closed. */
  async close(): Promise<void> {
    this.#stopSweeping();
    await this.#webhooks.close();
    await this.#rules;
  }

  /** Once an hour: a disk that comes and goes is one story. */
  #ledgerFails(): void {
    const { policy, now } = this.#parts;
    const { timezone } = policy();
    this.raise({
      ...{ event: "ledger", severity: "critical", topic: "ledger", subject: "disk" },
      ...{ value: undefined, unit: undefined, timezone, period: periodOf("hourly", timezone, 1, now()) },
      text: "the ledger cannot be written, so work that costs money is refused",
      advice: "look at the log and at the disk that the data folder is on",
      figures: {},
    });
  }

  async #lookAtRules(): Promise<void> {
    const { books, log, policy, now } = this.#parts;
    const { timezone, alerts } = policy();
    try {
      const history = await spendHistory(books.reader, timezone, now());
      for (const alert of ruleAlerts(alerts?.rules, history)) this.raise(alert);
    } catch (error) {
      // A reader that is closed, or a disk that fails: the next sweep asks again.
      log.warn({ err: error }, "the rules of alerts could not be looked at");
    }
  }
}

/** It keeps no process alive. */
function everyNow(milliseconds: number, call: () => void): () => void {
  const timer = setInterval(call, milliseconds).unref();
  return () => clearInterval(timer);
}
