// Azure's token service and Resource Manager with one AKS cluster and pool, as Azure's own client meets them:
// actions by name, If-Match, the pool's bucket of 20 changes, operations that end later or half way.

import type { ExecutionContext } from "ava";
import { stringify } from "yaml";
import { CERTIFICATE } from "../self-signed.ts";
import { AksMachines, type PoolProperties } from "./aks-machines.ts";
import type { CloudClock } from "./cloud-clock.ts";
import type { KubeFake } from "./k8s-fake.ts";
import { type Asked, type Reply, type TlsCloud, tlsCloud } from "./tls-cloud.ts";

const SUB = "11111111-2222-3333-4444-555555555555";
export const AKS = {
  ...{ subscription: SUB, resourceGroup: "rg", cluster: "budgetguard-nim", pool: "gpu" },
} as const;
export const PRINCIPAL = {
  ...{ tenant: "66666666-7777-8888-9999-000000000000", clientId: "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee" },
  clientSecret: "s3cret~of:the.principal",
} as const;
const CLUSTER =
  `/subscriptions/${SUB}/resourceGroups/${AKS.resourceGroup}/providers/Microsoft.ContainerService/managedClusters/` +
  AKS.cluster;
const ENTRA = "6dae42f8-4368-4678-94ff-3960e28e3630";
/** AKS' own: 20 changes of a pool, one more each minute. */
const BUCKET = 20;

export interface AzureFake extends TlsCloud {
  readonly machines: AksMachines;
  readonly called: Set<string>;
  readonly denied: Set<string>;
  readonly tokens: Set<string>;
  /** AADSTS number that the token service refuses with. */
  refusal: string | undefined;
  /** What the kubeconfig asks for. */
  door: "token" | "entra";
  /** Changes of the pool that are left. */
  bucket: number;
}

export async function azureFake(t: ExecutionContext, clock: CloudClock, kube: KubeFake): Promise<AzureFake> {
  const machines = new AksMachines(clock, kube.cluster, AKS.pool);
  const server = await tlsCloud(t, clock, (asked) => {
    if (asked.url.pathname === "/metadata/endpoints") {
      return {
        body: { authentication: { loginEndpoint: `${server.origin}/`, audiences: ["https://arm.fake"] } },
      };
    }
    if (asked.url.pathname.endsWith("/oauth2/v2.0/token")) return tokenFor(fake, kube, asked);
    if (!fake.tokens.has((asked.headers.authorization ?? "").replace("Bearer ", ""))) {
      return refuse(401, "InvalidAuthenticationToken", "The access token is invalid.");
    }
    if (asked.url.pathname === "/subscriptions") {
      // Those in which it has any role: that needs no action.
      return { body: { value: [{ subscriptionId: SUB, state: "Enabled" }] } };
    }
    const route = ROUTES.find(({ on }) => on.test(`${asked.method} ${asked.url.pathname}`));
    if (route === undefined) {
      return refuse(404, "ResourceNotFound", `The Resource '${asked.url.pathname}' was not found.`);
    }
    fake.called.add(route.needs);
    if (fake.denied.has(route.needs)) {
      const who = "The client 'CLIENT' with object id 'OID' does not have authorization to perform action";
      return refuse(
        403,
        "AuthorizationFailed",
        `${who} '${route.needs}' over scope '${CLUSTER}' or it is invalid.`,
      );
    }
    return route.answer({ asked, fake, clock, kube });
  });
  const sets = { called: new Set<string>(), denied: new Set<string>(), tokens: new Set<string>() };
  const fake: AzureFake = {
    ...{ ...server, ...sets, machines },
    ...{ refusal: undefined, door: "token", bucket: BUCKET },
  };
  return fake;
}

function tokenFor(fake: AzureFake, kube: KubeFake, { url, body }: Asked): Reply {
  const form = new URLSearchParams(body);
  const isKnown =
    url.pathname.startsWith(`/${PRINCIPAL.tenant}/`) &&
    form.get("client_id") === PRINCIPAL.clientId &&
    form.get("client_secret") === PRINCIPAL.clientSecret;
  const refusal = fake.refusal ?? (isKnown ? undefined : "7000215");
  if (refusal !== undefined) {
    const error_description = `AADSTS${refusal}: The client secret of app '${PRINCIPAL.clientId}' is not taken. Trace ID: 1`;
    return { status: 401, body: { error: "invalid_client", error_description } };
  }
  const token = `eyJ.${fake.tokens.size + 1}`;
  if (form.get("scope") === "https://arm.fake/.default") fake.tokens.add(token);
  if (form.get("scope") === `${ENTRA}/.default`) kube.tokens.add(token);
  return { body: { token_type: "Bearer", expires_in: 3599, access_token: token } };
}

