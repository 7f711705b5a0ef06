// How a deployment of TechOps' is called by its provider: the container of a policy, the machine it bills on,
// and the rate card's price of that machine. What a record lacks is said, never made up.

import { formatUsd } from "../../metering/money.ts";
import type { Rate, RateCard } from "../../metering/rate-card.ts";
import type { Deployment } from "./endpoints.ts";

export type Fields = Readonly<Record<string, string>>;

export type Placement =
  | {
      readonly kind: "container";
      readonly form: "ecs" | "aks" | "gke";
      readonly fields: Fields;
      /** Of what bills: equal for containers that bill together. */
      readonly group: string;
      /** How a policy names the group, and what the machine may be called. */
      readonly machine: { readonly form: "asg" | "aks_pool" | "gke_pool"; readonly fields: Fields };
      readonly machineName: string;
    }
  /** `fields` with what is known, for whoever fills in the rest. */
  | {
      readonly kind: "incomplete";
      readonly form: "ecs" | "aks" | "gke";
      readonly fields: Fields;
      readonly lacking: readonly string[];
    };

/** As all of TechOps' deployers name the pool of GPU machines. */
const AKS_POOL = "gpunodepool";
const GKE_POOL = "gpu-node-pool";

export function placementOf(given: Deployment): Placement | undefined {
  const { region, cluster, subscription, project, namespace, instance } = given;
  const deployment = { ...(namespace !== undefined && { namespace }), deployment: instance };
  switch (given.provider) {
    case "aws": {
      // TechOps name the Auto Scaling group after the cluster.
      const group = { region, name: cluster && `budgetguard-nim-asg-${cluster}` };
      return placed("ecs", { region, cluster, service: given.service ?? instance }, "asg", group, [cluster]);
    }
    case "azure": {
      const pool = {
        subscription,
        resource_group: given.resourceGroup,
        cluster,
        pool: given.pool ?? AKS_POOL,
      };
      return placed("aks", { ...pool, ...deployment }, "aks_pool", pool, [cluster, pool.pool]);
    }
    case "gcp": {
      const pool = { project, location: given.zone ?? region, cluster, pool: given.pool ?? GKE_POOL };
      return placed("gke", { ...pool, ...deployment }, "gke_pool", pool, [cluster, pool.pool]);
    }
    default:
      return undefined;
  }
}

type Perhaps = Readonly<Record<string, string | undefined>>;

function placed(
  form: "ecs" | "aks" | "gke",
  fields: Perhaps,
  machineForm: "asg" | "aks_pool" | "gke_pool",
  group: Perhaps,
  names: readonly (string | undefined)[],
): Placement {
  const lacking = Object.keys(fields).filter((key) => fields[key] === undefined);
  if (lacking.length > 0) return { kind: "incomplete", form, fields: known(fields), lacking };
  const machine = { form: machineForm, fields: known(group) };
  const machineName = names.join("-");
  return {
    kind: "container",
    form,
    fields: known(fields),
    group: JSON.stringify(machine),
    machine,
    machineName,
  };
}

function known(fields: Perhaps): Fields {
  return Object.fromEntries(
    Object.entries(fields).filter((each): each is [string, string] => each[1] !== undefined),
  );
}

export interface Priced {
  readonly rate: Rate;
  /** "1.006 USD/h, as of 2026-07-20": for a comment. */
  readonly remark: string;
}

/** Of the machine that was deployed where the card has it, else of what TechOps mean by the tier. */
export function rateFor(
  rates: RateCard,
  { provider, tier, region, zone, machineType }: Partial<Deployment> & Pick<Deployment, "provider">,
): Priced | undefined {
  const where = region ?? zone?.replace(/-[a-z]$/, "");
  const exact =
    where !== undefined && machineType !== undefined
      ? rates.find(`${provider}/${where}/${machineType}`, "on_demand")
      : undefined;
  if (exact) return { rate: exact, remark: remarkOf(exact) };
  const rate = tier === undefined ? undefined : rates.forTier(provider, tier);
  if (rate === undefined) return undefined;
  const [, priced = ""] = rate.key.split("/");
  const elsewhere = where === undefined || where === priced ? "" : `; this runs in ${where}: check it`;
  return { rate, remark: `${remarkOf(rate)}${elsewhere}` };
}

function remarkOf({ perHour, asOf }: Rate): string {
  return `${formatUsd(perHour)} USD/h, as of ${asOf}`;
}
