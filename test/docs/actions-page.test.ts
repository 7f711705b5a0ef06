// docs/actions.md, run: its policy, two requests of each user, and what the page says they see. The README tells
// the same words.

import { readFileSync } from "node:fs";
import test from "ava";
import { startNim } from "../../src/demo/nim.ts";
import { startGateway } from "../support/gateway.ts";
import { askImage, type Reply } from "../support/gateway-client.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const PAGE = read("docs/actions.md");

function block(fence: string): string {
  return PAGE.split(`\`\`\`${fence}\n`)[1]?.split("\n```")[0] ?? "";
}

/** The day is that of this run. */
const plain = (line: string) => line.replace(/resets \S+ \S+/g, "resets DAY");

const HEADERS = ["X-BudgetGuard-Warning", "X-BudgetGuard-Degraded"];

function linesOf(user: string, { status, reason, headers }: Reply): string[] {
  const told = HEADERS.filter((name) => name.toLowerCase() in headers);
  const lines = [
    `HTTP/1.1 ${status} ${reason}`,
    ...told.map((name) => `${name}: ${headers[name.toLowerCase()]}`),
  ];
  return lines.map((line) => plain(`${user}  ${line}`));
}

test("each action of a budget says what the page shows, and the README the same", async (t) => {
  const nim = await startNim({ scale: 0 });
  const gateway = await startGateway(
    block("yaml file=actions.yaml").replaceAll("http://127.0.0.1:8000", nim.url),
  );
  t.teardown(async () => {
    await gateway.stop();
    await nim.close();
  });
  const seen: string[] = [];
  for (const user of ["ann", "bob", "cid", "dan", "eve", "fay"]) {
    const ask = () => askImage(gateway.url, { headers: { "X-BudgetGuard-User": user } });
    t.is((await ask()).status, 200);
    const second = await ask();
    seen.push(...linesOf(user, second));
    if (second.status === 402) t.is(second.headers["x-should-retry"], "false");
  }
  const shown = block("text seen").split("\n");
  t.deepEqual(seen, shown.map(plain));
  const readme = plain(read("README.md"));
  for (const line of seen.filter((one) => /^(?:bob|dan|fay) {2}(?:X-|HTTP\/1.1 402)/.test(one))) {
    t.true(readme.includes(line.slice("bob  ".length)), `the README does not say: ${line}`);
  }
});

test("E13: several limits under one name act as the page shows", async (t) => {
  const nim = await startNim({ scale: 0 });
  const policy = block("yaml file=actions.yaml")
    .replaceAll("http://127.0.0.1:8000", nim.url)
    .replace("price: { usd_per_request: 0.01 }", "price: { usd_per_request: 0.05 }")
    .replace(/^budgets:[\s\S]*/m, block("yaml file=film.yaml"));
  const gateway = await startGateway(`${policy}\n`);
  t.teardown(async () => {
    await gateway.stop();
    await nim.close();
  });
  const seen: string[] = [];
  for (const user of ["ann", "ann", "ann", "bob", "eve", "fay", "gil"]) {
    const headers = { "X-BudgetGuard-User": user, "X-BudgetGuard-Project": "film" };
    seen.push(...linesOf(user, await askImage(gateway.url, { headers })));
  }
  t.deepEqual(seen, block("text film").split("\n").map(plain));
});
