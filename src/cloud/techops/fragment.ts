// From TechOps' names to entries of a policy: machines, upstreams, models. Pure: the same files, rates and
// ports give the same fragment. An entry that lacks what no file tells is kept aside, with what to fill in.

import type { RateCard } from "../../metering/rate-card.ts";
import type { Deployment, Endpoint } from "./endpoints.ts";
import { Ids } from "./naming.ts";
import type { Placement } from "./placement.ts";
import { type Planned, planUpstreams } from "./plan.ts";

export type Value = string | number | readonly Value[] | { readonly [key: string]: Value };
export type Entry = {
  readonly id: string;
  readonly value: Readonly<Record<string, Value>>;
  /** A comment at the end of the key's line. */
  readonly remarks: Readonly<Record<string, string>>;
  /** Comments below the entry: keys that could be added. */
  readonly hints: readonly string[];
  /** What to fill in before it can be used; empty where nothing. */
  readonly lacks: readonly string[];
};

export const SECTIONS = ["machines", "upstreams", "models"] as const;
export type Section = (typeof SECTIONS)[number];

export interface Fragment extends Readonly<Record<Section, readonly Entry[]>> {
  readonly notes: readonly string[];
}

export interface FragmentSource {
  readonly endpoints: readonly Endpoint[];
  readonly deployments: readonly Deployment[];
  readonly rates: RateCard;
  /** Of models that the policy has already: they keep them, and nobody else gets them. */
  readonly ports: ReadonlyMap<string, number>;
  /** Of others: the gateway itself. */
  readonly taken: readonly number[];
}

export function makeFragment(source: FragmentSource): Fragment {
  const { endpoints, deployments, rates } = source;
  const planned = planUpstreams(endpoints, deployments, rates);
  const notes: string[] = [];
  const groups = groupsOf(planned, notes);
  const upstreams = planned.map((each) => upstreamEntry(each, groups));
  const usable = new Set(upstreams.filter(({ lacks }) => lacks.length === 0).map(({ id }) => id));
  const models = modelEntries(planned, usable, source);
  notes.push(...notesOn(planned, upstreams, deployments.length));
  return { machines: [...groups.machines.values()], upstreams, models, notes };
}

interface Groups {
  /** By the group's key. */
  readonly machines: ReadonlyMap<string, Entry>;
  /** Groups whose containers contradict each other. */
  readonly doubtful: ReadonlySet<string>;
}

type Contained = Planned & { readonly placement: Extract<Placement, { kind: "container" }> };

/** What bills together has one machine, and one price: the pool's, or the Auto Scaling group's. */
function groupsOf(planned: readonly Planned[], notes: string[]): Groups {
  const ids = new Ids();
  for (const { id } of planned) ids.take([id], id);
  const machines = new Map<string, Entry>();
  const doubtful = new Set<string>();
  const contained = planned.filter((each): each is Contained => each.placement?.kind === "container");
  for (const [group, members] of Map.groupBy(contained, ({ placement }) => placement.group)) {
    const [first, ...others] = members;
    const rates = new Set(members.map(({ priced }) => priced?.rate.key));
    if (first?.priced === undefined && rates.size === 1) continue;
    if (first === undefined || (others.length === 0 && first.placement.form !== "ecs")) continue;
    const { machine, machineName } = first.placement;
    if (rates.size === 1 && first.priced) {
      machines.set(group, {
        id: ids.take([machineName], "machine"),
        value: { [machine.form]: machine.fields, price: { rate: first.priced.rate.key } },
        remarks: {
          [machine.form]: machine.form === "asg" ? "as TechOps name it; check that it exists" : "as deployed",
          price: first.priced.remark,
        },
        ...{ hints: [], lacks: [] },
      });
    } else {
      doubtful.add(group);
      const all = members.map(({ id }) => id).join(", ");
      notes.push(
        machine.form === "asg"
          ? `${all} share the cluster ${machineName} and not one machine type: write a machine for each type`
          : `${all} say different machines of the one node pool ${machineName}: no container is set`,
      );
    }
  }
  return { machines, doubtful };
}

