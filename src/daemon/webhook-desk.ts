// Tells webhooks, each in turn and as long as it takes within bounds: a receiver that fails or hangs is tried
// again later and later, and holds up nobody else. What is left at the end goes on after a restart, so that
// a receiver may hear an alert twice: its id says that it is the same.
//
//   pending ──► delivered
//      └─► failed            refused for good, too old, tried too often, or the queue was full

import { setTimeout as sleep } from "node:timers/promises";
import { Agent } from "undici";
import type { Metrics } from "../admin/metrics.ts";
import type { AlertRow, Delivery } from "../ledger/alert-rows.ts";
import type { Outbox } from "../ledger/outbox.ts";
import { DAY, type DurationUs, earlier, type Instant } from "../metering/time.ts";
import { messageOf } from "../policy/alert-message.ts";
import type { SecretRef } from "../policy/policy.ts";
import type { Webhook } from "../policy/settings.ts";
import { connector } from "../proxy/pools.ts";
import type { Logger } from "./log.ts";
import { type Posted, post, webhookName } from "./webhook-post.ts";

export interface WebhookParts {
  readonly outbox: Pick<Outbox, "write">;
  readonly metrics: Pick<Metrics, "delivery" | "undelivered">;
  readonly log: Pick<Logger, "info" | "warn" | "error">;
  /** Of the policy in force: one that it no longer names is told nothing more. */
  configured(): readonly Webhook[];
  secretOf(ref: SecretRef): string | undefined;
  now(): Instant;
  random(): number;
}

export interface Pace {
  readonly timeoutMs: number;
  /** Before the second attempt; it doubles with each. */
  readonly firstMs: number;
  readonly longestMs: number;
  /** What a receiver asks for in Retry-After is granted up to this. */
  readonly grantedMs: number;
  readonly attempts: number;
  /** Of an alert: older ones are not worth telling. */
  readonly oldest: DurationUs;
  /** Alerts that wait for one webhook. */
  readonly queued: number;
}

export const PACE: Pace = {
  timeoutMs: 10_000,
  firstMs: 1_000,
  longestMs: 15 * 60_000,
  grantedMs: 3_600_000,
  attempts: 30,
  oldest: DAY,
  queued: 500,
};

/** One alert, which several webhooks are told. */
interface Told {
  row: AlertRow;
}

interface Line {
  readonly waiting: Told[];
  isFailing: boolean;
}

export class WebhookDesk {
  readonly #parts: WebhookParts;
  readonly #pace: Pace;
  readonly #lines = new Map<string, Line>();
  readonly #stopping = new AbortController();
  readonly #agent: Agent;

  constructor(parts: WebhookParts, pace: Pace = PACE) {
    this.#parts = parts;
    this.#pace = pace;
    // The ways to places that hand out credentials are closed, as they are for upstreams.
    this.#agent = new Agent({ connect: connector(pace.timeoutMs) });
  }

  /** To whoever is pending in it. Returns at once. */
  send(row: AlertRow): void {
    if (this.#stopping.signal.aborted) return;
    const told: Told = { row };
    for (const [name, state] of Object.entries(row.deliveries)) {
      if (state === "pending") this.#queue(name, told);
    }
    this.#count();
  }

  /** What is under way is broken off, and stays pending. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#agent.destroy();
  }

  #queue(name: string, told: Told): void {
    const { log } = this.#parts;
    const line = this.#lines.get(name);
    if (line === undefined) {
      const begun = { waiting: [told], isFailing: false };
      this.#lines.set(name, begun);
      this.#work(name, begun).catch((error) => log.error({ err: error }, "the gateway made a mistake"));
    } else if (line.waiting.length < this.#pace.queued) line.waiting.push(told);
    else this.#end(name, told, { kind: "failed", why: "too many alerts wait for it" });
  }

  /** One at a time, in order: an alert is told before what followed from it. */
  async #work(name: string, line: Line): Promise<void> {
    for (let told = line.waiting[0]; told !== undefined; told = line.waiting[0]) {
      const ended = await this.#deliver(name, line, told);
      if (ended === undefined) return;
      line.waiting.shift();
      this.#end(name, told, ended);
      this.#count();
    }
    this.#lines.delete(name);
  }

  /** Undefined where the daemon stops meanwhile. */
  async #deliver(name: string, line: Line, { row }: Told): Promise<Ended | undefined> {
    const { attempts, oldest } = this.#pace;
    const { signal } = this.#stopping;
    let why = "it is too old";
    for (let attempt = 1; attempt <= attempts; attempt += 1) {
      if (row.at < earlier(this.#parts.now(), oldest)) break;
      const posted = await this.#attempt(name, row);
      if (signal.aborted && posted.kind !== "delivered") return undefined;
      this.#tell(name, line, posted);
      if (posted.kind === "delivered") return posted;
      why = posted.why;
      if (posted.kind === "never") break;
      if (attempt === attempts) break;
      try {
        await sleep(this.#delay(attempt, posted.afterMs), undefined, { signal, ref: false });
      } catch {
        // Only the end of the daemon breaks a sleep.
        return undefined;
      }
    }
    return { kind: "failed", why };
  }

  async #attempt(name: string, row: AlertRow): Promise<Posted> {
    const hook = this.#parts.configured().find((one) => webhookName(one) === name);
    if (hook === undefined) return { kind: "never", why: "the policy no longer names it" };
    const address = this.#parts.secretOf(hook.url);
    if (address === undefined) return { kind: "later", why: "its address is missing", afterMs: undefined };
    return post({
      address,
      message: messageOf(row, hook.format),
      dispatcher: this.#agent,
      timeoutMs: this.#pace.timeoutMs,
      stopping: this.#stopping.signal,
    });
  }

  /** Doubles, and lies anywhere in its upper half, so that many gateways do not come at once. */
  #delay(attempt: number, askedMs: number | undefined): number {
    const { firstMs, longestMs, grantedMs } = this.#pace;
    const most = Math.min(firstMs * 2 ** (attempt - 1), longestMs);
    const own = most / 2 + (most / 2) * this.#parts.random();
    return Math.round(Math.max(own, Math.min(askedMs ?? 0, grantedMs)));
  }

  /** One line when it begins to fail, and one when it goes on. */
  #tell(name: string, line: Line, posted: Posted): void {
    const { log } = this.#parts;
    if (posted.kind === "delivered") {
      if (line.isFailing) log.info({ webhook: name }, "the webhook takes alerts again");
      line.isFailing = false;
    } else if (!line.isFailing) {
      log.warn({ webhook: name, why: posted.why }, "an alert could not be delivered yet");
      line.isFailing = true;
    }
  }

  #end(name: string, told: Told, ended: Ended): void {
    const { outbox, metrics, log } = this.#parts;
    const { row } = told;
    if (ended.kind === "failed") {
      log.warn({ webhook: name, alert: row.id, why: ended.why }, "an alert is not delivered");
    }
    metrics.delivery(ended.kind);
    const deliveries: Record<string, Delivery> = { ...row.deliveries, [name]: ended.kind };
    told.row = { ...row, version: row.version + 1, deliveries };
    // Kept by the outbox where the disk refuses it: at worst it is told twice.
    outbox.write({ alerts: [told.row] }).catch(() => undefined);
  }

  #count(): void {
    let waiting = 0;
    for (const line of this.#lines.values()) waiting += line.waiting.length;
    this.#parts.metrics.undelivered(waiting);
  }
}

type Ended = { readonly kind: "delivered" } | { readonly kind: "failed"; readonly why: string };
