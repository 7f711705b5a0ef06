// Answers questions about the ledger in a thread of its own, so that a long one stalls neither the relay
// nor the writer.

import { parentPort, workerData } from "node:worker_threads";
import type { Instant } from "../metering/time.ts";
import { adjustmentsOf } from "./adjustments.ts";
import { type AlertsQuestion, alert, alertMemory, alerts } from "./alert-rows.ts";
import { hours, type RecordsQuestion, record, records, type SumsQuestion, sums, turns } from "./queries.ts";
import { type SpentQuestion, spent } from "./spent.ts";
import { openLedgerToRead } from "./sqlite-open.ts";
import { imbalanceOf } from "./verify-machines.ts";

export type Question =
  | { readonly kind: "sums"; readonly question: SumsQuestion }
  | { readonly kind: "records"; readonly question: RecordsQuestion }
  | { readonly kind: "record"; readonly id: string }
  | { readonly kind: "spent"; readonly question: SpentQuestion }
  | { readonly kind: "turns"; readonly name: string; readonly limit: number }
  | { readonly kind: "hours"; readonly from: Instant; readonly to: Instant }
  | { readonly kind: "alerts"; readonly question: AlertsQuestion }
  | { readonly kind: "alert"; readonly id: string }
  | { readonly kind: "imbalance" }
  | { readonly kind: "adjustments"; readonly budget: string; readonly from: Instant }
  | { readonly kind: "alertMemory"; readonly at: Instant; readonly since: Instant };

export interface Asked {
  readonly id: number;
  readonly question: Question;
}

export type Answer =
  | { readonly id: number; readonly ok: true; readonly answer: unknown }
  | { readonly id: number; readonly ok: false; readonly message: string };

const port = parentPort;
if (port === null) throw new Error("reader-worker.ts runs only as a worker thread");
const database = openLedgerToRead((workerData as { folder: string }).folder);

port.on("message", (asked: Asked | "close") => {
  if (asked === "close") {
    database.close();
    port.close();
    return;
  }
  try {
    port.postMessage({ id: asked.id, ok: true, answer: answer(asked.question) } satisfies Answer);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    port.postMessage({ id: asked.id, ok: false, message } satisfies Answer);
  }
});

function answer(question: Question): unknown {
  switch (question.kind) {
    case "sums":
      return sums(database, question.question);
    case "records":
      return records(database, question.question);
    case "record":
      return record(database, question.id);
    case "spent":
      return spent(database, question.question);
    case "turns":
      return turns(database, question.name, question.limit);
    case "hours":
      return hours(database, question.from, question.to);
    case "alerts":
      return alerts(database, question.question);
    case "alert":
      return alert(database, question.id);
    case "imbalance":
      return imbalanceOf(database);
    case "adjustments":
      return adjustmentsOf(database, question.budget, question.from);
    case "alertMemory":
      return alertMemory(database, question.at, question.since);
  }
}
