// The room of live prices, wired: what the desk needs of the rest of the house.

import { fetchPrices } from "../cloud/prices/price-thread.ts";
import type { Instant } from "../metering/time.ts";
import type { Alerts } from "./alerts.ts";
import type { InForce } from "./in-force.ts";
import type { Logger } from "./log.ts";
import type { DaemonOptions } from "./options.ts";
import { shippedRates } from "./policy-text.ts";
import { PriceDesk } from "./price-desk.ts";
import { Secrets } from "./secrets.ts";
import type { TechopsWatch } from "./techops-watch.ts";

export interface PriceRoom {
  readonly options: Pick<DaemonOptions, "dataPath">;
  readonly inForce: Pick<InForce, "policy">;
  readonly alerts: Pick<Alerts, "raise">;
  readonly techops: Pick<TechopsWatch, "credentialsOf">;
  readonly log: Logger;
  now(): Instant;
  /** Resolves the policy in force against the prices that are kept now. */
  reprice(): Promise<void>;
}

export function openPrices({ options, inForce, alerts, techops, log, now, reprice }: PriceRoom): PriceDesk {
  const secrets = new Secrets((why) => log.warn(`a key for prices is missing: ${why}`));
  return new PriceDesk({
    ...{ folder: options.dataPath, shipped: shippedRates(), log, now, random: Math.random },
    policy: () => inForce.policy,
    raise: (alert) => alerts.raise(alert),
    secretOf: (ref) => secrets.of(ref),
    techopsLogin: () => {
      const login = techops.credentialsOf("aws")?.open();
      return (
        login && [login.accessKeyId, login.secretAccessKey, login.sessionToken].filter(Boolean).join(":")
      );
    },
    fetch: fetchPrices,
    reprice,
  });
}
