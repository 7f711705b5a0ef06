// A kubeconfig as Azure hands it out: where the cluster is, who vouches for it, and how to get in. It runs no
// command that one names; a login by Entra ID is said to be one, and left to whoever can make a token.

import { parse } from "yaml";
import { z } from "zod";
import { Trouble } from "../adapter.ts";
import type { Trust } from "../json-api.ts";

const config = z.object({
  "current-context": z.string().optional(),
  contexts: z.array(
    z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string() }) }),
  ),
  clusters: z.array(
    z.object({
      name: z.string(),
      cluster: z.object({ server: z.url(), "certificate-authority-data": z.string().optional() }),
    }),
  ),
  users: z.array(
    z.object({
      name: z.string(),
      user: z.object({
        token: z.string().optional(),
        "client-certificate-data": z.string().optional(),
        "client-key-data": z.string().optional(),
        exec: z.object({}).optional(),
        "auth-provider": z.object({}).optional(),
      }),
    }),
  ),
});

export interface KubeLogin {
  readonly server: string;
  readonly trust: Trust;
  readonly token: string | undefined;
  /** Whether a token of Entra ID is asked for instead. */
  readonly isEntra: boolean;
}

export function parseKubeconfig(text: string, name: string): KubeLogin {
  const read = config.safeParse(yamlOf(text));
  const broken = () => new Trouble("failed", `the kubeconfig of cluster ${name} cannot be read`);
  if (!read.success) throw broken();
  const { contexts, clusters, users } = read.data;
  const current = contexts.find((each) => each.name === read.data["current-context"]) ?? contexts[0];
  const cluster = clusters.find((each) => each.name === current?.context.cluster)?.cluster;
  const user = users.find((each) => each.name === current?.context.user)?.user;
  if (cluster === undefined || user === undefined) throw broken();
  const trust = {
    ca: pem(cluster["certificate-authority-data"]),
    certificate: pem(user["client-certificate-data"]),
    key: pem(user["client-key-data"]),
  };
  const isEntra = user.exec !== undefined || user["auth-provider"] !== undefined;
  return { server: cluster.server, trust, token: user.token, isEntra };
}

function yamlOf(text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 0, logLevel: "silent" });
  } catch {
    // The parser's words quote the text, which holds a key.
    return undefined;
  }
}

function pem(coded: string | undefined): string | undefined {
  return coded && Buffer.from(coded, "base64").toString("utf8");
}
