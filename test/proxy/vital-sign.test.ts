// Who is to blame: which endings count against an upstream, which for it, and which say nothing.

import test from "ava";
import type { Ending } from "../../src/policy/admission.ts";
import type { Fault, Relayed, UnsentWhy } from "../../src/proxy/relayed.ts";
import { signOf } from "../../src/proxy/vital-sign.ts";

function unsent(why: UnsentWhy): Relayed {
  return { kind: "unsent", why, replayable: false, cause: new Error("connect ECONNREFUSED") };
}

function ended(
  outcome: Ending["outcome"],
  status: number | undefined,
  fault?: Fault["kind"],
  firstByteAfterMs: number | undefined = status === undefined ? undefined : 5,
): Relayed {
  return {
    kind: "ended",
    ending: { outcome, status, tokens: undefined },
    fault: fault === undefined ? undefined : ({ kind: fault, status: 0, reason: fault } as Fault),
    firstByteAfterMs,
    bytes: 0,
    headSent: false,
    finish: () => undefined,
    destroy: () => undefined,
  };
}

for (const [what, relayed, expected] of [
  ["a connection that failed", unsent("unreachable"), "ill, missed"],
  ["a request that could not be written", unsent("unsendable"), "unused"],
  ["a client that left before it was sent", unsent("client_gone"), "unused"],
  ["a cut before it was sent", unsent("cut"), "unused"],
  ["an answer", ended("relayed", 200), "well"],
  ["a request that was refused for what is in it", ended("relayed", 422), "well"],
  ["a 429", ended("relayed", 429), "well"],
  ["a 400 that is told in the gateway's words", ended("relayed", 400, "unreadable"), "well"],
  ["a 500, which may be about this one request", ended("relayed", 500), "unclear"],
  ["a 501", ended("relayed", 501), "unclear"],
  ["a 502", ended("relayed", 502), "ill"],
  ["a 503", ended("relayed", 503), "ill"],
  ["a 504 without words", ended("relayed", 504, "unreadable"), "ill"],
  ["a connection that broke before the head", ended("failed", undefined, "broken"), "ill"],
  ["no head in time", ended("failed", undefined, "timeout"), "ill"],
  ["a reply that broke off", ended("truncated", 200, "broken"), "unclear"],
  ["a reply that stalled", ended("truncated", 200, "timeout"), "unclear"],
  ["a client that left before the head", ended("aborted", undefined, "client_gone"), "unclear"],
  ["a client whose upload stalled", ended("aborted", undefined, "stalled"), "unclear"],
  ["a cut before the head", ended("cut", undefined, "cut"), "unclear"],
  ["a client that left in mid-reply", ended("aborted", 200, "client_gone"), "well"],
  ["a cut in mid-reply", ended("cut", 200, "cut"), "well"],
] as const) {
  test(`${what} is ${expected}`, (t) => {
    const sign = signOf(relayed);
    t.is(sign.kind === "ill" && sign.missed ? "ill, missed" : sign.kind, expected);
  });
}
