// What operators do to budgets by hand, wired: edits and allocations. API and command line ask here.

import type { Instant } from "../metering/time.ts";
import type { Alerts } from "./alerts.ts";
import type { Books } from "./books.ts";
import { BudgetEdits, type EditParts } from "./budget-edits.ts";
import { after, type DataPlane } from "./data-plane.ts";
import { EDITED } from "./edit-record.ts";
import type { InForce } from "./in-force.ts";
import type { Logger } from "./log.ts";
import { ManualAllocations } from "./manual-allocations.ts";
import { type RewriteParts, rewritePolicy } from "./policy-rewrite.ts";
import { digestOf, readText } from "./policy-text.ts";
import { parseRaises, RAISES } from "./raises.ts";

export interface ByHand {
  readonly edits: BudgetEdits;
  readonly allocations: ManualAllocations;
}

export interface ByHandParts extends RewriteParts {
  readonly books: Books;
  readonly inForce: InForce;
  readonly plane: Pick<DataPlane, "turn" | "balances">;
  readonly alerts: Pick<Alerts, "sweep">;
  readonly log: Logger;
  now(): Instant;
}

export function openByHand(parts: ByHandParts): ByHand {
  const { books, inForce, plane, alerts, log, now } = parts;
  const { accounts, store, stored } = books;
  const turn = () => {
    plane.turn();
    alerts.sweep();
  };
  const rewrite: EditParts["rewrite"] = (change, begin) => rewritePolicy(parts, change, begin);
  const digest = () => {
    const found = readText(parts.path);
    return found.kind === "problems" ? undefined : digestOf(found.text);
  };
  const raises = parseRaises(stored.switches.get(RAISES));
  const edits = new BudgetEdits({ inForce, accounts, store, log, now, after, turn, rewrite, digest }, raises);
  edits.resume(stored.switches.get(EDITED));
  return {
    edits,
    allocations: new ManualAllocations({ accounts, log, balances: () => plane.balances() }),
  };
}
