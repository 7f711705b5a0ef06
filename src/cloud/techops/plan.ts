// Which upstreams TechOps' files make, before any of them is written: addresses and deployments brought
// together, each with its id, its price and its container.

import type { RateCard } from "../../metering/rate-card.ts";
import type { Provider } from "../../policy/policy.ts";
import type { Deployment, Endpoint } from "./endpoints.ts";
import { Ids, slug } from "./naming.ts";
import { whyPlaceholder } from "./placeholder.ts";
import { type Placement, type Priced, placementOf, rateFor } from "./placement.ts";

export interface Planned {
  readonly id: string;
  /** The model's id. */
  readonly model: string;
  /** TechOps' name of the model. */
  readonly node: string;
  readonly provider: Provider;
  readonly url: string | undefined;
  /** Why the address is taken for none. */
  readonly placeholder: string | undefined;
  readonly tier: string | undefined;
  readonly priced: Priced | undefined;
  readonly placement: Placement | undefined;
}

interface Found {
  readonly endpoint: Endpoint | undefined;
  readonly deployment: Deployment | undefined;
}

/** In the order of the files; what two files say twice is there once. */
export function planUpstreams(
  endpoints: readonly Endpoint[],
  deployments: readonly Deployment[],
  rates: RateCard,
): readonly Planned[] {
  const ids = new Ids();
  const models = new ModelIds();
  return pair(once(endpoints), once(deployments)).map(({ endpoint, deployment }): Planned => {
    const { node, provider } = (endpoint ?? deployment) as Endpoint | Deployment;
    const tier = endpoint?.tier ?? deployment?.tier;
    const urls = [endpoint?.url, deployment?.url].filter((each) => each !== undefined);
    const url = urls.find((each) => whyPlaceholder(each) === undefined) ?? urls[0];
    const model = models.of(node);
    return {
      id: ids.take(
        [model, SHORT[provider] ?? provider, provider === "nvidia-hosted" ? "" : (tier ?? "")],
        model,
      ),
      model,
      node,
      provider,
      url,
      placeholder: url === undefined ? undefined : whyPlaceholder(url),
      tier,
      priced: rateFor(rates, { ...deployment, provider, tier }),
      placement: deployment && placementOf(deployment),
    };
  });
}

const SHORT: Readonly<Partial<Record<Provider, string>>> = { "nvidia-hosted": "hosted" };

/** Spellings that come to the same id are one model; names of which nothing is left are numbered. */
class ModelIds {
  readonly #ids = new Ids();
  readonly #known = new Map<string, string>();

  of(node: string): string {
    const key = slug(node) || node;
    const known = this.#known.get(key) ?? this.#ids.take([node], `model-${this.#known.size + 1}`);
    this.#known.set(key, known);
    return known;
  }
}

function once<T>(all: readonly T[]): readonly T[] {
  return [...new Map(all.map((each) => [JSON.stringify(each), each])).values()];
}

/** An address belongs to a deployment that names it, or is named in it, or is the only one of its kind. */
function pair(endpoints: readonly Endpoint[], deployments: readonly Deployment[]): readonly Found[] {
  const left = new Set(deployments);
  const paired = new Map<Endpoint, Deployment>();
  const join = (endpoint: Endpoint, deployment: Deployment | undefined) => {
    if (deployment === undefined) return;
    paired.set(endpoint, deployment);
    left.delete(deployment);
  };
  for (const endpoint of endpoints) {
    const host = URL.parse(endpoint.url)?.hostname ?? "";
    const named = ({ instance, url }: Deployment) =>
      url === endpoint.url || (instance !== undefined && host.includes(instance.toLowerCase()));
    join(
      endpoint,
      [...left].find((each) => isAlike(each, endpoint, false) && named(each)),
    );
  }
  for (const endpoint of endpoints.filter((each) => !paired.has(each))) {
    const rivals = endpoints.filter((each) => !paired.has(each) && isAlike(each, endpoint, true));
    const [only, ...others] = [...left].filter((each) => isAlike(each, endpoint, true));
    if (rivals.length === 1 && others.length === 0) join(endpoint, only);
  }
  return [
    ...endpoints.map((endpoint) => ({ endpoint, deployment: paired.get(endpoint) })),
    ...[...left].map((deployment) => ({ endpoint: undefined, deployment })),
  ];
}

type Kind = Pick<Endpoint, "node" | "provider" | "tier">;

function isAlike(one: Kind, other: Kind, byTier: boolean): boolean {
  const isSame = slug(one.node) === slug(other.node) && one.provider === other.provider;
  return isSame && (!byTier || one.tier === other.tier);
}
