// What the fake price lists have in common: a server on loopback that writes down what it is asked, and that
// misbehaves as it is told before it answers again.

import { createServer, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { listen, portOf } from "../sockets.ts";

export type Fault =
  | {
      readonly kind: "status";
      readonly status: number;
      readonly body?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Takes the request and says nothing. */
  | { readonly kind: "hang" }
  /** Closes in the middle of the body. */
  | { readonly kind: "cut" };

export interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Milliseconds, monotonic. */
  readonly at: number;
}

export interface Reply {
  readonly status?: number;
  readonly type?: string;
  readonly body: string;
}

export interface PriceServer {
  /** "http://127.0.0.1:PORT" */
  readonly origin: string;
  readonly got: Asked[];
  /** For the requests to come, in turn. */
  misbehave(...faults: readonly Fault[]): void;
  close(): Promise<void>;
}

export async function priceServer(answer: (asked: Asked) => Reply): Promise<PriceServer> {
  const got: Asked[] = [];
  const faults: Fault[] = [];
  const server = createServer(async (request, response) => {
    const asked = await read(request);
    got.push(asked);
    const fault = faults.shift();
    if (fault?.kind === "hang") return;
    if (fault?.kind === "cut") {
      response.writeHead(200, { "content-length": "1000" });
      response.write("{");
      setTimeout(() => response.socket?.destroy(), 10);
      return;
    }
    if (fault?.kind === "status") {
      response.writeHead(fault.status, { ...fault.headers }).end(fault.body ?? "");
      return;
    }
    const { status = 200, type = "application/json", body } = answer(asked);
    response.writeHead(status, { "content-type": type }).end(body);
  });
  await listen(server);
  return {
    origin: `http://127.0.0.1:${portOf(server)}`,
    got,
    misbehave: (...next) => void faults.push(...next),
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

async function read(request: IncomingMessage): Promise<Asked> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const { method = "", url = "", headers } = request;
  const body = Buffer.concat(chunks).toString("utf8");
  return { method, url: new URL(url, "http://fake"), headers, body, at: performance.now() };
}
