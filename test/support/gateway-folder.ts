// A place for one gateway of a test: a fresh folder with its policy file and its data, deleted at the end.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listen, portOf } from "./sockets.ts";

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

/** A port of loopback that nobody has at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await listen(server);
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}
