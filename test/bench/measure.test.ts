// A round of the bench over peers that cheat, cut and stall: none of them may look fast.

import { createServer, type RequestListener } from "node:http";
import test, { type ExecutionContext } from "ava";
import type { Load } from "../../bench/job.ts";
import { measureRound } from "../../bench/measure.ts";
import { infer } from "../../bench/traffic.ts";
import { listen, portOf } from "../support/sockets.ts";

const REPLY = "x".repeat(200);
const BRIEF: Load = { kind: "closed", connections: 2, ms: 50 };

test("replies that the upstream never made end the round", async (t) => {
  const round = roundOver(t, (_request, response) => void response.end(REPLY), 0);
  await t.throwsAsync(round(BRIEF), { message: /^the upstream made 0 of \d+ replies$/ });
});

test("a reply that is one byte short, or says 502, ends the round", async (t) => {
  const short = roundOver(t, (_request, response) => void response.end(REPLY.slice(1)), 1e9);
  await t.throwsAsync(short(BRIEF), {
    message: /not the reply that was asked for: HTTP\/1.1 200 OK, 199 bytes/,
  });
  const failing = roundOver(t, (_request, response) => void response.writeHead(502).end(REPLY), 1e9);
  await t.throwsAsync(failing(BRIEF), { message: /not the reply that was asked for: HTTP\/1.1 502/ });
});

test("a peer that breaks off ends the round", async (t) => {
  const round = roundOver(t, (request) => void request.socket.destroy(), 1e9);
  await t.throwsAsync(round(BRIEF), { message: /closed|ECONNRESET/ });
});

test("at a fixed rate a stall counts for everybody who would have asked meanwhile", async (t) => {
  let asked = 0;
  const round = roundOver(
    t,
    (_request, response) => {
      asked += 1;
      // The first one warms the connection.
      setTimeout(() => response.end(REPLY), asked === 2 ? STALL_MS : 0);
    },
    1e9,
  );
  const { p50Ms, replies } = await round({ kind: "open", connections: 1, perSecond: 100, ms: 600 });
  t.is(replies, 60);
  t.true(p50Ms > 20, `two thirds were due during the stall, and half of all waited ${p50Ms} ms`);
});

const STALL_MS = 400;

/** `made`: what the upstream says that it has made by then. */
function roundOver(t: ExecutionContext, answer: RequestListener, made: number) {
  const server = createServer((request, response) => {
    request.resume();
    answer(request, response);
  });
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return async (load: Load) => {
    await listen(server);
    let asked = 0;
    const peer = { port: portOf(server), headers: {}, pids: () => [process.pid], close: async () => {} };
    const upstream = {
      direct: peer,
      counted: async () => {
        asked += 1;
        return { requests: asked === 1 ? 0 : made, bodyBytes: 0 };
      },
    };
    const job = { port: peer.port, headers: {}, ask: infer(140, 200), load };
    return measureRound(peer, upstream, job, [], 10);
  };
}