function upstreamEntry(planned: Planned, { machines, doubtful }: Groups): Entry {
  const { id, provider, url, placeholder, tier, priced, placement } = planned;
  const contained = placement?.kind === "container" ? placement : undefined;
  const machine = contained && machines.get(contained.group);
  const isContained = contained && !(doubtful.has(contained.group) && contained.form !== "ecs");
  const isDiscovered = contained?.form === "ecs" && (url === undefined || placeholder !== undefined);
  const address = isDiscovered ? "discovered" : url;
  const isFree = provider === "local";
  return {
    id,
    value: {
      provider,
      ...(address !== undefined && { url: address }),
      ...(tier !== undefined && { gpu_tier: tier }),
      ...(machine && { machine: machine.id }),
      ...(!machine && priced && { price: { rate: priced.rate.key } }),
      ...(isContained && { container: { [contained.form]: contained.fields } }),
    },
    remarks: {
      ...(isDiscovered && { url: "read after each start; the file has none that lasts" }),
      ...(!isDiscovered && placeholder && { url: `placeholder: ${placeholder}` }),
      ...(!machine && priced && { price: priced.remark }),
    },
    hints: isContained || !placement ? [] : [containerHint(placement)],
    lacks: [
      ...(address === undefined ? ["url: the address of the NIM"] : []),
      ...(isFree || priced ? [] : [lackingPrice(provider)]),
    ],
  };
}

function lackingPrice(provider: string): string {
  if (provider === "nvidia-hosted")
    return "auth: { bearer: { env: NVIDIA_API_KEY } }, and price: { usd_per_request: … }; 0 counts as free";
  return "price: { usd_per_hour: … }, or { rate: KEY } of config/rates.yaml: its GPU tier is in no row";
}

function containerHint(placement: Placement): string {
  const fields = Object.entries(placement.fields).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
  const open = placement.kind === "incomplete" ? placement.lacking.map((key) => `${key}: …`) : [];
  return `container: { ${placement.form}: { ${[...open, ...fields].join(", ")} } }`;
}

const FIRST_PORT = 7100;

function modelEntries(
  planned: readonly Planned[],
  usable: ReadonlySet<string>,
  { ports, taken: others }: FragmentSource,
): readonly Entry[] {
  const taken = new Set([...ports.values(), ...others]);
  let next = FIRST_PORT;
  const free = () => {
    while (taken.has(next)) next += 1;
    taken.add(next);
    return next;
  };
  return [...Map.groupBy(planned, ({ model }) => model)].map(([id, members]): Entry => {
    const active = members.filter((each) => usable.has(each.id));
    // The first serves mode: manual, so those that lead somewhere go before those that do not.
    const upstreams = [
      ...active.filter(({ placeholder }) => placeholder === undefined),
      ...active.filter(({ placeholder }) => placeholder !== undefined),
    ].map((each) => each.id);
    return {
      id,
      value: { port: ports.get(id) ?? free(), upstreams },
      ...{ remarks: {}, hints: [] },
      lacks: upstreams.length === 0 ? ["upstreams: none of them can be used as it is"] : [],
    };
  });
}

function notesOn(
  planned: readonly Planned[],
  upstreams: readonly Entry[],
  deployments: number,
): readonly string[] {
  const notes: string[] = [];
  const guessed = upstreams.filter(({ remarks }) => remarks.url?.startsWith("placeholder:")).length;
  if (guessed > 0) {
    notes.push(
      `${guessed} of ${planned.length} addresses are placeholders, each marked: write the real ones, or ` +
        "no request will get through there",
    );
  }
  const aside = upstreams.filter(({ lacks }) => lacks.length > 0);
  if (aside.length > 0) {
    const ids = aside.map(({ id }) => id).join(", ");
    notes.push(
      `${aside.length} upstreams lack what no file tells, and are only printed, as comments: ${ids}`,
    );
  }
  for (const [url, sharers] of Map.groupBy(planned, (each) => each.url)) {
    const models = new Set(sharers.map(({ model }) => model));
    if (url === undefined || models.size < 2) continue;
    const all = [...models].join(", ");
    notes.push(
      `${url} is the address of ${models.size} models (${all}): one NIM answers there; give each its own`,
    );
  }
  const hasCloud = planned.some(({ provider }) => ["aws", "azure", "gcp"].includes(provider));
  if (hasCloud && deployments === 0) {
    notes.push(
      "the export does not tell which containers these are: name ~/.budgetguard_techops/endpoints.json of " +
        "TechOps' machine as well, and they can be started and stopped",
    );
  }
  return notes;
}
