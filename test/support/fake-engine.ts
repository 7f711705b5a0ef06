// A Docker Engine of one container, over a unix socket: it answers what it is told to, word for word.

import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionContext } from "ava";

export type EngineAnswer = readonly [status: number, body: unknown];

export interface FakeEngine {
  readonly socket: string;
  /** "POST /v1.40/containers/nim/start" */
  readonly asked: readonly string[];
  /** By method and path; a string is sent as it is, "hang" never answers; a function is asked each time. */
  answers: Record<string, EngineAnswer | "hang" | (() => EngineAnswer | Promise<EngineAnswer>)>;
  /** Event streams that are open. */
  readonly streams: Set<ServerResponse>;
}

export async function fakeEngine(t: Pick<ExecutionContext, "teardown">): Promise<FakeEngine> {
  const folder = mkdtempSync(join(tmpdir(), "bg-engine-"));
  const asked: string[] = [];
  const streams = new Set<ServerResponse>();
  const socket = join(folder, "docker.sock");
  const engine: FakeEngine = { socket, asked, answers: {}, streams };
  const server = createServer(async (request, response) => {
    const what = `${request.method} ${(request.url ?? "").replace(/\?.*/, "")}`;
    asked.push(`${request.method} ${request.url}`);
    if (what.endsWith("/events")) {
      streams.add(response.writeHead(200));
      response.flushHeaders();
      response.once("close", () => streams.delete(response));
      return;
    }
    const answer = engine.answers[what] ?? [404, { message: "page not found" }];
    if (answer === "hang") return;
    const [status, body] = typeof answer === "function" ? await answer() : answer;
    const text = typeof body === "string" ? body : JSON.stringify(body);
    response.writeHead(status, { "content-type": "application/json" }).end(body === undefined ? "" : text);
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return engine;
}
