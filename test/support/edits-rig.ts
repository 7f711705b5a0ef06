// A gateway with one upstream at 0.04 USD a request, for edits of its budgets: what passes, how a budget
// stands, and at the end whether the ledger adds up.

import type { ExecutionContext } from "ava";
import type { BudgetEdit, Edited } from "../../src/daemon/budget-edits.ts";
import { openLedgerToRead } from "../../src/ledger/sqlite-open.ts";
import { verify } from "../../src/ledger/verify.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { askImage } from "./gateway-client.ts";
import { makeFolder } from "./gateway-folder.ts";
import { slowUpstream } from "./slow-upstream.ts";

/** `budgets`: the lines of the policy's last key. */
export async function beginEdits(t: ExecutionContext, budgets: string) {
  const upstream = await slowUpstream();
  upstream.release("all");
  const folder = makeFolder(`version: 1
timezone: UTC
upstreams:
  flux-dear: { provider: aws, url: "${upstream.url}", price: { usd_per_request: 0.04 } }
models:
  flux-dev: { upstreams: [flux-dear] }
budgets:
${budgets}`);
  let gateway: Gateway | undefined = await startGateway(undefined, { folder });
  t.teardown(async () => {
    await gateway?.stop();
    await upstream.stop();
    const ledger = openLedgerToRead(folder.dataPath);
    const { ok, checks } = verify(ledger);
    ledger.close();
    folder.remove();
    if (!ok)
      throw new Error(
        JSON.stringify(
          checks.flatMap(({ findings }) => findings.map(({ what, where }) => `${what}: ${where}`)),
        ),
      );
  });
  const ask = async (user = "ann") => {
    const { status } = await askImage((gateway as Gateway).url, { headers: { "X-BudgetGuard-User": user } });
    return status;
  };
  const edit = (change: BudgetEdit): Promise<Edited> =>
    (gateway as Gateway).daemon.byHand.edits.edit(change, "ops", "a deadline");
  const standing = async (id: string) => {
    const { budgets: all } = await (gateway as Gateway).client.status();
    const one = all.find((budget) => budget.id === id);
    return `${one?.settled} of ${one?.limit}`;
  };
  const restart = async () => {
    await gateway?.stop();
    gateway = await startGateway(undefined, { folder });
  };
  return { folder, ask, edit, standing, restart, gateway: () => gateway as Gateway };
}
