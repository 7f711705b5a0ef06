// Makes the hold of a request that was let through, and what is written of it before its first byte leaves.

import { type Instant, later } from "../metering/time.ts";
import type { Forward } from "../policy/decision.ts";
import { factsOf } from "../policy/match.ts";
import type { Task } from "../policy/task.ts";
import { heldChange, OpenHold, type Owner } from "./held.ts";
import { decisionRow, reservedEntry } from "./rows.ts";
import type { Unstamped } from "./store.ts";

/** It holds nothing yet. `number` tells apart the holds of one request. */
export function newHold(task: Task, decision: Forward, owner: Owner, number: number): OpenHold {
  const { quote, model, explanation } = decision;
  const { upstream } = quote;
  const row = {
    ...{ id: `${task.id}.${number}`, owner, request: task.id, version: 0, at: explanation.at },
    clientRequestId: task.clientRequestId,
    facts: factsOf({ ...task, model }, upstream),
    ...{ images: task.work.images, tokens: quote.tokens, price: upstream.price, machine: upstream.machine },
    ...{ amount: quote.hold, horizon: later(explanation.at, quote.span), claims: [], join: undefined },
    ...(quote.cold !== undefined && { isCold: true as const }),
  };
  return new OpenHold(row, quote.time);
}

export function reserveWrite(task: Task, decision: Forward, hold: OpenHold, at: Instant): Unstamped {
  return {
    entries: [reservedEntry(hold, at)],
    balances: hold.lasting(hold.claims().map(heldChange)),
    hold: [hold.toRow()],
    decision: decisionRow(task, decision, hold.row.facts),
  };
}
