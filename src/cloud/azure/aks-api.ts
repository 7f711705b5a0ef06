// AKS by Azure's own client, one for each subscription: each call with an end, broken off by a signal, its
// errors as Trouble. Short throttling it waits out itself; a long one is told.

import { ContainerServiceClient } from "@azure/arm-containerservice";
import { Trouble } from "../adapter.ts";
import { spendCall } from "../call-budget.ts";
import type { AzurePlace } from "./azure-place.ts";
import type { AzureTokens } from "./azure-tokens.ts";
import { azureTrouble, throttled } from "./azure-trouble.ts";

const ANSWER_MS = 15_000;
/** What the client may wait by itself when it is turned away; beyond, a look would seem to hang. */
const WAITED_OUT_S = 5;
const RETRIES = { maxRetries: 2, retryDelayInMs: 500, maxRetryDelayInMs: 2_000 };

export type AksClient = Pick<ContainerServiceClient, "agentPools" | "managedClusters">;
type Options = { readonly requestOptions: { readonly timeout: number } };

export class AksApi {
  readonly #tokens: AzureTokens;
  /** Found out once, and again after trouble. */
  readonly #place: (signal: AbortSignal) => Promise<AzurePlace>;
  readonly #clients = new Map<string, ContainerServiceClient>();

  constructor(tokens: AzureTokens, place: (signal: AbortSignal) => Promise<AzurePlace>) {
    this.#tokens = tokens;
    this.#place = place;
  }

  /** What `call` gives must be no poller: those are promises too, of an end that may be minutes away. */
  async ask<T>(
    subscription: string,
    call: (client: AksClient, options: Options) => Promise<T>,
    what: string,
    signal: AbortSignal,
  ): Promise<T> {
    try {
      const client = await this.#clientOf(subscription, signal);
      // A look that is broken off is over; what was sent ends by its own time-out.
      const broken = new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
      return await Promise.race([call(client, { requestOptions: { timeout: ANSWER_MS } }), broken]);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw azureTrouble(error, what);
    }
  }

  async #clientOf(subscription: string, signal: AbortSignal): Promise<ContainerServiceClient> {
    const known = this.#clients.get(subscription);
    if (known !== undefined) return known;
    const { manager, tokens, audience } = await this.#place(signal);
    const getToken = async () => {
      const { token, expiresAt } = await this.#tokens.token(tokens, audience, AbortSignal.timeout(ANSWER_MS));
      return { token, expiresOnTimestamp: expiresAt };
    };
    const client = new ContainerServiceClient({ getToken }, subscription, {
      ...{ endpoint: manager, retryOptions: RETRIES },
      credentials: { scopes: [`${audience}/.default`] },
    });
    client.pipeline.addPolicy(
      {
        name: "budgetguardTurnedAway",
        sendRequest: async (request, next) => {
          await spendCall();
          const response = await next(request);
          const after = Number(response.headers.get("retry-after"));
          if (response.status === 429 && after > WAITED_OUT_S) throw throttled("AKS", after);
          return response;
        },
      },
      { afterPhase: "Retry" },
    );
    this.#clients.set(subscription, client);
    return client;
  }
}

/** So that a caller need not know how a poller of Azure's tells what went wrong. */
export function operationTrouble(error: unknown, what: string): Trouble {
  const said = error instanceof Error ? error.message : String(error);
  const words = said.replace(/^The long-running operation has failed[:.]?\s*/, "").slice(0, 400);
  return new Trouble(
    "operation_failed",
    `${what}: ${words === "" ? "Azure's operation failed" : words}`,
    error,
  );
}
