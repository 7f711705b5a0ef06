// A place for one gateway of a test: a fresh folder with its policy file and its data, deleted at the end.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface GatewayFolder {
  readonly path: string;
  readonly policyPath: string;
  readonly dataPath: string;
  /** Writes the policy file in place. */
  save(text: string): void;
  remove(): void;
}

export function makeFolder(policy: string): GatewayFolder {
  const path = mkdtempSync(join(tmpdir(), "budgetguard-e2e-"));
  const policyPath = join(path, "policy.yaml");
  const save = (text: string) => writeFileSync(policyPath, text);
  save(policy);
  const remove = () => rmSync(path, { recursive: true, force: true });
  return { path, policyPath, dataPath: join(path, "data"), save, remove };
}
