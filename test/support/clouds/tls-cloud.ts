// A fake of a cloud's API over TLS on loopback, as the clouds' own clients insist on: it writes down what it is
// asked, and misbehaves as it is told before it answers again. Its dates are those of the fake's clock.

import {
  createServer as createPlain,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { createServer } from "node:https";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import type { ExecutionContext } from "ava";
import { CERTIFICATE, KEY } from "../self-signed.ts";
import { listen, portOf } from "../sockets.ts";
import type { CloudClock } from "./cloud-clock.ts";

/** What the clients are to trust, without any key of theirs: for the whole thread. */
setDefaultCACertificates([...getCACertificates("default"), CERTIFICATE]);

export interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export type Fault =
  | ({ readonly kind: "reply" } & Reply)
  /** Takes the request and says nothing. */
  | { readonly kind: "hang" }
  /** Closes in the middle of the body. */
  | { readonly kind: "cut" };

export interface TlsCloud {
  /** "https://127.0.0.1:PORT" */
  readonly origin: string;
  readonly host: string;
  readonly asked: Asked[];
  /** "GET /apis/…", without queries. */
  readonly lines: () => readonly string[];
  /** The next requests whose "METHOD /path" matches, in turn. */
  misbehave(on: RegExp, ...faults: readonly Fault[]): void;
}

export async function tlsCloud(
  t: ExecutionContext,
  clock: CloudClock,
  answer: (asked: Asked) => Reply,
  /** Without TLS: for a thread that trusts only what its process began with. */
  isPlain = false,
): Promise<TlsCloud> {
  const asked: Asked[] = [];
  const faults: { readonly on: RegExp; readonly fault: Fault }[] = [];
  const take = async (request: IncomingMessage, response: ServerResponse) => {
    const one = await read(request);
    asked.push(one);
    const found = faults.findIndex(({ on }) => on.test(`${one.method} ${one.url.pathname}`));
    const fault = found === -1 ? undefined : faults.splice(found, 1)[0]?.fault;
    if (fault?.kind === "hang") return;
    if (fault?.kind === "cut") {
      response.writeHead(200, { "content-length": "1000" });
      response.write("{");
      setTimeout(() => response.socket?.destroy(), 10);
      return;
    }
    const { status = 200, headers = {}, body } = fault ?? answer(one);
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const own = { "content-type": "application/json", date: new Date(clock.date).toUTCString() };
    response.writeHead(status, { ...own, ...headers }).end(text);
  };
  const server = isPlain ? createPlain(take) : createServer({ key: KEY, cert: CERTIFICATE }, take);
  await listen(server);
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const host = `127.0.0.1:${portOf(server)}`;
  return {
    ...{ origin: `${isPlain ? "http" : "https"}://${host}`, host, asked },
    lines: () => asked.map(({ method, url }) => `${method} ${url.pathname}`),
    misbehave: (on, ...next) => void faults.push(...next.map((fault) => ({ on, fault }))),
  };
}

async function read(request: IncomingMessage): Promise<Asked> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const { method = "", url = "", headers } = request;
  const body = Buffer.concat(chunks).toString("utf8");
  return { method, url: new URL(url, "https://fake"), headers, body };
}
