// Speaks to a Docker Engine, or to podman, over its socket: one request and its JSON, or a stream of lines.
// API 1.40, which both have. It knows no container.

import { Agent, type Dispatcher } from "undici";
import { Trouble, type TroubleKind } from "./adapter.ts";

const VERSION = "/v1.40";
/** Of any answer: an inspected container has a few kilobytes. */
const MOST_BYTES = 4 * 1024 * 1024;
const CONNECT_MS = 2_000;
/** Looks and orders at once; a stop takes its connection for half a minute. */
const MOST_ASKS = 32;

export interface Answer {
  readonly status: number;
  /** Undefined where there was none. */
  readonly body: unknown;
}

export class DockerEngine {
  readonly #socket: string;
  readonly #agent: Agent;
  /** Each stream keeps its connection for good: among the others it would leave none for a question. */
  readonly #streams: Agent;

  /** `socket`: a path, or a named pipe of Windows. */
  constructor(socket: string) {
    this.#socket = socket;
    const connect = { socketPath: socket, timeout: CONNECT_MS };
    this.#agent = new Agent({ connect, bodyTimeout: 0, connections: MOST_ASKS });
    // One says nothing for as long as nothing happens.
    this.#streams = new Agent({ connect, bodyTimeout: 0 });
  }

  async ask(method: "GET" | "POST", path: string, forMs: number, signal: AbortSignal): Promise<Answer> {
    const late = AbortSignal.timeout(forMs);
    try {
      const response = await send(this.#agent, method, path, AbortSignal.any([signal, late]));
      const bytes = await response.body.arrayBuffer();
      if (bytes.byteLength > MOST_BYTES) throw new Error("its answer is too long");
      return { status: response.statusCode, body: bytes.byteLength === 0 ? undefined : jsonOf(bytes) };
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (late.aborted)
        throw new Trouble("timeout", `${this.#name} did not answer for ${forMs / 1000} s`, error);
      throw this.#troubleOf(error);
    }
  }

  /** Until it ends or `signal` says so; each line is an object. */
  async *lines(path: string, signal: AbortSignal): AsyncIterable<unknown> {
    const response = await send(this.#streams, "GET", path, signal).catch((error) => {
      throw this.#troubleOf(error);
    });
    if (response.statusCode !== 200) {
      await response.body.dump();
      throw new Trouble("failed", `${this.#name} answered ${response.statusCode} when asked for its events`);
    }
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body) {
      rest += decoder.decode(chunk as Uint8Array, { stream: true });
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > MOST_BYTES) throw new Trouble("failed", `${this.#name} sends a line without an end`);
      for (const line of lines) if (line.trim() !== "") yield JSON.parse(line);
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#agent.destroy(), this.#streams.destroy()]);
  }

  get #name(): string {
    return `the Docker Engine at ${this.#socket}`;
  }

  #troubleOf(error: unknown): Trouble {
    const code = String((error as { code?: unknown } | undefined)?.code ?? "");
    const known = CURES[code];
    if (known === undefined)
      return new Trouble("unreachable", `${this.#name} broke off: ${(error as Error).message}`, error);
    return new Trouble(known.kind, known.text(this.#socket), error);
  }
}

function send(
  agent: Agent,
  method: "GET" | "POST",
  path: string,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  return agent.request({ origin: "http://docker", method, path: `${VERSION}${path}`, signal });
}

interface Cure {
  readonly kind: TroubleKind;
  readonly text: (socket: string) => string;
}

const NOBODY: Cure = {
  kind: "unreachable",
  text: (socket) =>
    `nothing listens at ${socket}: start Docker, or name the socket that podman's system service has ` +
    "(container.docker.socket)",
};

const CURES: Readonly<Record<string, Cure>> = {
  ENOENT: NOBODY,
  ECONNREFUSED: NOBODY,
  EACCES: {
    kind: "denied",
    text: (socket) =>
      `the gateway's user may not use ${socket}: add it to the socket's group (whoever may use it is ` +
      "root there), or name the socket of a rootless podman",
  },
  UND_ERR_CONNECT_TIMEOUT: {
    kind: "timeout",
    text: (socket) => `${socket} takes no connection: is the Docker Engine overloaded or stopped?`,
  },
};

function jsonOf(bytes: ArrayBuffer): unknown {
  const text = new TextDecoder().decode(bytes);
  try {
    return JSON.parse(text);
  } catch {
    return { message: text.slice(0, 200) };
  }
}
