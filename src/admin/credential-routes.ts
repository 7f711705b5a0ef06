// Whether TechOps' credentials are there: their status, never a credential.

import { createRoute } from "@hono/zod-openapi";
import { formatInstant, type Instant } from "../metering/time.ts";
import * as sdk from "../sdk/credentials.ts";
import { CREDENTIAL_OWNERS, type CREDENTIAL_STATUSES } from "../sdk/vocabulary.ts";
import { type Api, mayNeedToken, ok, problems, type Room, reads } from "./route.ts";

/** What may be told of credentials; they themselves are not here. */
export interface CredentialsState {
  readonly path: string | undefined;
  readonly readAt: Instant | undefined;
  readonly banner: { readonly text: string; readonly level: "green" | "yellow" };
  readonly status: Readonly<Record<(typeof CREDENTIAL_OWNERS)[number], CredentialFound>>;
  readonly notes: readonly string[];
}

interface CredentialFound {
  readonly status: (typeof CREDENTIAL_STATUSES)[number];
  readonly why: string | undefined;
  /** What its cloud said of it; undefined where nobody asked. */
  readonly checked?: {
    readonly at: Instant;
    readonly result: sdk.CredentialResult;
    readonly why: string | undefined;
  };
}

export function addCredentialRoutes(api: Api, { house, safety }: Room): void {
  const get = createRoute({
    method: "get",
    path: "/api/v1/credentials/status",
    operationId: "getCredentialsStatus",
    tags: ["credentials"],
    security: mayNeedToken,
    summary: "Whether TechOps' credentials are on this machine and can be used",
    middleware: reads(safety, "everybody"),
    request: { query: sdk.CredentialsQuery },
    responses: { 200: ok(sdk.CredentialsStatus, "A status for each provider."), ...problems },
  });
  api.openapi(get, async (c) => {
    const isLive = c.req.valid("query").check === "live";
    return c.json(credentialsWire(isLive ? await house.checkCredentials() : house.credentials()), 200);
  });
}

export function credentialsWire(state: CredentialsState): sdk.CredentialsStatus {
  return {
    banner: { ...state.banner },
    file: state.path ?? null,
    read_at: state.readAt === undefined ? null : formatInstant(state.readAt),
    providers: CREDENTIAL_OWNERS.map((provider) => {
      const { status, why, checked } = state.status[provider];
      const found = checked && {
        ...{ at: formatInstant(checked.at), result: checked.result, why: checked.why ?? null },
      };
      return { provider, status, why: why ?? null, checked: found ?? null };
    }),
    notes: [...state.notes],
  };
}
