// JSON over HTTP for the clouds' APIs that need no client of their own: one question and its answer, bounded
// in size and time. A status is an answer; that nobody answers is Trouble. It knows no cloud.

import { Agent, type Dispatcher } from "undici";
import { Trouble } from "./adapter.ts";

/** Of one answer: a namespace with hundreds of pods has a few megabytes. */
const MOST_BYTES = 32 * 1024 * 1024;
const CONNECT_MS = 5_000;
const ANSWER_MS = 15_000;

/** How a server is known, and how it knows us, beyond what this machine trusts; PEM. */
export interface Trust {
  readonly ca?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

export interface Question {
  readonly method: "GET" | "POST" | "PATCH";
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface JsonAnswer {
  readonly status: number;
  /** Undefined where it is no JSON. */
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export class JsonApi {
  readonly #name: string;
  readonly #agent: Agent;

  /** `name`: as it stands in a sentence, such as "Google's Compute API". */
  constructor(name: string, { ca, certificate, key }: Trust = {}) {
    this.#name = name;
    const own = { ...(ca && { ca }), ...(certificate && { cert: certificate }), ...(key && { key }) };
    this.#agent = new Agent({
      connect: { timeout: CONNECT_MS, ...own },
      maxResponseSize: MOST_BYTES,
      connections: 4,
    });
  }

  async ask({ method, url, headers, body }: Question, signal: AbortSignal): Promise<JsonAnswer> {
    const late = AbortSignal.timeout(ANSWER_MS);
    try {
      const { origin, pathname, search } = new URL(url);
      const response = await this.#agent.request({
        ...{ origin, path: pathname + search, method, signal: AbortSignal.any([signal, late]) },
        headers: { accept: "application/json", "user-agent": "budgetguard", ...headers },
        ...(body !== undefined && { body }),
      });
      return await answerOf(response);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw this.#troubleOf(error, new URL(url).host, late.aborted);
    }
  }

  close(): void {
    void this.#agent.destroy();
  }

  #troubleOf(error: unknown, host: string, isLate: boolean): Trouble {
    const where = `${this.#name} at ${host}`;
    const code = String((error as { code?: unknown } | undefined)?.code ?? "");
    if (isLate || code === "UND_ERR_CONNECT_TIMEOUT") {
      return new Trouble(
        "timeout",
        `${where} did not answer in time: is the network in between open?`,
        error,
      );
    }
    if (/^(ERR_TLS|CERT_|DEPTH_|UNABLE_|SELF_SIGNED)/.test(code)) {
      const cure = "nobody that this machine trusts vouches for it (for a proxy's own: NODE_EXTRA_CA_CERTS)";
      return new Trouble("unreachable", `${where}: ${cure}: ${code}`, error);
    }
    const how = CURES[code] ?? `the connection broke (${/^\w{1,64}$/.test(code) ? code : "no code"})`;
    return new Trouble("unreachable", `${where} cannot be reached: ${how}`, error);
  }
}

const CURES: Readonly<Record<string, string>> = {
  ENOTFOUND: "there is no such name: look at its region or location, and at this machine's DNS",
  EAI_AGAIN: "this machine's DNS does not answer",
  ECONNREFUSED: "nobody listens there",
  EHOSTUNREACH: "no route leads there: a private cluster needs its network or a VPN",
  ENETUNREACH: "this machine has no network",
};

async function answerOf(response: Dispatcher.ResponseData): Promise<JsonAnswer> {
  const text = await response.body.text();
  return { status: response.statusCode, body: jsonOf(text), headers: response.headers };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
