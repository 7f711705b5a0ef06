// A gateway of nothing but listener and tunnel: the test itself plays the ledger, and sees when its clock was
// started and stopped.

import type { ExecutionContext } from "ava";
import type { Upstream } from "../../src/policy/policy.ts";
import { Listeners } from "../../src/proxy/listener.ts";
import type { Relayed } from "../../src/proxy/relayed.ts";
import { tunnel } from "../../src/proxy/tunnel.ts";
import { answerRaw } from "../../src/proxy/tunnel-door.ts";
import { upstreamAt } from "./relay-rig.ts";

export interface TunnelRig {
  readonly port: number;
  /** begin and stop of the reservations, in the order of their calls. */
  readonly clock: readonly string[];
  /** Those that ended, in order. */
  readonly ended: readonly Relayed[];
  /** Of the tunnel that was asked for last. */
  control(): AbortController;
}

export async function tunnelRig(
  t: ExecutionContext,
  url: string,
  changes: Partial<Upstream> = {},
  connections = 1024,
): Promise<TunnelRig> {
  const clock: string[] = [];
  const ended: Relayed[] = [];
  let control = new AbortController();
  const rules = { hosts: [], origins: [], body: 1000, connections };
  const listeners = new Listeners(
    (_request, response) => response.writeHead(200, { "content-length": 5 }).end("plain"),
    () => rules,
    () => {},
    {
      tunnel: async ({ request, socket, head }, _place, path) => {
        control = new AbortController();
        const relayed = await tunnel({
          upstream: upstreamAt(url, changes),
          held: {
            begin: () => void clock.push("begin"),
            bySlice: () => void clock.push("by slice"),
            stop: () => void clock.push("stop"),
          },
          path,
          rawHeaders: request.rawHeaders,
          client: socket,
          head,
          replyHeaders: [["X-BudgetGuard-Upstream", "up"]],
          requestId: "r-test",
          rewriteModel: changes?.model,
          secretOf: () => "upstream-secret",
          signal: control.signal,
        });
        if (relayed.kind === "unsent") {
          answerRaw(socket, { kind: "unsent", upstream: "up", why: relayed.why, cause: relayed.cause });
        } else if (relayed.fault === undefined) relayed.finish();
        else if (relayed.headSent) relayed.destroy();
        else answerRaw(socket, { kind: "fault", upstream: "up", fault: relayed.fault });
        ended.push(relayed);
      },
    },
  );
  t.teardown(() => listeners.close(0));
  await listeners.adopt([{ address: "127.0.0.1:0" }]);
  return { port: listeners.addresses()[0]?.port ?? 0, clock, ended, control: () => control };
}
