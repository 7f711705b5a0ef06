// A simulated NIM: it looks like one to whoever calls it over HTTP, needs no GPU, and can be told to fail in
// every way that an upstream does. The demo and the tests put it where a real container would be.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "./nim-exchange.ts";
import { type Fault, parseFault, type WholeFault } from "./nim-fault.ts";
import { type OpenRecord, type RecordedRequest, recordInto } from "./nim-record.ts";
import type { Simulated } from "./nim-route.ts";

export interface NimOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  readonly host?: string;
  /** Told in /v1/metadata and in the header X-Nim-Name of every reply. */
  readonly name?: string;
  /** Model ids; default ["flux.1-dev"]. */
  readonly models?: readonly string[];
  /** Real seconds per simulated second; 0 answers at once. */
  readonly scale?: number;
}

export interface Nim {
  readonly url: string;
  readonly port: number;
  /** Oldest first; the last 2000. Polls of readiness are left out: whoever routes here asks now and then. */
  readonly requests: readonly RecordedRequest[];
  /** What /v1/health/ready says. */
  ready: boolean;
  /** How every request fails until this is undefined again. Throws on a fault that is none. */
  fault: Fault | undefined;
  /** Requests that are neither answered nor broken nor left by their client. */
  inFlight(): number;
  /** Requests whose client left before the answer was out. */
  aborted(): number;
  /** Breaks what is in flight. */
  close(): Promise<void>;
}

const DEFAULT_SCALE = 0.02;

function isPoll({ url }: { readonly url?: string | undefined }): boolean {
  return url === "/v1/health/ready";
}

/** Rejects with a sentence when the port is taken. */
export async function startNim(options: NimOptions = {}): Promise<Nim> {
  const { port = 0, host = "127.0.0.1", name = "nim", models = ["flux.1-dev"] } = options;
  const { scale = DEFAULT_SCALE } = options;
  if (models.length === 0) throw new Error("a NIM serves at least one model: name one in `models`");
  if (!(scale >= 0)) throw new Error(`the scale must be 0 or more real seconds a second, not ${scale}`);
  const requests: OpenRecord[] = [];
  const tally = { images: 0, promptTokens: 0, generationTokens: 0, aborted: 0 };
  let ready = true;
  let fault: { readonly given: Fault; readonly whole: WholeFault } | undefined;
  let inFlight = 0;
  const nim: Simulated = { name, models, scale, isReady: () => ready, inFlight: () => inFlight, tally };

  const server = createServer((req, res) => {
    inFlight += 1;
    let isOpen = true;
    const leave = (): void => {
      if (isOpen) inFlight -= 1;
      isOpen = false;
    };
    res.once("finish", leave).once("close", leave);
    const record = recordInto(isPoll(req) ? [] : requests, req);
    void serve({ nim, req, res, record, fault: fault?.whole });
  });
  const taken = await listen(server, port, host);
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${taken}`,
    port: taken,
    requests,
    get ready() {
      return ready;
    },
    set ready(value) {
      ready = value;
    },
    get fault() {
      return fault?.given;
    },
    set fault(given) {
      fault = given && { given, whole: parseFault(given) };
    },
    inFlight: () => inFlight,
    aborted: () => tally.aborted,
    close: () => close(server),
  };
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => reject(explain(cause, port, host)));
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

function explain(cause: NodeJS.ErrnoException, port: number, host: string): Error {
  if (cause.code === "EADDRINUSE") {
    const cure = "stop what listens there, or choose another port (0 takes a free one)";
    return new Error(`port ${port} of ${host} is already in use: ${cure}`, { cause });
  }
  return new Error(`the NIM simulator cannot listen on port ${port} of ${host}: ${cause.message}`, { cause });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