interface Scene {
  readonly asked: Asked;
  readonly fake: AzureFake;
  readonly clock: CloudClock;
  readonly kube: KubeFake;
}

const ROUTES: readonly { readonly on: RegExp; readonly needs: string; answer(scene: Scene): Reply }[] = [
  {
    on: new RegExp(`^GET ${CLUSTER}/agentPools/${AKS.pool}$`),
    needs: "Microsoft.ContainerService/managedClusters/agentPools/read",
    answer: ({ fake }) => ({ body: wire(fake.machines.properties) }),
  },
  {
    on: new RegExp(`^PUT ${CLUSTER}/agentPools/${AKS.pool}$`),
    needs: "Microsoft.ContainerService/managedClusters/agentPools/write",
    answer: put,
  },
  {
    on: /^GET \/subscriptions\/[^/]+\/providers\/Microsoft\.ContainerService\/locations\/eastus\/operations\//,
    needs: "Microsoft.ContainerService/locations/operations/read",
    answer: ({ asked, fake: { machines } }) => {
      const found = machines.operations.find(({ name }) => asked.url.pathname.endsWith(`/${name}`));
      return found === undefined ? refuse(404, "NotFound", "no such operation") : { body: found };
    },
  },
  {
    on: new RegExp(`^POST ${CLUSTER}/listClusterUserCredential$`),
    needs: "Microsoft.ContainerService/managedClusters/listClusterUserCredential/action",
    answer: ({ fake, kube }) => {
      const value = Buffer.from(kubeconfig(kube, fake.door)).toString("base64");
      return { body: { kubeconfigs: [{ name: "clusterUser", value }] } };
    },
  },
];

/** What it refuses is what AKS refuses. */
function put({ asked, fake, clock }: Scene): Reply {
  const { machines } = fake;
  const own = machines.properties;
  const { properties: given } = JSON.parse(asked.body) as { properties: PoolProperties };
  if (fake.bucket === 0) {
    const throttled = refuse(429, "Throttled", "The request was throttled.");
    return { ...throttled, headers: { "retry-after": "42" } };
  }
  fake.bucket -= 1;
  clock.after(60, () => {
    fake.bucket = Math.min(BUCKET, fake.bucket + 1);
  });
  const match = asked.headers["if-match"];
  if (match !== undefined && match !== own.eTag)
    return refuse(412, "PreconditionFailed", "the eTag is another one");
  const fixed = ["vmSize", "type", "mode", "osType", "nodeLabels"] as const;
  const changed = fixed.find((key) => JSON.stringify(given[key]) !== JSON.stringify(own[key]));
  if (changed !== undefined) {
    return refuse(
      400,
      "PropertyChangeNotAllowed",
      `Changing property 'properties.${changed}' is not allowed.`,
    );
  }
  if (machines.isBusy) {
    const other = "Operation is not allowed: Another agentpool operation is in progress.";
    return refuse(409, "OperationNotAllowed", other);
  }
  if (own.enableAutoScaling && given.count !== own.count) {
    return refuse(400, "BadRequest", "Cluster autoscaler is enabled: count cannot be changed.");
  }
  if (own.mode === "System" && given.count === 0)
    return refuse(400, "BadRequest", "system pools need a node");
  const { name } = machines.put(given.count, given.powerState?.code ?? own.powerState.code);
  const where = `/subscriptions/${SUB}/providers/Microsoft.ContainerService/locations/eastus/operations/${name}`;
  const headers = {
    "azure-asyncoperation": `${fake.origin}${where}?api-version=2016-03-30`,
    "retry-after": "10",
  };
  return { body: wire(own), headers };
}

function wire(properties: PoolProperties) {
  const id = `${CLUSTER}/agentPools/${AKS.pool}`;
  return { id, name: AKS.pool, type: "Microsoft.ContainerService/managedClusters/agentPools", properties };
}

function kubeconfig(kube: KubeFake, door: AzureFake["door"]): string {
  const exec = {
    apiVersion: "client.authentication.k8s.io/v1beta1",
    command: "kubelogin",
    args: ["get-token"],
  };
  return stringify({
    ...{ apiVersion: "v1", kind: "Config", "current-context": "nim" },
    clusters: [
      {
        name: "nim",
        cluster: {
          server: `${kube.origin}`,
          "certificate-authority-data": Buffer.from(CERTIFICATE).toString("base64"),
        },
      },
    ],
    contexts: [{ name: "nim", context: { cluster: "nim", user: "clusterUser" } }],
    users: [{ name: "clusterUser", user: door === "entra" ? { exec } : { token: "cluster-user" } }],
  });
}

function refuse(status: number, code: string, message: string): Reply {
  return { status, body: { error: { code, message } } };
}
