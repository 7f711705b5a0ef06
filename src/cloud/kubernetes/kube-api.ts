// The API of one Kubernetes cluster: who may ask what is the cluster's affair, how to get in its cloud's.
// What it refuses is told with the verb and the resource.

import { Trouble } from "../adapter.ts";
import { JsonApi, type Trust } from "../json-api.ts";

/** How a cluster is reached, as its cloud says. */
export interface ClusterDoor {
  /** "https://HOST" */
  readonly server: string;
  readonly trust: Trust;
  /** Undefined where the certificate of `trust` is enough. */
  readonly token: string | undefined;
}

/** Asked anew when what is known of the door is old, or was refused; `isFresh` where no cache may answer. */
export type OpenDoor = (signal: AbortSignal, isFresh: boolean) => Promise<ClusterDoor>;

export interface KubeQuestion {
  readonly method?: "GET" | "PATCH";
  readonly path: string;
  /** A merge patch. */
  readonly patch?: unknown;
  /** Where it is one thing: "deployment flux-dev in namespace nim". */
  readonly what: string;
}

export interface KubeAnswer {
  readonly body: unknown;
  /** By the cluster's clock, in milliseconds. */
  readonly at: number;
}

export class KubeApi {
  readonly #name: string;
  readonly #open: OpenDoor;
  /** One for each way in: its connections know whom to trust. */
  #api: { readonly api: JsonApi; readonly trust: string } | undefined;

  /** `name`: of the cluster. */
  constructor(name: string, open: OpenDoor) {
    this.#name = name;
    this.#open = open;
  }

  async ask(question: KubeQuestion, signal: AbortSignal): Promise<KubeAnswer> {
    const first = await this.#once(question, signal, false);
    // A token or certificate may have been replaced since it was handed out.
    const { status, body, headers } = first.status === 401 ? await this.#once(question, signal, true) : first;
    if (status >= 200 && status < 300 && isMapping(body)) {
      return { body, at: Date.parse(String(headers.date)) || Date.now() };
    }
    throw this.#troubleOf(status, body, question);
  }

  close(): void {
    this.#api?.api.close();
    this.#api = undefined;
  }

  async #once({ method = "GET", path, patch }: KubeQuestion, signal: AbortSignal, isFresh: boolean) {
    const { server, trust, token } = await this.#open(signal, isFresh);
    const api = this.#apiOf(trust);
    const headers = {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(patch !== undefined && { "content-type": "application/merge-patch+json" }),
    };
    const body = patch === undefined ? undefined : JSON.stringify(patch);
    const url = `${server.replace(/\/+$/, "")}${path}`;
    return api.ask({ method, url, headers, ...(body !== undefined && { body }) }, signal);
  }

  #apiOf(trust: Trust): JsonApi {
    const key = JSON.stringify(trust);
    if (this.#api?.trust !== key) {
      this.#api?.api.close();
      this.#api = { api: new JsonApi(`the Kubernetes API of cluster ${this.#name}`, trust), trust: key };
    }
    return this.#api.api;
  }

  #troubleOf(status: number, body: unknown, { what, method = "GET" }: KubeQuestion): Trouble {
    const said = saidOf(body) ?? `status ${status}`;
    const cluster = `cluster ${this.#name}`;
    switch (status) {
      case 401:
        return new Trouble(
          "unauthenticated",
          `${cluster} does not take the gateway's credentials (${said}): are they of its tenant or project?`,
        );
      case 403:
        return new Trouble(
          "denied",
          `${cluster}: ${said}: grant it with the Role that docs/clouds.md has (verb ` +
            `${method === "PATCH" ? "patch" : "get or list"}, ${what})`,
        );
      case 404:
        return new Trouble("not_found", `${cluster} has no ${what}`);
      case 409:
      case 429:
        return new Trouble("throttled", `${cluster} is busy (${said}): it is asked again`);
      case 504:
        return new Trouble("timeout", `${cluster} took too long: ${said}`);
      default:
        return new Trouble(status >= 500 ? "unreachable" : "failed", `${cluster}, ${what}: ${said}`);
    }
  }
}

/** Kubernetes' own Status objects say it in a sentence. */
function saidOf(body: unknown): string | undefined {
  const message = isMapping(body) ? body.message : undefined;
  return typeof message === "string" && message !== "" ? message.slice(0, 400) : undefined;
}

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
