// The searcher is searched: it finds what it is to find, wherever that stands.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { assertNoCanary, assertNoCanaryIn, CANARY } from "./canary.ts";

test("a canary is found in a text, in Basic credentials, and in a file of a folder's folder", (t) => {
  t.notThrows(() => assertNoCanary("a text", "nothing"));
  t.throws(() => assertNoCanary("a text", `{"prompt":"a ${CANARY} b"}`), { message: /a text: .*prompt/ });
  for (const lead of ["", "u", "us", "use"]) {
    const basic = Buffer.from(`${lead}:${CANARY}:x`).toString("base64");
    t.throws(() => assertNoCanary("a header", `Basic ${basic}`), undefined, lead);
  }
  const folder = mkdtempSync(join(tmpdir(), "budgetguard-canary-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "deep"));
  writeFileSync(join(folder, "deep", "a.bin"), Buffer.from(`\0\xff${CANARY}\0`, "latin1"));
  t.throws(() => assertNoCanaryIn(folder), { message: /a\.bin/ });
  t.notThrows(() => assertNoCanaryIn(join(folder, "gone")));
});
