// Where every alert of the house is raised: told once, kept in the ledger, handed on to the webhooks. Whoever
// raises one waits for nothing.
//
// Invariant: what was told in a period that is not over is never told again, after a restart neither. Where
// so many are remembered that the oldest are forgotten, the ledger's unique key keeps the list right.

import { randomBytes } from "node:crypto";
import type { Metrics } from "../admin/metrics.ts";
import type { AlertMemory, AlertRow } from "../ledger/alert-rows.ts";
import type { Outbox } from "../ledger/outbox.ts";
import { between, type Instant, MINUTE } from "../metering/time.ts";
import { type Alert, onceKey } from "../policy/alert.ts";
import type { Webhook } from "../policy/settings.ts";
import type { Logger } from "./log.ts";
import type { WebhookDesk } from "./webhook-desk.ts";
import { webhookName } from "./webhook-post.ts";

export interface DeskParts {
  readonly outbox: Pick<Outbox, "write">;
  readonly webhooks: Pick<WebhookDesk, "send">;
  readonly metrics: Pick<Metrics, "alert">;
  readonly log: Pick<Logger, "warn">;
  /** Of the policy in force. */
  configured(): readonly Webhook[];
  now(): Instant;
}

/** Sessions and tasks never turn. */
const MOST_TOLD = 100_000;
/** A crowd of users that all run out at once is told at this pace; the sweep finds who is left. */
const MOST_A_MINUTE = 120;
/** Nobody raises these again later, and a crowd must not hide them; each is once an hour at most. */
const OF_THE_HOUSE: ReadonlySet<Alert["event"]> = new Set(["ledger", "policy"]);

export class AlertDesk {
  readonly #parts: DeskParts;
  /** The end of the period by what was told, oldest first. */
  readonly #told = new Map<string, Instant>();
  #minute: { readonly since: Instant; raised: number } | undefined;

  constructor(parts: DeskParts, told: AlertMemory["told"]) {
    this.#parts = parts;
    for (const { once, end } of told) this.#told.set(once, end);
  }

  isTold(once: string): boolean {
    return this.#told.has(once);
  }

  /** False where it was told before, or where too many are told already: raise it again later. */
  raise(alert: Alert): boolean {
    const { outbox, webhooks, metrics, log, configured, now } = this.#parts;
    const once = onceKey(alert);
    const at = now();
    if (this.#told.has(once) || (!OF_THE_HOUSE.has(alert.event) && !this.#mayTell(at))) return false;
    this.#remember(once, alert.period.end, at);
    const wanted = configured().filter(({ events }) => events.includes(alert.event));
    const deliveries = Object.fromEntries(wanted.map((hook) => [webhookName(hook), "pending" as const]));
    const id = `a-${randomBytes(16).toString("hex")}`;
    const row: AlertRow = { ...alert, id, at, version: 1, deliveries };
    metrics.alert(alert.event);
    log.warn({ alert: id, event: alert.event, subject: alert.subject }, alert.text);
    // A disk that refuses it is tried again by the outbox; whoever should know of it is told all the same.
    const send = () => webhooks.send(row);
    outbox.write({ alerts: [row] }).then(send, send);
    return true;
  }

  #mayTell(at: Instant): boolean {
    if (this.#minute === undefined || between(this.#minute.since, at) >= MINUTE) {
      this.#minute = { since: at, raised: 0 };
    }
    this.#minute.raised += 1;
    return this.#minute.raised <= MOST_A_MINUTE;
  }

  #remember(once: string, end: Instant, at: Instant): void {
    this.#told.set(once, end);
    if (this.#told.size <= MOST_TOLD) return;
    for (const [key, ends] of this.#told) if (ends <= at) this.#told.delete(key);
    const [oldest] = this.#told.keys();
    if (this.#told.size > MOST_TOLD && oldest !== undefined) this.#told.delete(oldest);
  }
}
