// Google's GKE API by its own client, in JSON over HTTP, which firewalls and fakes understand: each call with
// an end, broken off by a signal, its errors as Trouble.

import { ClusterManagerClient } from "@google-cloud/container";
import { type AuthClient, OAuth2Client } from "google-auth-library";
import { spendCall } from "../call-budget.ts";
import type { GoogleLogin } from "./google-login.ts";
import { clientTrouble } from "./google-trouble.ts";

const ANSWER_MS = 15_000;
/** Sooner than the client thinks a token old: the login knows better when its token is. */
const ASKED_AGAIN_MS = 60_000;

export type GkeClient = Pick<
  ClusterManagerClient,
  "getCluster" | "getNodePool" | "setNodePoolSize" | "getOperation"
>;

export class GkeApi {
  readonly #login: GoogleLogin;
  readonly #endpoint: string | undefined;
  #client: ClusterManagerClient | undefined;

  constructor(login: GoogleLogin, endpoint: string | undefined) {
    this.#login = login;
    this.#endpoint = endpoint;
  }

  /** `call` gets the client and the options of one call; the client itself sends nothing twice. */
  async ask<T>(
    call: (client: GkeClient, options: { timeout: number; retry: null }) => Promise<[T, ...unknown[]]>,
    what: string,
    signal: AbortSignal,
  ): Promise<T> {
    try {
      signal.throwIfAborted();
      await spendCall();
      const client = this.#open;
      // A look that is broken off is over; what was sent ends by its own time-out.
      const broken = new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
      const [answer] = await Promise.race([call(client, { timeout: ANSWER_MS, retry: null }), broken]);
      return answer;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw clientTrouble(error, what);
    }
  }

  close(): void {
    void this.#client?.close();
    this.#client = undefined;
  }

  get #open(): ClusterManagerClient {
    this.#client ??= new ClusterManagerClient({
      fallback: true,
      authClient: bearerOf(this.#login),
      ...placeOf(this.#endpoint),
    });
    return this.#client;
  }
}

/**
 * Given a service account, the client would sign assertions of its own, which GKE takes and a cluster does
 * not: so that one token counts for all, it asks for that one, each time.
 */
function bearerOf(login: GoogleLogin): AuthClient {
  const client = new OAuth2Client();
  client.refreshHandler = async () => {
    const token = await login.token(AbortSignal.timeout(ANSWER_MS));
    return { access_token: token, expiry_date: Date.now() + ASKED_AGAIN_MS };
  };
  return client;
}

function placeOf(endpoint: string | undefined) {
  if (endpoint === undefined) return {};
  const { hostname, port, protocol } = new URL(endpoint);
  const isTls = protocol === "https:";
  return {
    apiEndpoint: hostname,
    port: port === "" ? (isTls ? 443 : 80) : Number(port),
    protocol: isTls ? "https" : "http",
  };
}
