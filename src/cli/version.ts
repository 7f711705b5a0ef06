// `budgetguard version`: of the package and of the Node that runs it.

import { readFileSync } from "node:fs";
import type { DefineCommand } from "./define-command.ts";
import { EXIT } from "./exit-code.ts";
import { say, sayJson } from "./terminal.ts";

export const defineVersion: DefineCommand = (command, { out }, end) => {
  command
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  $ budgetguard version")
    .action(({ json }: { json?: true }) => {
      const found = {
        version: packageVersion(),
        node: process.versions.node,
        platform: `${process.platform} ${process.arch}`,
      };
      if (json) sayJson(out, found);
      else say(out, `budgetguard ${found.version} (Node ${found.node}, ${found.platform})`);
      end(EXIT.ok);
    });
};

export function packageVersion(): string {
  const file = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return String((JSON.parse(file) as { version: unknown }).version);
}
