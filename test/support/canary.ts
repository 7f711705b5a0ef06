// A word that stands in every prompt, credential and private header that the tests send, and may stand
// nowhere that a gateway writes. Each gateway of the tests is searched for it when it stops.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export const CANARY = "bgcanary5e1f0c7d";
/** As Basic credentials carry it, wherever it begins in a group of three bytes. */
const FORMS: readonly string[] = [
  CANARY,
  ...[0, 1, 2].map((lead) => {
    const coded = Buffer.from("x".repeat(lead) + CANARY).toString("base64");
    return coded.slice(lead === 0 ? 0 : 4, -4);
  }),
];

/** The environment of every gateway has it: a dump of that would show it. */
export const CANARY_ENV = { BUDGETGUARD_TEST_SECRET: CANARY };

/** What a client of the tests sends where a test says nothing else. None of it is an upstream's to see. */
export const CANARY_HEADERS = {
  Cookie: `session=${CANARY}`,
  "Proxy-Authorization": `Basic ${Buffer.from(`user:${CANARY}`).toString("base64")}`,
};

/** Throws where it stands in a text; `what` names the text. */
export function assertNoCanary(what: string, text: string | Buffer): void {
  const whole = typeof text === "string" ? text : text.toString("latin1");
  const at = Math.max(...FORMS.map((form) => whole.indexOf(form)));
  if (at === -1) return;
  throw new Error(`a secret stands in ${what}: ...${whole.slice(Math.max(0, at - 80), at + 80)}...`);
}

/** Every file of a folder, at any depth. One that is deleted meanwhile holds nothing. */
export function assertNoCanaryIn(folder: string): void {
  for (const { path, bytes } of filesOf(folder)) assertNoCanary(path, bytes);
}

const PATHS = ["/metrics", "/healthz", "/readyz", "/api/openapi.json"];
const API = [
  "status",
  "requests?limit=100",
  "alerts?limit=100",
  "usage",
  "spend",
  "mode",
  "policy",
  "credentials/status",
  "health",
  "prices?limit=1000",
];
/** Explanations are many and alike; the newest are read. */
const MOST_EXPLAINED = 30;

/** What the admin surface says. One that is not there any more says nothing. */
export async function assertNoCanaryAt(admin: string, token: string): Promise<void> {
  const read = async (path: string) => {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(admin + path, { headers }).catch(() => undefined);
    const text = (await answer?.text().catch(() => "")) ?? "";
    assertNoCanary(path, text);
    return text;
  };
  for (const path of [...PATHS, ...API.map((each) => `/api/v1/${each}`)]) await read(path);
  const ids = [...(await read("/api/v1/requests?limit=100")).matchAll(/"id":"([^"]+)"/g)].map(([, id]) => id);
  for (const id of ids.slice(0, MOST_EXPLAINED)) await read(`/api/v1/requests/${id}`);
}

function filesOf(folder: string): { path: string; bytes: Buffer }[] {
  try {
    return readdirSync(folder, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .flatMap((path) => {
        const bytes = contentOf(path);
        return bytes === undefined ? [] : [{ path, bytes }];
      });
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function contentOf(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return (
    error instanceof Error && "code" in error && ["ENOENT", "ENOTDIR", "EACCES"].includes(`${error.code}`)
  );
}
