// An upstream that answers when the test says so, and notes who was there, when, and how many at once. It is ready
// for probes at once, and counts them apart.

import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import { freePort } from "./free-port.ts";

export interface SlowUpstream {
  readonly url: string;
  /** X-Name of every request, in the order of arrival. */
  readonly seen: readonly string[];
  /** Milliseconds of their arrival. */
  readonly times: readonly number[];
  readonly probes: () => number;
  /** Requests that have no answer yet. */
  running(): number;
  /** The most that ever ran at once. */
  most(): number;
  /** Answers the oldest one, or from now on everyone at once. */
  release(how?: "one" | "all"): void;
  /** The status of every answer from now on. */
  answer(status: number): void;
  /** As a machine that is switched off: connections break, and new ones are refused. */
  stop(): Promise<void>;
  /** On the same port. */
  start(): Promise<void>;
}

export async function slowUpstream(): Promise<SlowUpstream> {
  const port = await freePort();
  const seen: string[] = [];
  const times: number[] = [];
  const waiting = new Set<ServerResponse>();
  let [isOpen, most, status, probes] = [false, 0, 200, 0];
  let server: Server | undefined;
  const end = (response: ServerResponse) => {
    waiting.delete(response);
    response.writeHead(status, { "Content-Type": "application/json" }).end('{"artifacts":[]}');
  };
  const start = async () => {
    server = createServer((request, response) => {
      request.resume();
      if (request.url?.endsWith("/v1/health/ready")) {
        probes += 1;
        response.writeHead(status).end();
        return;
      }
      seen.push(String(request.headers["x-name"]));
      times.push(performance.now());
      waiting.add(response);
      most = Math.max(most, waiting.size);
      response.on("close", () => waiting.delete(response));
      if (isOpen) end(response);
    });
    await once(server.listen(port, "127.0.0.1"), "listening");
  };
  await start();
  return {
    url: `http://127.0.0.1:${port}`,
    ...{ seen, times, start },
    probes: () => probes,
    running: () => waiting.size,
    most: () => most,
    release: (how = "one") => {
      isOpen ||= how === "all";
      for (const response of how === "all" ? [...waiting] : [...waiting].slice(0, 1)) end(response);
    },
    answer: (next) => {
      status = next;
    },
    stop: async () => {
      const closed = new Promise<void>((resolve) => server?.close(() => resolve()));
      server?.closeAllConnections();
      await closed;
    },
  };
}
